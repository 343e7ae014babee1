"""Candidates are run to compare them; nothing they do can hurt."""

from __future__ import annotations

import time

from t2sql_tui.core.answers import execution
from t2sql_tui.core.types import Limits


def test_an_endless_candidate_does_not_make_the_others_wait(read, shop, monkeypatch) -> None:
    monkeypatch.setattr(execution, "LIMITS", Limits(rows=10, seconds=0.2))
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    started = time.monotonic()
    best, late = read(shop, endless, "SELECT name FROM customer")
    assert time.monotonic() - started < 5
    assert best.candidate.sql == "SELECT name FROM customer" and late.warnings == ("timeout",)
    monkeypatch.setattr(execution, "TOTAL_SECONDS", 0.0)
    assert [r.warnings for r in read(shop, "SELECT 1", "SELECT 2")] == [("timeout",)] * 2
