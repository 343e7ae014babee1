"""Laying out SQL, and the editor's colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot import Dialect

from t2sql_tui.ui.sql_layout import lay_out, lay_out_partial

from .conftest import run_app


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT 1", "SELECT 1"),
        (
            "select a from t where b = 1 order by a limit 2",
            "select a\nfrom t\nwhere b = 1\norder by a\nlimit 2",
        ),
        (
            "SELECT a FROM t LEFT OUTER JOIN u ON t.i = u.i JOIN v USING (i)",
            "SELECT a\nFROM t\nLEFT OUTER JOIN u ON t.i = u.i\nJOIN v USING (i)",
        ),
        (
            "SELECT a FROM t WHERE i IN (SELECT i FROM u WHERE x) AND y",
            "SELECT a\nFROM t\nWHERE i IN (\n  SELECT i\n  FROM u\n  WHERE x\n) AND y",
        ),
        (
            "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t",
            "SELECT sum(a) OVER (PARTITION BY b ORDER BY c)\nFROM t",
        ),
        (
            "SELECT a FROM t UNION ALL SELECT b FROM u",
            "SELECT a\nFROM t\nUNION ALL\nSELECT b\nFROM u",
        ),
        ("SELECT 'from where' FROM \"order by\"", "SELECT 'from where'\nFROM \"order by\""),
        ("SELECT extract FROM\n  t", "SELECT extract FROM\n  t"),
        ("SELECT a /* FROM */ FROM t", "SELECT a /* FROM */ FROM t"),
        ("SELECT 'unclosed", "SELECT 'unclosed"),
        ("  ", ""),
    ],
)
def test_clauses_begin_lines(sql: str, shown: str) -> None:
    assert lay_out(sql) == shown


def test_sql_in_the_making_is_laid_out_up_to_an_open_quote() -> None:
    assert (
        lay_out_partial("SELECT a FROM t WHERE b = 'x y FR")
        == "SELECT a\nFROM t\nWHERE b = 'x y FR"
    )
    assert lay_out_partial('SELECT a FROM "order b') == 'SELECT a\nFROM "order b'
    assert lay_out_partial("SELECT a FROM t") == "SELECT a\nFROM t"


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM a WHERE x<5) SELECT max(x) FROM a",
        "SELECT CASE WHEN a > 1 THEN (SELECT b FROM t LIMIT 1) ELSE 'x;--' END FROM t, u",
        "SELECT * FROM (SELECT 1 AS a), json_each('[1]') WHERE NOT EXISTS (SELECT 1 FROM t)",
        "VALUES (1, 2), (3, 4)",
    ],
)
def test_only_white_space_changes(sql: str) -> None:
    tokenize = Dialect.get_or_raise("sqlite").tokenize
    shown = lay_out(sql)
    assert "\n" in shown or sql.startswith("VALUES")
    assert [t.text for t in tokenize(shown)] == [t.text for t in tokenize(sql)]
    assert "".join(shown.split()) == "".join(sql.split())


async def test_colours_follow_the_theme(shop: Path) -> None:
    async with run_app(shop) as d:
        await d.ask("Who?")

        def keyword_color():
            first = next(s for s in d.bench.sql.editor.render_line(0) if "SELECT" in s.text)
            return first.style.color

        before = keyword_color()
        d.app.theme = "gruvbox"
        await d.pilot.pause()
        assert keyword_color() != before


async def test_undo_does_not_bring_back_an_older_answer(shop: Path) -> None:
    async with run_app(shop, ["SELECT 1 AS a", "SELECT 2 AS b"]) as d:
        await d.ask("One?")
        await d.ask("Two?")
        await d.press("e", "ctrl+z")
        assert d.bench.sql.text == "SELECT 2 AS b"
