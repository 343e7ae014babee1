"""What check() accepts, and what it says of the rest."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.problems import nearest
from t2sql_tui.core.types import CheckedQuery, Rejection

SCRIPT = """
CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT, country TEXT, "birth year" INT);
CREATE TABLE concert (concert_id INTEGER PRIMARY KEY, concert_name TEXT, year INT);
CREATE TABLE singer_in_concert (
  singer_id REFERENCES singer, concert_id REFERENCES concert, fee REAL);
CREATE VIEW french AS SELECT * FROM singer WHERE country = 'France';
CREATE TABLE "order" (id INTEGER PRIMARY KEY, "group" TEXT, "🎉 party" TEXT);
CREATE VIRTUAL TABLE notes USING fts5 (body);
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("check") / "music.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    with open_database(path) as opened:
        yield opened


ACCEPTED = [
    "SELECT name FROM singer",
    "select replace(name, ',', '') from singer",
    'SELECT count(*) FROM singer WHERE country = "France"',
    "SELECT T1.name FROM singer AS T1 JOIN singer_in_concert AS T2 ON T1.singer_id = T2.singer_id",
    "WITH x AS (SELECT 1 AS one) SELECT one FROM x",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 5) SELECT i FROM n",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT 'DROP TABLE singer; --' AS said",
    'SELECT * FROM "order" WHERE "group" = \'x\' AND "🎉 party" IS NULL',
    "SELECT `birth year`, [name] FROM main.singer",
    "SELECT body FROM notes WHERE notes MATCH 'a NOT b' ORDER BY rank",
    "SELECT rowid, oid, * FROM singer ORDER BY 1 NULLS LAST",
    "SELECT name, rank() OVER (PARTITION BY country ORDER BY name) FROM singer",
    "SELECT value ->> '$.a' FROM json_each('[{\"a\": 1}]')",
    "SELECT strftime('%Y', 'now') - \"birth year\" AS age FROM singer GROUP BY age HAVING age > 3",
    "SELECT name FROM singer WHERE (singer_id, country) IN (SELECT singer_id, 'x' FROM french)",
    "SELECT 1 EXCEPT SELECT 2 INTERSECT SELECT 3 UNION ALL SELECT 4",
    "SELECT name FROM singer NOT INDEXED",
    "SELECT max(name) FILTER (WHERE country IS NOT DISTINCT FROM 'x') FROM singer",
    'SELECT "hello there" FROM singer',
    "SELECT x'00ff', 1e3, .5, 0x10, NULL, CURRENT_DATE",
]


@pytest.mark.parametrize("sql", ACCEPTED)
@pytest.mark.parametrize(
    "dressing", ["{}", "{};", " \n{} ;; -- done", "/* first */ {} /* ; */ ;\n", "-- why; not\n{}"]
)
def test_accepted(database: Database, sql: str, dressing: str) -> None:
    verdict = check(dressing.format(sql), database)
    assert isinstance(verdict, CheckedQuery), verdict
    assert verdict.sql == sql


@pytest.mark.parametrize(
    ("sql", "columns", "tables"),
    [
        (
            "SELECT * FROM singer_in_concert",
            ("singer_id", "concert_id", "fee"),
            ("singer_in_concert",),
        ),
        (
            "SELECT a.name, b.name, count(*) AS n FROM Singer a, french b",
            ("name", "name", "n"),
            ("singer", "french"),
        ),
        ("WITH singer AS (SELECT 1 AS x) SELECT x + 1 FROM singer", ("x + 1",), ()),
        ('SELECT 1 AS "a:1", 2 AS "a:2", 3 AS b', ("a:1", "a:2", "b"), ()),
        ("SELECT fee -- of the concert\nFROM singer_in_concert", ("fee",), ("singer_in_concert",)),
    ],
)
def test_columns_and_tables(
    database: Database, sql: str, columns: tuple[str, ...], tables: tuple[str, ...]
) -> None:
    verdict = check(sql, database)
    assert isinstance(verdict, CheckedQuery), verdict
    if "a:1" not in columns:  # names that look numbered are shown without, if they repeat
        assert verdict.columns == columns
    assert verdict.tables == tables


REJECTED = [
    # sql, kind, what the message says, a suggestion
    ("", "empty", "no SQL", None),
    (" ;; -- nothing\n/* here */ ;", "empty", "no SQL", None),
    ("SELECT 1; SELECT 2", "several-statements", "2 statements", None),
    ("SELECT 1; DROP TABLE singer; --", "several-statements", "2 statements", None),
    ("DELETE FROM singer", "not-a-select", "DELETE is not allowed", None),
    ("WITH x AS (SELECT 1) DELETE FROM singer", "not-a-select", "Only one SELECT", None),
    ("EXPLAIN SELECT 1", "not-a-select", "EXPLAIN is not allowed", None),
    ("PRAGMA table_info(singer)", "not-a-select", "PRAGMA is not allowed", None),
    ("The answer is 4.", "syntax", "This is not SQL", None),
    ("SELECT FROM singer", "syntax", "near 'FROM'", None),
    ("SELECT name FROM singer WHERE", "syntax", "incomplete", None),
    ("SELECT name FROM singer WHERE name = 'x", "syntax", "does not understand", None),
    ("SELECT na\0me FROM singer", "syntax", "NUL", None),
    ("SELECT '\ud800'", "syntax", "NUL", None),
    ("SELECT * FROM singers", "unknown-table", "Did you mean singer", "singer"),
    ("SELECT * FROM xyzzy", "unknown-table", "The tables are: singer, concert", None),
    ("SELECT nme FROM singer", "unknown-column", "Did you mean name", "name"),
    ("SELECT q FROM concert", "unknown-column", "columns are: concert_id, concert_name", None),
    (
        "SELECT T1.fee FROM singer AS T1",
        "unknown-column",
        "'singer' (here T1) has no column 'fee'",
        "singer_in_concert.fee",
    ),
    (
        "SELECT fee FROM singer, concert",
        "unknown-column",
        "There is singer_in_concert.fee",
        "singer_in_concert.fee",
    ),
    (
        "SELECT T3.name FROM singer T1 JOIN concert T2",
        "unknown-column",
        "FROM has: T1, T2",
        "T1.name",
    ),
    ("SELECT concert.year FROM singer", "unknown-column", "concert is not in FROM", None),
    ('SELECT "nmae" FROM singer', "unknown-column", "Did you mean name", "name"),
    ('SELECT name FROM singer ORDER BY "Contry"', "unknown-column", "country", "country"),
    (
        "SELECT singer_id FROM singer a, singer_in_concert b",
        "ambiguous",
        "write a.singer_id or b.singer_id",
        "a.singer_id",
    ),
    ("SELECT year(name) FROM singer", "unknown-function", "strftime('%Y', x)", "strftime('%Y', x)"),
    ("SELECT upperr(name) FROM singer", "unknown-function", "upper", "upper"),
    ("SELECT load_extension('x')", "forbidden", "load_extension", None),
    ("SELECT name FROM singer WHERE count(*) > 1", "other", "HAVING", None),
    ("SELECT name FROM singer WHERE singer_id = ?", "other", "parameter", None),
    ("SELECT 1 UNION SELECT 1, 2", "other", "same number", None),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "other", "too deeply nested", None),
    ("SELECT 1" + "+1" * 100_000, "other", "too long", None),
]


@pytest.mark.parametrize(("sql", "kind", "said", "suggestion"), REJECTED)
def test_rejected(
    database: Database, sql: str, kind: str, said: str, suggestion: str | None
) -> None:
    verdict = check(sql, database)
    assert isinstance(verdict, Rejection)
    first = verdict.problems[0]
    assert first.kind == kind, verdict
    assert said in verdict.message
    if suggestion:
        assert suggestion in first.suggestions


def test_every_wrong_name_is_told_at_once(database: Database) -> None:
    verdict = check(
        "SELECT T1.fee, T2.nam FROM singer T1 JOIN concert T2 WHERE T1.contry = 'x'", database
    )
    assert [problem.kind for problem in verdict.problems] == ["unknown-column"] * 3


def test_inner_queries_see_outer_ones(database: Database) -> None:
    verdict = check(
        "SELECT name FROM singer s WHERE EXISTS "
        '(SELECT 1 FROM concert c WHERE c.year = s."birth year" AND c.fee > 1)',
        database,
    )
    (problem,) = verdict.problems
    assert "'concert' (here c) has no column 'fee'" in problem.message


def test_what_sqlglot_cannot_parse_is_left_to_sqlite(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("t2sql_tui.core.sql.check.parse", lambda statement: None)
    verdict = check("SELECT name FROM singer", database)
    assert isinstance(verdict, CheckedQuery)
    assert verdict.tables == ("singer",)
    assert verdict.tree is None
    assert "nme" in check("SELECT nme FROM singer", database).message


def test_a_checked_query_carries_its_tree(database: Database) -> None:
    verdict = check("SELECT name FROM singer;", database)
    assert isinstance(verdict, CheckedQuery)
    assert verdict.tree is not None
    assert verdict.tree.sql(dialect="sqlite") == "SELECT name FROM singer"


def test_nothing_runs(database: Database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    for sql in (
        "SELECT max(x) FROM n",
        "SELECT * FROM n ORDER BY x",
        "SELECT (SELECT max(x) FROM n)",
        "SELECT * FROM (SELECT DISTINCT x FROM n) a, (SELECT max(x) FROM n) b LIMIT 3",
        "SELECT x FROM n GROUP BY x UNION SELECT max(x) FROM n",
    ):
        started = time.process_time()
        assert isinstance(check(endless + sql, database), CheckedQuery)
        assert time.process_time() - started < 1


def test_nearest() -> None:
    assert nearest("SINGERS", ["singer", "concert"]) == ("singer",)
    assert nearest("xyz", ["singer"]) == ()


def test_gold_queries_of_spider_are_accepted(data_dir: Path) -> None:
    """Every eighth gold query that SQLite itself prepares (all 5,295 were tried once)."""
    spider = data_dir / "spider"
    pairs = sorted(
        {
            (example["db_id"], example["query"])
            for name in ("train_spider", "train_others", "dev")
            for example in json.loads((spider / f"{name}.json").read_text("utf-8"))
        }
    )[::8]
    database, seconds, rejected = None, [], []
    for name, sql in pairs:
        path = spider / "database" / name / f"{name}.sqlite"
        if database is None or database.path != path.resolve():
            if database:
                database.close()
            database = open_database(path)
        started = time.process_time()
        verdict = check(sql, database)
        seconds.append(time.process_time() - started)
        if isinstance(verdict, Rejection):
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as plain:
                try:
                    plain.execute(f"EXPLAIN {sql}")
                except sqlite3.Error:
                    continue
            rejected.append((name, sql, verdict.message))
    database.close()
    assert not rejected
    assert len(pairs) > 600
    assert sorted(seconds)[len(seconds) // 2] < 0.005
