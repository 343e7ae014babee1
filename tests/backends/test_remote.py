"""The remote backend against a small server of its own, well-behaved and not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from t2sql_tui.backends import load_backend
from t2sql_tui.backends.remote import KEY_VARIABLE
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import GenerationSettings, ModelSpec, Prompt

SPEC = ModelSpec("m")
PROMPT = Prompt("v1", "chatml", "PREFIX ", "SUFFIX:", stop=("<|im_end|>",))


class Server(ThreadingHTTPServer):
    """Answers `POST /v1/completions` with `tokens` after what the prompt already holds.

    `mode` is how it misbehaves: "", "500", "cut", "nonsense", "slow", "endless", "plain" (no
    logprobs). `requests` records the bodies, `headers` the Authorization headers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens: list[tuple[str, dict[str, float]]] = []
        self.after: dict[str, list[tuple[str, dict[str, float]]]] = {}
        self.mode = ""
        self.requests: list[dict] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.keys.append(self.headers.get("Authorization", ""))
        self._send(200, json.dumps({"data": [{"id": "served"}]}).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        mode = self.server.mode
        if mode == "500":
            return self._send(500, b"boom\x1b[31m")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        written = request["prompt"].partition("SUFFIX:")[2]
        for text, others in self.server.after.get(written, self.server.tokens):
            choice = {"index": 0, "text": text, "finish_reason": None, "logprobs": None}
            if mode != "plain":
                choice["logprobs"] = {
                    "tokens": [text],
                    "token_logprobs": [-0.1],
                    "top_logprobs": [others],
                }
            self._event({"choices": [choice]})
            if mode == "cut":
                return
            if mode == "nonsense":
                self.wfile.write(b"data: {]\n\n")
            while mode in ("slow", "endless"):
                time.sleep(0.02)
                try:
                    self.wfile.write(b": waiting\n\n" if mode == "slow" else b"data: {}\n\n")
                except OSError:
                    return
        self._event({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, event: dict) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True).start()
    found.tokens = [("SELECT", {}), (" 1", {})]
    yield found
    found.shutdown()
    found.server_close()


def _load(server: Server, **options: object):
    return load_backend(SPEC, backend="remote", url=server.url, **options)


def test_an_answer_is_streamed(server):
    backend, seen = _load(server), []
    generation = backend.generate(PROMPT, GenerationSettings(seed=3), seen.append)
    (candidate,) = generation.candidates
    assert candidate.text == "SELECT 1"
    assert candidate.logprob == pytest.approx(-0.2)
    assert seen == ["SELECT", " 1"]
    assert generation.model == "served"
    (request,) = server.requests
    assert request["prompt"] == "PREFIX SUFFIX:"
    assert request["stop"] == ["<|im_end|>"]
    assert request["temperature"] == 0
    assert request["seed"] == 3
    backend.close()


def test_a_refused_token_is_replaced_by_the_likeliest_that_is_accepted(server):
    server.tokens = [("SELECT", {}), (" nmae", {" name": -1.0, " other": -0.5, "<|x|>": -0.2})]
    server.after = {"SELECT name": [(" FROM t", {})]}
    generation = _load(server).generate(
        PROMPT, constraint=lambda text, whole: "SELECT name FROM t".startswith(text)
    )
    assert generation.candidates[0].text == "SELECT name FROM t"
    assert generation.candidates[0].logprob == pytest.approx(-1.2)
    assert [r["prompt"] for r in server.requests] == [
        "PREFIX SUFFIX:",
        "PREFIX SUFFIX:SELECT name",
    ]


def test_where_nothing_is_accepted_the_answer_is_left_to_the_check(server):
    generation = _load(server).generate(PROMPT, constraint=lambda text, whole: False)
    assert generation.candidates[0].text == "SELECT 1"


def test_equal_candidates_with_logprobs_are_one(server):
    generation = _load(server).generate(PROMPT, GenerationSettings(candidates=3, search=True))
    assert [candidate.text for candidate in generation.candidates] == ["SELECT 1"]
    assert [request["temperature"] for request in server.requests] == [0, 0.8, 0.8]
    assert len({request["seed"] for request in server.requests}) == 3


def test_samples_without_logprobs_are_all_kept(server):
    server.mode = "plain"
    generation = _load(server).generate(PROMPT, GenerationSettings(candidates=3))
    assert [candidate.logprob for candidate in generation.candidates] == [None] * 3


@pytest.mark.parametrize(
    ("mode", "message"),
    [("500", "answers 500"), ("cut", "ended in mid-answer"), ("nonsense", "broke off")],
)
def test_a_server_that_fails_is_an_error_with_a_hint(server, mode, message):
    backend = _load(server)
    server.mode = mode
    with pytest.raises(ModelError, match=message) as error:
        backend.generate(PROMPT)
    assert error.value.hint
    server.mode = ""
    assert backend.generate(PROMPT).candidates[0].text == "SELECT 1"


@pytest.mark.parametrize("mode", ["slow", "endless"])
def test_a_server_that_does_not_end_can_be_cancelled(server, mode):
    backend = _load(server)
    server.mode = mode
    ends = time.monotonic() + 0.5
    generation = backend.generate(PROMPT, should_stop=lambda: time.monotonic() > ends)
    assert generation.finish == "cancelled"
    assert generation.candidates[0].text == "SELECT"


def test_an_answer_that_does_not_end_is_cut(server, monkeypatch):
    monkeypatch.setattr("t2sql_tui.backends.remote.MAX_RESPONSE_BYTES", 2000)
    backend = _load(server)
    server.mode = "endless"
    with pytest.raises(ModelError, match="does not end"):
        backend.generate(PROMPT)


def test_the_key_comes_from_the_environment_and_is_in_no_message(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "s3cret")
    backend = _load(server)
    assert server.keys == ["Bearer s3cret"]
    server.mode = "500"
    with pytest.raises(ModelError) as error:
        backend.generate(PROMPT)
    assert "s3cret" not in str(error.value) + repr(error.value.__cause__)


@pytest.mark.parametrize("url", ["", "host:8000", "ftp://host/v1", "http://", "http://[x/v1"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ModelError) as error:
        load_backend(SPEC, backend="remote", url=url)
    assert error.value.hint


def test_a_key_never_goes_out_unencrypted(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "s3cret")
    with pytest.raises(ModelError, match="unencrypted"):
        load_backend(SPEC, backend="remote", url="http://192.0.2.1/v1")


def test_no_server_is_an_error_that_says_what_to_do(server):
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(ModelError, match="does not answer") as error:
        load_backend(SPEC, backend="remote", url=url)
    assert "--url" in error.value.hint
