"""The llama.cpp backend on a tiny random model, all of it but the quality of answers."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from t2sql_tui.backends import decoding, load_backend
from t2sql_tui.backends.llama import usable_cores
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.types import GenerationSettings, Prompt

SCHEMA = "".join(f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, name TEXT);\n" for n in range(8))
PROMPT = Prompt("v1", "chatml", f"<|im_start|>user\n{SCHEMA}", "How many?<|im_end|>\n")


@pytest.fixture
def load(tiny_gguf, tmp_path):
    """Loads the tiny model; what a test leaves open is closed after it."""
    opened = []

    def loader(path=tiny_gguf, **options):
        options = {"n_threads": 1, "cache_folder": tmp_path / "kv"} | options
        opened.append(load_backend(find_model(path), **options))
        return opened[-1]

    yield loader
    for backend in opened:
        backend.close()


def say(monkeypatch, backend, *tokens):
    """Make the backend choose these tokens in turn, whatever the logits say."""
    script = iter(tokens)
    monkeypatch.setattr(decoding, "choose", lambda *_: next(script))


def ids(backend, text):
    return backend.tokenize(text)


# --- tokens -----------------------------------------------------------------------


def test_markers_are_tokens_and_nothing_is_added(load):
    backend = load()
    start, end = ids(backend, "<|im_start|>"), ids(backend, "<|im_end|>")
    assert len(start) == len(end) == 1
    # This file asks for a BOS; the finished string must not get one.
    assert ids(backend, "<|im_start|>SELECT<|im_end|>") == [*start, *ids(backend, "SELECT"), *end]
    assert ids(backend, "") == []
    assert backend.count_tokens("é\0\ud800") > 0


def test_the_seam_is_never_merged_over(load, monkeypatch):
    """ "SEL" + "ECT" are two words of the vocabulary; as one text they would be one token."""
    backend = load()
    asked = backend.generate(replace(PROMPT, prefix="SEL", suffix="ECT"), GenerationSettings(1))
    assert asked.prompt_tokens == len(ids(backend, "SEL")) + len(ids(backend, "ECT"))
    assert asked.prompt_tokens > len(ids(backend, "SELECT")) == 1


# --- text -------------------------------------------------------------------------


def test_characters_that_span_tokens_arrive_whole(load, monkeypatch):
    backend = load()
    text = "naïve 😀 ok"
    say(monkeypatch, backend, *ids(backend, text), *ids(backend, "<|im_end|>"))
    pieces = []
    answer = backend.generate(PROMPT, on_text=pieces.append)
    assert answer.candidates[0].text == "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)
    assert answer.finish == "stop"
    assert answer.candidates[0].tokens == answer.completion_tokens == len(ids(backend, text)) + 1
    assert answer.candidates[0].logprob < 0


def test_a_stop_string_is_never_shown(load, monkeypatch):
    backend = load()
    say(monkeypatch, backend, *ids(backend, "SELECT 1;;\n;\n\nmore and more"))
    pieces = []
    answer = backend.generate(replace(PROMPT, stop=(";\n\n", "<|im_end|>")), on_text=pieces.append)
    assert answer.candidates[0].text == "".join(pieces) == "SELECT 1;;\n"
    assert answer.finish == "stop"


def test_half_a_stop_string_at_the_end_is_shown(load, monkeypatch):
    backend = load()
    tokens = ids(backend, "abc##")
    say(monkeypatch, backend, *tokens)
    answer = backend.generate(
        replace(PROMPT, stop=("###",)), GenerationSettings(max_tokens=len(tokens))
    )
    assert answer.candidates[0].text == "abc##"
    assert answer.finish == "length"


# --- the prefix cache -------------------------------------------------------------


def test_a_second_question_costs_its_own_tokens(load):
    backend = load()
    first = backend.generate(PROMPT, GenerationSettings(8))
    again = backend.generate(PROMPT, GenerationSettings(8))
    other = backend.generate(replace(PROMPT, suffix="Which?<|im_end|>\n"), GenerationSettings(8))
    assert first.cached_tokens == 0
    assert again.cached_tokens == first.prompt_tokens - 1  # its logits are wanted
    assert other.cached_tokens >= len(ids(backend, PROMPT.prefix))
    assert again.candidates[0].text == first.candidates[0].text
    assert again.candidates[0].logprob == pytest.approx(first.candidates[0].logprob, abs=1e-3)


def test_a_restart_finds_the_prefix_on_disk(load):
    first = load().generate(PROMPT, GenerationSettings(8))
    second = load().generate(PROMPT, GenerationSettings(8))
    assert second.cached_tokens == len(ids(load(), PROMPT.prefix))
    assert second.candidates == first.candidates


def test_warm_leaves_only_the_question(load):
    backend = load(cache_folder=None)
    backend.warm(PROMPT.prefix)
    assert backend._cells == ids(backend, PROMPT.prefix)
    backend.warm(PROMPT.prefix)
    assert backend._cells == ids(backend, PROMPT.prefix)
    answer = backend.generate(PROMPT, GenerationSettings(1))
    assert answer.cached_tokens == len(ids(backend, PROMPT.prefix))


def test_several_databases_take_turns_in_memory(load):
    backend = load(cache_folder=None)
    others = [replace(PROMPT, prefix=f"{n} {PROMPT.prefix}") for n in range(3)]
    texts = [backend.generate(p, GenerationSettings(8)).candidates[0].text for p in others]
    for prompt, text in zip(others, texts, strict=True):
        answer = backend.generate(prompt, GenerationSettings(8))
        assert answer.cached_tokens >= len(ids(backend, prompt.prefix))
        assert answer.candidates[0].text == text


def test_what_two_prefixes_share_is_not_evaluated_again(load):
    load().generate(PROMPT, GenerationSettings(1))
    backend = load()  # a restart, and a table has been added meanwhile
    answer = backend.generate(
        replace(PROMPT, prefix=PROMPT.prefix + "CREATE TABLE new (id);"), GenerationSettings(1)
    )
    assert answer.cached_tokens == len(ids(backend, PROMPT.prefix))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_file_is_removed_and_costs_only_time(load, tmp_path, damage):
    first = load().generate(PROMPT, GenerationSettings(8))
    (file,) = (tmp_path / "kv").glob("*/*.kv")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(
        {
            "flip": content,
            "cut": content[:-100],
            "empty": b"",
            "foreign": b"x" * 500,
        }[damage]
    )
    again = load().generate(PROMPT, GenerationSettings(8))
    assert again.cached_tokens == 0
    assert again.candidates == first.candidates
    assert load().generate(PROMPT, GenerationSettings(8)).cached_tokens > 0  # written anew


def test_another_model_never_gets_these_states(load, tmp_path):
    from tiny_gguf import write_tiny_gguf

    load().generate(PROMPT, GenerationSettings(1))
    other = load(write_tiny_gguf(tmp_path / "other.gguf", seed=1))
    assert other.generate(PROMPT, GenerationSettings(1)).cached_tokens == 0
    assert load(n_ctx=512).generate(PROMPT, GenerationSettings(1)).cached_tokens == 0


def test_a_cache_folder_that_cannot_be_written_is_no_error(load, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    backend = load(cache_folder=tmp_path / "file" / "kv")
    assert backend.generate(PROMPT, GenerationSettings(1)).cached_tokens == 0
    assert backend.generate(PROMPT, GenerationSettings(1)).cached_tokens > 0


# --- candidates -------------------------------------------------------------------


def test_the_first_candidate_is_the_greedy_one(load):
    backend = load()
    alone = backend.generate(PROMPT, GenerationSettings(20)).candidates[0]
    many = backend.generate(PROMPT, GenerationSettings(20, candidates=5, seed=3))
    assert many.candidates[0].text == alone.text
    assert many.candidates[0].logprob == pytest.approx(alone.logprob, abs=1e-2)
    assert len({candidate.text for candidate in many.candidates}) > 1
    assert many.completion_tokens == sum(candidate.tokens for candidate in many.candidates)


def test_the_seed_decides_what_is_sampled(load):
    backend = load()

    def texts(seed):
        settings = GenerationSettings(20, temperature=1.0, candidates=3, seed=seed)
        return [candidate.text for candidate in backend.generate(PROMPT, settings).candidates]

    assert texts(1) == texts(1)
    assert texts(1)[1:] != texts(2)[1:]


def test_candidates_leave_the_cache_as_it_was(load):
    backend = load()
    before = backend.generate(PROMPT, GenerationSettings(20))
    backend.generate(PROMPT, GenerationSettings(20, candidates=8, seed=1))
    after = backend.generate(PROMPT, GenerationSettings(20))
    assert after.candidates[0].text == before.candidates[0].text


def test_a_candidate_may_end_before_the_others(load, monkeypatch):
    backend = load()
    end, word = ids(backend, "<|im_end|>")[0], ids(backend, "x")[0]
    # Step by step: candidates 0, 1, 2; then 0 and 2; then 2.
    say(monkeypatch, backend, word, end, word, end, word, end)
    answer = backend.generate(PROMPT, GenerationSettings(9, candidates=3))
    assert [candidate.text for candidate in answer.candidates] == ["x", "", "xx"]
    assert answer.finish == "stop"


# --- stopping ---------------------------------------------------------------------


def test_should_stop_ends_decoding_and_keeps_the_text(load):
    backend = load()
    pieces = []
    answer = backend.generate(
        PROMPT, GenerationSettings(200), pieces.append, should_stop=lambda: len(pieces) >= 3
    )
    assert answer.finish == "cancelled"
    assert answer.candidates[0].text.startswith("".join(pieces))
    assert answer.completion_tokens < 20
    assert backend.generate(PROMPT, GenerationSettings(5)).finish == "length"


def test_should_stop_ends_prompt_evaluation(load):
    backend = load(cache_folder=None)
    long = replace(PROMPT, prefix=SCHEMA * 4)
    asked = 0

    def should_stop():
        nonlocal asked
        asked += 1
        return asked > 60  # in the middle of the second batch

    answer = backend.generate(long, should_stop=should_stop)
    assert answer.finish == "cancelled" and answer.completion_tokens == 0
    assert answer.candidates[0].text == ""
    whole = backend.generate(long, GenerationSettings(8))
    assert 0 < whole.cached_tokens < whole.prompt_tokens  # the first batch was kept
    assert whole.candidates == load().generate(long, GenerationSettings(8)).candidates


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_should_stop_raises_comes_out(load, error):
    backend = load(cache_folder=None)

    def should_stop():
        raise error

    with pytest.raises(error):
        backend.warm(PROMPT.prefix, should_stop)
    assert backend.generate(PROMPT, GenerationSettings(3)).finish == "length"


def test_what_on_text_raises_comes_out(load):
    backend = load()
    alone = backend.generate(PROMPT, GenerationSettings(9)).candidates[0].text

    def on_text(piece):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backend.generate(PROMPT, GenerationSettings(9), on_text)
    assert backend.generate(PROMPT, GenerationSettings(9)).candidates[0].text == alone


@pytest.fixture
def interruptible():
    """Ctrl-C as in a terminal: a shell's `&` and nohup have the tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_during_prompt_evaluation_is_not_lost(load, interruptible):
    backend = load(cache_folder=None)
    with pytest.raises(KeyboardInterrupt):
        backend.warm(PROMPT.prefix, lambda: signal.raise_signal(signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert backend.generate(PROMPT, GenerationSettings(3)).finish == "length"


def test_threads_are_queued(load):
    backend = load()
    alone = backend.generate(PROMPT, GenerationSettings(30)).candidates
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(backend.generate(PROMPT, GenerationSettings(30)).candidates)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [candidates[0].text for candidates in found] == [alone[0].text] * 4


# --- limits and bad files ---------------------------------------------------------


def test_a_prompt_beyond_the_context_names_both_numbers(load):
    backend = load(n_ctx=256)
    with pytest.raises(ModelError, match=r"1,\d\d\d tokens.*256") as caught:
        backend.generate(replace(PROMPT, prefix=SCHEMA * 4))
    assert caught.value.hint
    with pytest.raises(ModelError, match="256"):
        backend.warm(SCHEMA * 4)


def test_an_answer_ends_where_the_context_does(load):
    backend = load(n_ctx=256)
    used = backend.count_tokens("x" * 200) + 1
    for candidates in (1, 4):
        answer = backend.generate(
            replace(PROMPT, prefix="x" * 200, suffix="y"),
            GenerationSettings(1000, candidates=candidates),
        )
        assert answer.completion_tokens <= 256 - used
        assert answer.candidates[0].tokens >= (256 - used) // candidates - 1


@pytest.mark.parametrize("damage", ["header", "tensors", "text"])
def test_wrong_or_truncated_weights_are_a_message(load, tiny_gguf, tmp_path, damage):
    content = tiny_gguf.read_bytes()
    path = tmp_path / "bad.gguf"
    path.write_bytes(
        {
            "header": content[:1000],
            "tensors": content[: len(content) // 2],
            "text": b"hello" * 99,
        }[damage]
    )
    spec = replace(find_model(tiny_gguf), path=path)
    with pytest.raises(ModelError) as caught:
        load_backend(spec)
    assert "bad.gguf" in caught.value.message and caught.value.hint


def test_a_file_of_the_wrong_size_says_how_to_fetch_it_again(tiny_gguf):
    spec = replace(find_model(tiny_gguf), name="some-model", bytes=12345)
    with pytest.raises(ModelError, match="12,345") as caught:
        load_backend(spec)
    assert "models pull some-model --force" in caught.value.hint


def test_missing_weights_say_how_to_get_them(tiny_gguf, tmp_path):
    for spec in (
        replace(find_model(tiny_gguf), name="some-model", path=None),
        replace(find_model(tiny_gguf), name="some-model", path=tmp_path / "gone.gguf"),
    ):
        with pytest.raises(ModelError) as caught:
            load_backend(spec)
        assert "models pull some-model" in caught.value.hint


def test_a_closed_model_says_so(load):
    backend = load()
    backend.close()
    backend.close()
    for use in (
        backend.generate,
        lambda p: backend.warm(p.prefix),
        lambda p: backend.count_tokens(p.prefix),
    ):
        with pytest.raises(ModelError, match="closed"):
            use(PROMPT)


def test_loading_reports_its_progress_and_can_be_stopped(load):
    seen = []
    load(on_progress=lambda *numbers: seen.append(numbers))
    assert seen[-1] == (100, 100) and seen == sorted(seen)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(on_progress=interrupt)


def test_llama_cpp_writes_nothing_on_the_screen(load, capfd, tmp_path, tiny_gguf):
    load().generate(PROMPT, GenerationSettings(3))
    with pytest.raises(ModelError):
        bad = tmp_path / "bad.gguf"
        bad.write_bytes(tiny_gguf.read_bytes()[:5000])
        load_backend(replace(find_model(tiny_gguf), path=bad))
    assert capfd.readouterr() == ("", "")


def test_the_cores_that_may_be_used_are_counted():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


# --- a real model -----------------------------------------------------------------


@pytest.fixture(scope="session")
def real_backend(tmp_path_factory):
    spec = find_model()
    if spec.path is None:
        pytest.skip("no weights: t2sql-tui models pull")
    backend = load_backend(spec, cache_folder=tmp_path_factory.mktemp("kv"))
    yield backend
    backend.close()


@pytest.mark.model
def test_a_real_model_answers_and_is_cancelled_within_200_ms(real_backend):
    text = "<|im_start|>user\nCREATE TABLE singer (id INTEGER, name TEXT, age INTEGER);\n"
    prompt = Prompt(
        "v1",
        "chatml",
        text * 20,
        "SQL that counts the singers:<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_end|>",),
    )
    stopped_at = []

    def stop_later():
        time.sleep(0.5)
        stopped_at.append(time.perf_counter())

    threading.Thread(target=stop_later).start()
    answer = real_backend.generate(prompt, should_stop=lambda: bool(stopped_at))
    assert answer.finish == "cancelled"
    assert time.perf_counter() - stopped_at[0] < 0.2
    answer = real_backend.generate(prompt)
    assert "count" in answer.candidates[0].text.lower()
