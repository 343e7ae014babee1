"""Which stored values a question mentions."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.prompting.value_matching import find_values

SCRIPT = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, sex TEXT, city TEXT, about TEXT);
INSERT INTO person (name, sex, city, about) VALUES
  ('Billy Cobham', 'M', 'New York City', 'plays the drums'),
  ('José Ibáñez', 'M', 'São Paulo', NULL),
  ('Ada Lovelace', 'F', 'London', printf('%.*c', 61, 'x')),
  ('O''Brien', 'F', 'Los Angeles', 'Goalkeeper'),
  ('Zoë', 'F', '北京', CAST(x'ff4142434445' AS TEXT)),
  ('York', 'M', 'Massachusetts', 'student');
CREATE TABLE student (id INTEGER PRIMARY KEY, class TEXT, country TEXT, score INT, year TEXT);
INSERT INTO student (class, country, score, year) VALUES
  ('Spring 2008', 'USA', 2014, '2014'), ('Boeing 737-800', 'United Kingdom', 1, '7');
CREATE TABLE secret (hash TEXT);
INSERT INTO secret VALUES ('0123456789abcdef0123456789abcdef');
CREATE VIEW everyone AS SELECT name AS who FROM person;
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("values") / "people.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    with open_database(path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "value", "score"),
    [
        ("Who lives in London?", "London", 1.0),
        ("who lives in LONDON", "London", 0.95),
        ("Was ist mit Sao Paulo?", "São Paulo", 0.9),
        ("people called jose ibanez", "José Ibáñez", 0.9),
        ("goalkeepers, please", "Goalkeeper", 0.85),
        ("How old is O'Brien?", "O'Brien", 1.0),
        ("flights on the Boeing 737 800", "Boeing 737-800", 0.9),
        ("everyone in NYC", "New York City", 0.75),
        ("students from the United States of America", "USA", 0.7),
        ("How many women are there?", "F", 0.6),
        ("Who was in class Spring 2008?", "Spring 2008", 1.0),
        ("scores of 2014", "2014", 1.0),
        ("谁住在北京市?", "北京", 1.0),
        ("Who is Zoe", "Zoë", 0.9),
    ],
)
def test_found(database: Database, folder: Path, question: str, value: str, score: float) -> None:
    found = {match.value: match.score for match in find_values(database, question, folder=folder)}
    assert found.get(value) == score


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("people from Massachusets", "Massachusetts"),
        ("songs by Billy Cobam", "Billy Cobham"),
        ("is ada lovelase here", "Ada Lovelace"),
        ("citizens of Los Angelos", "Los Angeles"),
    ],
)
def test_near_misses(database: Database, folder: Path, question: str, value: str) -> None:
    best = find_values(database, question, folder=folder)[0]
    assert best.value == value
    assert 0.5 < best.score < 0.8


@pytest.mark.parametrize(
    "question",
    [
        "",
        "?!",
        "List everything",
        "a question of 7 words about nothing known",
        "x" * 61,
        "0123456789abcdef0123456789abcdef",
        "what is m and f",
        "\ufffdABCDE ABCDE",
    ],
)
def test_nothing_found(database: Database, folder: Path, question: str) -> None:
    assert find_values(database, question, folder=folder) == ()


def test_longer_values_hide_those_inside(database: Database, folder: Path) -> None:
    found = find_values(database, "people of New York City", folder=folder)
    assert [match.value for match in found] == ["New York City"]
    found = find_values(database, "people called York", folder=folder)
    assert [match.value for match in found] == ["York"]


def test_the_name_of_a_table_counts_less(database: Database, folder: Path) -> None:
    (match,) = find_values(database, "list the students", folder=folder)
    assert (match.value, match.score) == ("student", pytest.approx(0.85 * 0.6))
    (match,) = find_values(database, "who is a 'Student'?", folder=folder)
    assert match.score == 0.95


def test_limit_and_order(database: Database, folder: Path) -> None:
    question = "London, Zoë, spring 2008, Massachusets and NYC"
    found = find_values(database, question, folder=folder)
    scores = [match.score for match in found]
    assert len(found) == 5
    assert scores == sorted(scores, reverse=True)
    assert find_values(database, question, limit=2, folder=folder) == found[:2]
    assert find_values(database, question, folder=folder) == found
    assert find_values(database, question, limit=0, folder=folder) == ()


def test_long_and_strange_questions(database: Database, folder: Path) -> None:
    started = time.process_time()
    for question in (
        "wordy " * 2000,
        "z" * 10_000,
        "é" * 10_000,
        '" OR * NEAR( ' * 500,
        "北" * 3000,
        "'" * 9000,
        "\0\ud800 London",
    ):
        found = find_values(database, question, folder=folder)
        assert [match.value for match in found] == (["London"] if "London" in question else [])
    assert time.process_time() - started < 5
