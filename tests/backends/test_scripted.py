from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from t2sql_tui.backends import BACKENDS, load_backend
from t2sql_tui.backends.decoding import AnswerText
from t2sql_tui.backends.scripted import FOREVER, ScriptedBackend
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import GenerationSettings, ModelSpec, Prompt

PROMPT = Prompt("v1", "chatml", "schema", "How many singers?")


def texts(backend, **settings):
    answer = backend.generate(PROMPT, GenerationSettings(**settings))
    return [candidate.text for candidate in answer.candidates]


def test_replies_come_in_order_and_the_last_one_repeats():
    backend = ScriptedBackend(replies=["SELECT 1", "", lambda prompt: prompt.suffix])
    assert [texts(backend) for _ in range(4)] == [
        ["SELECT 1"],
        [""],
        ["How many singers?"],
        ["How many singers?"],
    ]
    assert backend.prompts == [PROMPT] * 4


def test_replies_can_be_looked_up_by_the_question():
    backend = ScriptedBackend(replies={"singers": "SELECT 2", "": "prose"})
    assert texts(backend) == ["SELECT 2"]
    other = backend.generate(replace(PROMPT, suffix="Which city?"))
    assert other.candidates[0].text == "prose"


def test_text_arrives_in_pieces_slowly():
    pieces = []
    started = time.perf_counter()
    answer = ScriptedBackend(replies=[" SELECT  1 \n"], delay=0.02).generate(
        PROMPT, on_text=pieces.append
    )
    assert "".join(pieces) == answer.candidates[0].text == " SELECT  1 \n"
    assert len(pieces) == 2 and time.perf_counter() - started >= 0.04
    assert answer.finish == "stop"


def test_forever_ends_when_it_is_told_to():
    backend = ScriptedBackend(replies=[FOREVER])
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    answer = backend.generate(PROMPT, GenerationSettings(10**6), should_stop=stop.is_set)
    assert answer.finish == "cancelled" and answer.candidates[0].text.startswith("word word")
    assert backend.generate(PROMPT, GenerationSettings(5)).finish == "length"


def test_candidates_and_errors():
    backend = ScriptedBackend(replies=[["SELECT 1", "SELECT 2", "SELECT 3"], ModelError("broken")])
    assert texts(backend, candidates=2) == ["SELECT 1", "SELECT 2"]
    with pytest.raises(ModelError, match="broken"):
        backend.generate(PROMPT)


def test_loading_takes_its_time_and_reports_it():
    seen = []
    load_backend(
        ModelSpec("x"),
        backend="scripted",
        load_seconds=0.05,
        on_progress=lambda *numbers: seen.append(numbers),
    )
    assert seen == [(n, 10) for n in range(1, 11)]


def test_backends_are_known_by_name():
    assert load_backend(ModelSpec("x"), backend="scripted").spec.name == "x"
    with pytest.raises(ModelError, match='no backend "gpu"') as caught:
        load_backend(ModelSpec("x"), backend="gpu")
    assert all(name in caught.value.hint for name in BACKENDS)


# --- what all backends share: text out of bytes -------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_text_is_the_same_however_the_bytes_are_cut(size):
    data = "SELECT 'naïve 😀' ;\n;\n\nnot shown".encode()
    shown = []
    answer = AnswerText((";\n\n", "never"), shown.append)
    for start in range(0, len(data), size):
        if answer.feed(data[start : start + size]):
            break
    assert answer.close() == "".join(shown) == "SELECT 'naïve 😀' ;\n"


def test_bytes_that_are_no_text_become_replacement_characters():
    answer = AnswerText()
    for piece in (b"a\xff", b"b\xf0\x9f"):
        answer.feed(piece)
    assert answer.close() == "a�b�"
