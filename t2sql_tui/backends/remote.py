"""A model behind an OpenAI-compatible server: vLLM, llama.cpp's server, Ollama and others.

The server gets the finished prompt as text (`POST /completions`), so prompts, candidates and
ranking are those of the other backends. Answers are constrained from here: where the
constraint refuses a token, the request ends and a new one goes on behind the likeliest
alternative that it accepts. That needs `logprobs`; a server without them writes freely, and the
check and the repairs do the rest.
"""

from __future__ import annotations

import ipaddress
import json
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx2  # 80 ms; this module is imported when the backend is loaded

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    Generation,
    GenerationSettings,
    ModelSpec,
    OnProgress,
    OnText,
    Prompt,
    ShouldStop,
)

#: The environment variable that holds the server's key, if it wants one.
KEY_VARIABLE = "T2SQL_API_KEY"
#: Candidates after the first are sampled at this temperature where none is asked for.
SAMPLING_TEMPERATURE = 0.8
#: Alternatives asked for at each token: OpenAI's API allows 5.
ALTERNATIVES = 5
#: How often one answer may go on behind another token than the server chose.
MAX_TURNS = 24
#: Bytes of one response that are read at most: an answer of 300 tokens takes some 100,000.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
#: Seconds between looks at `should_stop`.
_PERIOD = 0.05
#: A token of SQL has about 3 bytes; counted too high, a prompt stays within the context.
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of text with its log-probability (None where the server gives none)."""

    text: str
    logprob: float | None = None
    alternatives: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Chunk:
    tokens: tuple[_Token, ...]
    finish: str


class _CancelledError(Exception):
    """`should_stop` ended the request."""


class RemoteBackend:
    """A model that the server at `url` (".../v1") runs.

    `served_model` is its name there (default: the only one, or the first, that the server
    lists); `answer_timeout` the seconds to wait for the next piece of an answer. Questions, the
    schema and stored sample values go to that server. Raises: ModelError.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        url: str = "",
        served_model: str = "",
        answer_timeout: float = 120.0,
        on_progress: OnProgress | None = None,
    ) -> None:
        key = os.environ.get(KEY_VARIABLE, "")
        address = _checked_url(url, bool(key))
        self.spec = spec
        self.host = address.netloc.decode().rpartition("@")[2]
        self._timeout = answer_timeout
        self._lock = threading.Lock()
        self._client = httpx2.Client(
            base_url=str(address).rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(answer_timeout, connect=10.0),
            trust_env=False,  # no proxy or .netrc decides where questions go
        )
        try:
            self.served_model = served_model or self._first_model()
        except BaseException:
            self._client.close()
            raise
        if on_progress:
            on_progress(1, 1)

    def count_tokens(self, text: str) -> int:
        """An upper estimate: the server's tokenizer is not asked."""
        return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + 1

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Have the server evaluate a prefix, so that a prefix cache there holds it."""
        with self._lock, suppress(_CancelledError):
            request = self._request(prefix, (), GenerationSettings(max_tokens=1))
            for _ in self._stream(request, should_stop):
                pass

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        """See `Backend.generate`. Candidates after the first are sampled, also of a search."""
        with self._lock:
            writer = _Writer(self, prompt, settings, on_text, should_stop, constraint)
            return writer.run()

    def close(self) -> None:
        """Drop the connections. Harmless to repeat."""
        self._client.close()

    # --- requests ---------------------------------------------------------------------

    def _request(
        self, text: str, stop: tuple[str, ...], settings: GenerationSettings
    ) -> dict[str, Any]:
        return {
            "model": self.served_model,
            "prompt": text,
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "seed": settings.seed,
            "stop": list(stop[:4]),  # OpenAI's API takes four
            "logprobs": ALTERNATIVES,
            "stream": True,
        }

    def _first_model(self) -> str:
        try:
            answer = self._client.get("models")
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code != 200:
            raise self._refused(answer.status_code, answer.text)
        try:
            return str(answer.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"The server at {self.host} does not list its models as OpenAI's API does.",
                "Name the model with --served-model, and check that --url ends in /v1.",
            ) from error

    def _stream(self, request: dict[str, Any], should_stop: ShouldStop | None) -> Iterator[_Chunk]:
        """The chunks of one streamed completion.

        The response is read in a thread of its own, so that `should_stop` is heard while
        the server is silent. Raises: _CancelledError, ModelError.
        """
        lines: queue.Queue[str | Exception | None] = queue.Queue()
        ended = threading.Event()
        reader = threading.Thread(
            target=self._read, args=(request, lines, ended), name="remote-read", daemon=True
        )
        reader.start()
        deadline = time.monotonic() + self._timeout + 10
        try:
            while True:
                if should_stop and should_stop():
                    raise _CancelledError
                try:
                    line = lines.get(timeout=_PERIOD)
                except queue.Empty:
                    if time.monotonic() > deadline:
                        raise self._unreachable(TimeoutError("no answer")) from None
                    continue
                deadline = time.monotonic() + self._timeout + 10
                if isinstance(line, Exception):
                    raise line
                if line is None:
                    raise self._broke_off("the connection ended in mid-answer")
                chunk = self._parse(line)
                if chunk is None:
                    return
                yield chunk
        finally:
            ended.set()

    def _read(
        self,
        request: dict[str, Any],
        lines: queue.Queue[str | Exception | None],
        ended: threading.Event,
    ) -> None:
        size = 0
        try:
            with self._client.stream("POST", "completions", json=request) as response:
                if response.status_code != 200:
                    text = next(response.iter_text(2000), "")
                    raise self._refused(response.status_code, text)
                for line in response.iter_lines():
                    size += len(line)
                    if ended.is_set():
                        return
                    if size > MAX_RESPONSE_BYTES:
                        raise self._broke_off("the answer does not end")
                    lines.put(line)
            lines.put(None)
        except ModelError as error:
            lines.put(error)
        except (httpx2.HTTPError, httpx2.StreamError, RuntimeError) as error:
            lines.put(self._unreachable(error))  # RuntimeError: the client was closed

    def _parse(self, line: str) -> _Chunk | None:
        """One line of server-sent events (https://html.spec.whatwg.org, section 9.2)."""
        if not line.startswith("data:"):
            return _Chunk((), "")  # a comment, an event name or the blank line behind an event
        data = line[5:].strip()
        if data == "[DONE]":
            return None
        try:
            event = json.loads(data)
            if "error" in event:
                raise self._broke_off(str(event["error"])[:200])
            choices = event.get("choices") or []
            return _chunk(choices[0]) if choices else _Chunk((), "")
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise self._broke_off(f"it sent {data[:60]!r}") from error

    # --- what goes wrong --------------------------------------------------------------

    def _unreachable(self, error: Exception) -> ModelError:
        return ModelError(
            f"The server at {self.host} does not answer: {error or type(error).__name__}.",
            "Start it, check --url, or leave out --backend remote to use a model on this machine.",
        )

    def _refused(self, status: int, text: str) -> ModelError:
        hint = "Look at the server's log."
        if status in (401, 403):
            hint = f"Set {KEY_VARIABLE} to the server's key."
        elif status == 404:
            hint = "Check that --url ends in /v1 and that --served-model is a name it lists."
        said = " ".join(text.split())[:200]
        return ModelError(f"The server at {self.host} answers {status}: {said or 'nothing'}", hint)

    def _broke_off(self, what: str) -> ModelError:
        return ModelError(
            f"The server at {self.host} broke off: {what}.", "Ask again; look at the server's log."
        )


def _checked_url(url: str, has_key: bool) -> httpx2.URL:
    """Raises: ModelError for what is no address, or would send the key unencrypted."""
    if not url:
        raise ModelError("--backend remote needs --url.", "For example --url http://host:8000/v1")
    try:
        address = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise ModelError(f"--url is no address: {error}.", "Write http://host:8000/v1") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise ModelError("--url is no http address.", "Write http://host:8000/v1")
    if has_key and address.scheme == "http" and not _is_loopback(address.host):
        raise ModelError(
            f"{KEY_VARIABLE} would go to {address.host} unencrypted.",
            f"Use an https address, or unset {KEY_VARIABLE}.",
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _chunk(choice: dict[str, Any]) -> _Chunk:
    """A choice of the completions API; servers differ in how they leave logprobs out."""
    text, finish = str(choice.get("text") or ""), str(choice.get("finish_reason") or "")
    stated = choice.get("logprobs") or {}
    texts, logprobs = stated.get("tokens") or [], stated.get("token_logprobs") or []
    if text and "".join(map(str, texts)) == text and len(texts) == len(logprobs):
        tops = stated.get("top_logprobs") or [{}] * len(texts)
        tokens = tuple(
            _Token(str(token), _number(logprob), dict(top or {}))
            for token, logprob, top in zip(texts, logprobs, tops, strict=False)
        )
        return _Chunk(tokens, finish)
    known = [number for logprob in logprobs if (number := _number(logprob)) is not None]
    return _Chunk((_Token(text, sum(known) if known else None),) if text else (), finish)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


class _Writer:
    """Writes the candidates of one prompt: the first greedily and in sight, the others sampled."""

    def __init__(
        self,
        backend: RemoteBackend,
        prompt: Prompt,
        settings: GenerationSettings,
        on_text: OnText | None,
        should_stop: ShouldStop | None,
        constraint: Constraint | None,
    ) -> None:
        self.backend, self.prompt, self.settings = backend, prompt, settings
        self.on_text, self.should_stop, self.constraint = on_text, should_stop, constraint
        self.started = time.perf_counter()
        self.first_token_seconds = 0.0
        self.unfinished = _Answer()

    def run(self) -> Generation:
        candidates: list[Candidate] = []
        finish: Literal["stop", "length", "cancelled"] = "stop"
        try:
            for number in range(self.settings.candidates):
                candidate, ended = self._write(number)
                candidates.append(candidate)
                if number == 0 and ended == "length":
                    finish = "length"
        except _CancelledError:
            finish = "cancelled"
            candidates.append(self.unfinished.candidate())
        text = self.prompt.prefix + self.prompt.suffix
        return Generation(
            self.prompt,
            _likeliest_first(candidates),
            self.backend.served_model,
            prompt_tokens=self.backend.count_tokens(text),
            completion_tokens=sum(candidate.tokens for candidate in candidates),
            first_token_seconds=self.first_token_seconds,
            seconds=time.perf_counter() - self.started,
            finish=finish,
        )

    def _write(self, number: int) -> tuple[Candidate, str]:
        """Candidate `number` (the first with the asked temperature) and how it ended."""
        settings, written = self.settings, _Answer()
        self.unfinished = written
        if number:
            temperature = settings.temperature or SAMPLING_TEMPERATURE
            settings = replace(settings, temperature=temperature, seed=settings.seed + number)
        constraint, finish = self.constraint, "stop"
        for turn in range(MAX_TURNS + 1):
            room = self.settings.max_tokens - written.tokens
            if room <= 0:
                return written.candidate(), "length"
            if turn == MAX_TURNS:
                constraint = None  # refused again and again: the check will say what is wrong
            finish = self._go_on(written, replace(settings, max_tokens=room), constraint, number)
            if finish != "turn":
                break
        return written.candidate(), finish

    def _go_on(
        self,
        written: _Answer,
        settings: GenerationSettings,
        constraint: Constraint | None,
        number: int,
    ) -> str:
        """Lets the server write on, and returns its finish reason; "turn" where another token
        than the server's was taken."""
        text = self.prompt.prefix + self.prompt.suffix + written.text
        request = self.backend._request(text, self.prompt.stop, settings)
        finish = ""
        for chunk in self.backend._stream(request, self.should_stop):
            for token in chunk.tokens:
                self.first_token_seconds = (
                    self.first_token_seconds or time.perf_counter() - self.started
                )
                accepted = _accepted(token, written.text, constraint)
                taken = accepted or token
                written.take(taken)
                if self.on_text and number == 0:
                    self.on_text(taken.text)
                if accepted is not None and accepted is not token:
                    return "turn"
            finish = chunk.finish or finish
        return finish or "stop"


class _Answer:
    """The text of one answer while its tokens arrive."""

    def __init__(self) -> None:
        self.text = ""
        self.tokens = 0
        self.logprob: float | None = 0.0

    def take(self, token: _Token) -> None:
        self.text += token.text
        self.tokens += 1
        if self.logprob is not None:
            self.logprob = None if token.logprob is None else self.logprob + token.logprob

    def candidate(self) -> Candidate:
        return Candidate(self.text, logprob=self.logprob, tokens=self.tokens)


def _accepted(token: _Token, text: str, constraint: Constraint | None) -> _Token | None:
    """`token`, or its likeliest alternative that the constraint accepts behind `text`; None where
    it accepts none of those that the server named."""
    if constraint is None or constraint(text + token.text, False):
        return token
    others = sorted(token.alternatives.items(), key=lambda item: -item[1])
    return next(
        (
            _Token(other, logprob)
            for other, logprob in others
            if other
            and other != token.text
            and not other.startswith("<|")  # a special token
            and constraint(text + other, False)
        ),
        None,
    )


def _likeliest_first(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """Different candidates by their log-probability, as a search gives them; where the server
    states none, all of them as samples, each of which counts once."""
    if any(candidate.logprob is None for candidate in candidates):
        return tuple(replace(candidate, logprob=None) for candidate in candidates)
    different = {candidate.text: candidate for candidate in reversed(candidates)}
    return tuple(sorted(different.values(), key=lambda candidate: -(candidate.logprob or 0.0)))
