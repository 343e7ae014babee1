"""The reading of a query is complete, deterministic, and never fails.

`golden/explain.txt` holds queries, each followed by its reading.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from t2sql_tui import demo
from t2sql_tui.core.answers.explain import columns_read, explain, query_plan
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery, Column, Schema, Table

GOLDEN = Path(__file__).parent / "golden" / "explain.txt"
CASES = [block.split("\n", 1) for block in GOLDEN.read_text("utf-8").strip().split("\n\n")]
SCHEMA = Schema((Table("customer", (Column("name"), Column("first name"))),))


def reading(sql: str, schema: Schema | None = None) -> str:
    return "\n".join(
        f"{'  ' * depth}- {text}" for step in explain(sql, schema) for depth, text in step.lines()
    )


@pytest.mark.parametrize("sql, expected", CASES, ids=[sql[:60] for sql, _ in CASES])
def test_golden(sql, expected):
    assert reading(sql) == expected


def test_double_quotes_are_text_only_where_no_column_is_called_so():
    sql = 'SELECT "first name" FROM customer WHERE name = "Ann"'
    assert "Keeps the rows where name is 'Ann'." in reading(sql, SCHEMA)
    assert 'Shows "first name".' in reading(sql, SCHEMA)
    assert "Keeps the rows where name is Ann." in reading(sql)
    named = 'SELECT "total" FROM (SELECT sum(x) AS "total" FROM customer)'
    assert "Shows total." in reading(named, SCHEMA)
    counted = 'WITH t("k") AS (SELECT 1) SELECT "k" FROM t'
    assert "Shows k." in reading(counted, SCHEMA)


@pytest.mark.parametrize("sql", ["", "not SQL at all", "DROP TABLE t", "SELECT 'open"])
def test_what_is_no_query_has_no_steps(sql):
    assert explain(sql) == ()


def test_deep_nesting_is_no_crash():
    deep = "SELECT " + "(" * 5_000 + "1" + ")" * 5_000
    chained = "SELECT 1 WHERE " + " AND ".join(["a = 1"] * 5_000)
    nested = "SELECT * FROM (" * 300 + "t" + ")" * 300
    for sql in (deep, chained, nested):
        assert isinstance(explain(sql), tuple)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT value FROM json_each('[1, 2]') AS j WHERE j.value > 1",
        "SELECT * FROM (a JOIN b ON a.x = b.x) JOIN c ON c.y = a.y",
        "SELECT * FROM a JOIN b ON b.x IN (SELECT x FROM c WHERE c.n = a.n)",
        "SELECT x FROM a ORDER BY (SELECT max(y) FROM b WHERE b.x = a.x)",
        "SELECT x FROM a GROUP BY (SELECT y FROM b LIMIT 7)",
        "SELECT sum(x) OVER w FROM a WINDOW w AS (PARTITION BY y ORDER BY z)",
        "SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS v",
        "SELECT a.x FROM a, b AS a2 WHERE a.x = a2.x AND a2.y REGEXP 'k' AND a.z MATCH 'm'",
        "SELECT max(DISTINCT x), total(y), avg(DISTINCT z) FROM a",
        "SELECT x COLLATE NOCASE, y IS NOT 'k', z -> '$.p', w & 3, ~v FROM a",
        "SELECT lag(x, 2, 'none') OVER (PARTITION BY y ORDER BY z DESC) FROM a",
        "SELECT x FROM a WHERE (x, y) IN (SELECT m, n FROM b) AND z NOT IN (SELECT k FROM c)",
        "SELECT x FROM main.a INDEXED BY i WHERE rowid = 3 LIMIT 5, 10",
        "SELECT substr(x, -2), substr(y, z, 3), strftime('%j', d), trim(t, 'q') FROM a",
    ],
)
def test_nothing_is_left_out_of_odd_queries(sql):
    assert missing_words(sql) == set()


@pytest.mark.parametrize("name", [entry.name for entry in demo.DEMOS])
def test_demo_questions_are_explained_without_sql(name):
    """The gold SQL of the demos needs no quoted SQL: no function call in capitals."""
    for example in demo.questions(name):
        text = reading(example.gold)
        assert missing_words(example.gold) == set(), example.gold
        assert not re.search(r"[A-Z]{2,}\(", text), text


def test_spider_train_is_explained_without_leaving_anything_out(data_dir):
    queries = sorted(
        {
            entry["query"]
            for part in ("train_spider", "train_others")
            for entry in json.loads((data_dir / "spider" / f"{part}.json").read_text())
        }
    )
    assert len(queries) > 4_000
    for sql in random.Random(7).sample(queries, 800):
        assert missing_words(sql) == set(), sql


def missing_words(sql: str) -> set[str]:
    """Names and values of the query that its reading does not mention."""
    text = reading(sql).lower()
    assert text, sql
    tree = sqlglot.parse_one(sql, read="sqlite")
    words = {table.name for table in tree.find_all(exp.Table)}
    words |= {column.name for column in tree.find_all(exp.Column) if column.name != "*"}
    for literal in tree.find_all(exp.Literal):
        by_number = literal.find_ancestor(exp.Order, exp.Group, exp.Limit, exp.TimeToStr)
        length = isinstance(literal.parent, exp.Substring)
        if not by_number and not length:
            words.add(literal.name.strip("%").replace("'", "''"))
    words.discard("unixepoch")  # "Unix time", in words
    return {word for word in words if word.lower() not in text}


def test_the_search_for_missing_words_finds_some(monkeypatch):
    monkeypatch.setattr(f"{__name__}.reading", lambda sql: "Reads t.")
    assert missing_words("SELECT u FROM t WHERE v = 'x' AND w > 99") == {"u", "v", "w", "x", "99"}


def test_what_sqlite_says_it_reads_and_how(tmp_path):
    with open_database(demo.build("ecommerce", tmp_path)) as database:
        query = check(
            "SELECT p.name FROM products p WHERE id IN (SELECT product_id FROM reviews)", database
        )
        assert isinstance(query, CheckedQuery)
        read = columns_read(query, database)
        assert {table: set(columns) for table, columns in read.items()} == {
            "products": {"id", "name"},
            "reviews": {"product_id"},
        }
        plan = query_plan(query, database)
        assert all(depth in (0, 1) and detail for depth, detail in plan) and len(plan) >= 2

        through_view = check("SELECT count(*) FROM order_totals", database)
        assert isinstance(through_view, CheckedQuery)
        assert set(columns_read(through_view, database)) == {"orders", "order_items"}
