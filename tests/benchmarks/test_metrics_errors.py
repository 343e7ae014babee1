"""One wrong prediction for each kind of mistake, judged as a run would judge it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.metrics.errors import Mistake, classify
from benchmarks.metrics.execution import ExecutionVerdict, verdict
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.types import Limits

SCHEMA = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, country TEXT);
CREATE TABLE concert (id INTEGER PRIMARY KEY, year INTEGER, hall TEXT);
CREATE TABLE singer_in_concert (singer_id INTEGER REFERENCES singer(id),
                                concert_id INTEGER REFERENCES concert(id));
INSERT INTO singer VALUES (1, 'Ann', 30, 'France'), (2, 'Bob', 25, 'Spain'),
                          (3, 'Cy', 30, 'France'), (4, 'Ann', 41, 'Peru');
INSERT INTO concert VALUES (1, 2014, 'A'), (2, 2015, 'B'), (3, 2014, 'A');
INSERT INTO singer_in_concert VALUES (1, 1), (2, 1), (1, 2), (4, 3);
"""
JOINED = (
    "SELECT T1.name FROM singer AS T1 JOIN singer_in_concert AS T2 ON T1.id = T2.singer_id"
    " JOIN concert AS T3 ON T2.concert_id = T3.id WHERE T3.year = 2014"
)
TOP = "SELECT name FROM singer ORDER BY age DESC LIMIT 1"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

CASES = [
    ("syntax", "SELECT name FROM singer", "SELECT name FROM FROM singer"),
    ("syntax", "SELECT name FROM singer", "I do not know."),
    ("syntax", "SELECT name FROM singer", ""),
    ("syntax", "SELECT name FROM singer", "DELETE FROM singer"),
    ("unknown table", "SELECT name FROM singer", "SELECT name FROM singers"),
    ("unknown column", "SELECT name FROM singer", "SELECT singer_name FROM singer"),
    ("unknown column", JOINED, JOINED.replace("T1.name", "T2.name")),
    ("unknown column", JOINED, JOINED.replace("T1.name", "id")),
    ("missing join", JOINED, "SELECT name FROM singer"),
    ("wrong join path", JOINED, JOINED.replace("T1.id = T2.singer_id", "T1.id = T2.concert_id")),
    ("wrong join path", "SELECT count(*) FROM singer", "SELECT count(*) FROM concert"),
    ("wrong aggregation", "SELECT max(age) FROM singer", "SELECT min(age) FROM singer"),
    ("wrong column set", "SELECT max(age) FROM singer", "SELECT max(id) FROM singer"),
    ("wrong aggregation", "SELECT count(*) FROM singer", "SELECT avg(*) FROM singer"),
    (
        "wrong aggregation",
        "SELECT country, count(*) FROM singer GROUP BY country",
        "SELECT country, count(*) FROM singer GROUP BY id",
    ),
    ("wrong filter value", JOINED, JOINED.replace("2014", "2015")),
    (
        "wrong filter value",
        "SELECT id FROM singer WHERE country = 'France'",
        'SELECT id FROM singer WHERE country = "france"',
    ),
    (
        "wrong filter value",
        "SELECT id FROM singer WHERE age > 30",
        "SELECT id FROM singer WHERE age >= 30",
    ),
    (
        "wrong filter column",
        "SELECT id FROM singer WHERE age > 2",
        "SELECT id FROM singer WHERE id > 2",
    ),
    (
        "wrong filter column",
        "SELECT id FROM singer WHERE country = 'Peru'",
        "SELECT id FROM singer",
    ),
    ("missing or extra DISTINCT, ORDER or LIMIT", TOP, TOP.replace(" LIMIT 1", "")),
    ("missing or extra DISTINCT, ORDER or LIMIT", TOP, TOP.replace("DESC", "ASC")),
    (
        "missing or extra DISTINCT, ORDER or LIMIT",
        "SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1",
        "SELECT country FROM singer GROUP BY country",
    ),
    ("wrong column set", "SELECT name FROM singer", "SELECT name, age FROM singer"),
    ("wrong column set", JOINED, JOINED.replace("T1.name", "T3.hall")),
    ("time-out", "SELECT count(*) FROM singer", ENDLESS),
    (
        "other",
        "SELECT id FROM singer WHERE age = 30 OR country = 'Peru'",
        "SELECT id FROM singer WHERE age = 30 AND country = 'Peru'",
    ),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("errors") / "singers.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


@pytest.mark.parametrize(("kind", "gold", "predicted"), CASES)
def test_kinds(kind: str, gold: str, predicted: str, database: Path) -> None:
    seconds = 1 if kind == "time-out" else 30
    found = verdict(gold, predicted, [database], limits=Limits(seconds=seconds))
    assert not found.correct and not found.gold_fails
    with open_database(database) as opened:
        assert classify(gold, predicted, found, opened.schema) == kind


def test_every_kind_has_a_case() -> None:
    assert {kind for kind, *_ in CASES} == set(get_args(Mistake))


def test_distinct_is_the_mistake_only_where_it_counts(database: Path) -> None:
    gold, predicted = "SELECT DISTINCT country FROM singer", "SELECT country FROM singer"
    found = verdict(gold, predicted, [database], keep_distinct=True)
    assert not found.correct
    with open_database(database) as opened:
        kind = classify(gold, predicted, found, opened.schema)
    assert kind == "missing or extra DISTINCT, ORDER or LIMIT"


@pytest.mark.parametrize("predicted", ["", "(" * 3000, "SELECT 1; SELECT 2", "VALUES (1)"])
def test_nothing_makes_it_raise(predicted: str, database: Path) -> None:
    wrong = ExecutionVerdict(correct=False, strict=False, predicted_runs=True)
    with open_database(database) as opened:
        assert classify("SELECT name FROM singer", predicted, wrong, opened.schema) in get_args(
            Mistake
        )
