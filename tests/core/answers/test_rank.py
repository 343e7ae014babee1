"""Candidates are grouped by their rows and ranked."""

from __future__ import annotations

import pytest

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.ask import ask
from t2sql_tui.core.types import AskOptions, GenerationSettings, Question


def test_equal_rows_are_one_reading(read, shop) -> None:
    first, second = read(
        shop,
        "SELECT name, id FROM customer",
        "SELECT city FROM customer",
        "SELECT id, name FROM customer ORDER BY name DESC",
        "select  ID, name from customer",
    )
    assert (first.votes, second.votes) == (3, 1)
    assert first.candidate.sql == "SELECT name, id FROM customer"
    assert first.share + second.share == pytest.approx(1)
    assert first.result is not None and len(first.result.rows) == 2


def test_agreement_can_beat_the_likeliest(read, shop) -> None:
    one = "SELECT count(*) FROM customer"
    others = ("SELECT 3", "SELECT count(*) FROM sale", "SELECT count(id) FROM sale")
    assert read(shop, one, *others, logprobs=[-1, -1.5, -1.5, -1.5])[0].votes == 3
    assert read(shop, one, *others, logprobs=[-1, -4, -4, -4])[0].votes == 1
    assert read(shop, one, *others, logprobs=[-1, -4, -4, -4], sampled=True)[0].votes == 3


def test_ask_compares(shop) -> None:
    backend = ScriptedBackend(
        replies=[("SELECT nme FROM customer", "SELECT name FROM customer", "SELECT 1")]
    )
    settings = GenerationSettings(candidates=3, search=True)
    answer = ask(Question("names?"), shop, backend, AskOptions(settings, compare=True))
    assert answer.query is not None and answer.query.sql == "SELECT name FROM customer"
    assert [r.warnings for r in answer.readings] == [(), (), ("error",)]
    assert answer.readings[0].candidate is answer.candidate
