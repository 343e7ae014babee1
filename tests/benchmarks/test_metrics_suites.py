"""Generated test suites: neighbours keep tables, keys and types, and catch luck."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from benchmarks.metrics import test_suites
from benchmarks.metrics.execution import verdict
from benchmarks.metrics.mutants import mutants
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.database.schema import read_schema
from t2sql_tui.core.errors import DatabaseError

SCHEMA = """
CREATE TABLE stadium (id INTEGER PRIMARY KEY, name TEXT NOT NULL, capacity INTEGER);
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER, country TEXT,
                     height REAL, born TEXT, code TEXT);
CREATE TABLE concert (id INTEGER PRIMARY KEY, stadium_id INTEGER NOT NULL REFERENCES stadium,
                      year INTEGER, theme TEXT);
CREATE TABLE singer_in_concert (singer_id INTEGER REFERENCES singer(id),
                                concert_id INTEGER REFERENCES concert(id),
                                PRIMARY KEY (singer_id, concert_id));
CREATE TABLE review ("the text" TEXT, stars INTEGER CHECK (stars BETWEEN 1 AND 5),
                     doubled INTEGER AS (stars * 2), concert INTEGER);
CREATE VIEW old AS SELECT * FROM concert WHERE year < 2000;
CREATE INDEX by_year ON concert (year);
CREATE TRIGGER no_more BEFORE INSERT ON review BEGIN SELECT raise(ABORT, 'full'); END;
"""
ROWS = """
INSERT INTO stadium VALUES (1, 'North', 500), (2, 'South', 900), (3, 'East', 900),
                           (4, 'West', NULL);
INSERT INTO singer VALUES (1, 'Ann', 30, 'France', 1.6, '1990-01-02', '007'),
                          (2, 'Bob', 25, 'Spain', 1.8, '1995-03-04', '012'),
                          (3, 'Cy', 41, 'France', 1.7, '1979-05-06', '100'),
                          (4, 'Di', 52, 'Peru', 1.75, '1968-07-08', '204');
INSERT INTO concert VALUES (1, 1, 2014, 'Free'), (2, 2, 2015, 'Wide'), (3, 1, 2014, 'Free'),
                           (4, 3, 2016, 'Home');
INSERT INTO singer_in_concert VALUES (1, 1), (2, 1), (3, 2), (1, 3), (4, 4);
"""
GOLDS = [
    "SELECT name FROM singer WHERE age > 40",
    "SELECT T1.name FROM singer AS T1 JOIN singer_in_concert AS T2 ON T1.id = T2.singer_id"
    " JOIN concert AS T3 ON T2.concert_id = T3.id WHERE T3.year = 2014",
    "SELECT T2.name, count(*) FROM concert AS T1 JOIN stadium AS T2 ON T1.stadium_id = T2.id"
    " GROUP BY T2.id",
    "SELECT name FROM stadium ORDER BY capacity DESC LIMIT 1",
    "SELECT max(height) FROM singer WHERE country = 'France'",
    "SELECT name FROM singer WHERE country = 'France' AND age < 35",
    "SELECT avg(stars) FROM review AS T1 JOIN concert AS T2 ON T1.concert = T2.id"
    " WHERE T2.theme LIKE '%ree%'",
    "SELECT theme FROM concert WHERE id = 77 OR stadium_id = 99",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "concerts.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA.partition("CREATE TRIGGER")[0] + ROWS)
    connection.execute("INSERT INTO review VALUES ('good', 4, 1), ('bad', 1, 2), ('fair', 3, 4)")
    connection.executescript("CREATE TRIGGER" + SCHEMA.partition("CREATE TRIGGER")[2])
    connection.close()
    return path


@pytest.fixture(scope="module")
def suite(database: Path, tmp_path_factory: pytest.TempPathFactory) -> test_suites.Neighbours:
    return test_suites.build(database, GOLDS, count=6, folder=tmp_path_factory.mktemp("suites"))


def test_neighbours_have_the_tables_of_the_original(
    database: Path, suite: test_suites.Neighbours
) -> None:
    with open_database(database) as opened:
        original = opened.schema
    assert len(suite.files) == 6
    for path in suite.files:
        connection = sqlite3.connect(path)
        found = read_schema(connection)
        names = [
            [
                (
                    t.name,
                    t.kind,
                    [(c.name, c.type, c.primary_key) for c in t.columns],
                    [k for k in t.foreign_keys if not k.inferred],
                )
                for t in schema.tables
            ]
            for schema in (original, found)
        ]
        assert names[0] == names[1]
        connection.close()


def test_rows_are_new_and_keep_keys_and_types(suite: test_suites.Neighbours) -> None:
    contents = set()
    for path in suite.files:
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in ("stadium", "singer", "concert", "singer_in_concert", "review"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0
        kinds = connection.execute(
            "SELECT DISTINCT typeof(age), typeof(country), typeof(height), typeof(code)"
            " FROM singer WHERE age + height IS NOT NULL AND country || code IS NOT NULL"
        ).fetchall()
        assert kinds == [("integer", "text", "real", "text")]
        contents.add(str(connection.execute("SELECT * FROM singer").fetchall()))
        connection.close()
    assert len(contents) == len(suite.files)


def test_a_join_in_a_gold_makes_its_columns_meet(suite: test_suites.Neighbours) -> None:
    # review.concert is no declared key, but the last gold joins it with concert.id.
    for path in suite.files:
        connection = sqlite3.connect(path)
        assert connection.execute(
            "SELECT count(*) FROM review WHERE concert NOT IN (SELECT id FROM concert)"
        ).fetchone() == (0,)
        connection.close()


def test_it_kills_more_mutants_than_the_original(suite: test_suites.Neighbours) -> None:
    assert suite.mutants > 60
    assert suite.killed_by_original < suite.killed <= suite.mutants
    assert suite.killed / suite.mutants > 0.85


@pytest.mark.parametrize(
    ("gold", "lucky"),
    [
        (GOLDS[0], "SELECT name FROM singer WHERE age >= 40"),
        (GOLDS[0], "SELECT name FROM singer WHERE age > 39"),
        (GOLDS[1], GOLDS[1].replace("year = 2014", "year < 2015")),
        (GOLDS[4], "SELECT max(height) FROM singer WHERE country = 'France' AND height < 1.8"),
        (GOLDS[5], "SELECT name FROM singer WHERE country = 'France' AND age <= 35"),
    ],
)
def test_a_query_that_is_right_by_luck_is_caught(
    gold: str, lucky: str, database: Path, suite: test_suites.Neighbours
) -> None:
    assert verdict(gold, lucky, [database]).correct
    assert not verdict(gold, lucky, suite.files_for(gold)).correct


def test_golds_and_their_likes_stay_right(suite: test_suites.Neighbours) -> None:
    same = {
        GOLDS[0]: "SELECT DISTINCT name FROM singer WHERE NOT age <= 40",
        GOLDS[1]: "SELECT name FROM concert AS C JOIN singer_in_concert AS S ON C.id = concert_id"
        " JOIN singer ON singer.id = S.singer_id WHERE C.year = 2014",
        GOLDS[3]: "SELECT name FROM (SELECT * FROM stadium ORDER BY name) ORDER BY capacity DESC"
        " LIMIT 1",
    }
    for gold in GOLDS:
        assert verdict(gold, gold, suite.files).correct
        assert suite.files_for(gold)
        assert verdict(gold, same.get(gold, gold), suite.files_for(gold)).correct


def test_a_gold_without_a_single_answer_is_left_out(database: Path, tmp_path: Path) -> None:
    # Any singer may be the first of a country; one stadium has no tie.
    open_ended = "SELECT name, country FROM singer GROUP BY country"
    golds = [open_ended, "SELECT count(*) FROM singer"]
    suite = test_suites.build(database, golds, count=3, folder=tmp_path)
    assert len(suite.files_for(open_ended)) < 3
    assert len(suite.files_for(golds[1])) == 3


def test_the_same_seed_gives_the_same_suite(
    database: Path, suite: test_suites.Neighbours, tmp_path: Path
) -> None:
    again = test_suites.build(database, GOLDS, count=6, folder=tmp_path / "again")
    assert [path.read_bytes() for path in again.files] == [
        path.read_bytes() for path in suite.files
    ]
    assert again.unstable == suite.unstable and again.killed == suite.killed
    other = test_suites.build(database, GOLDS, count=1, seed=1, folder=tmp_path / "again")
    assert other.files[0].read_bytes() != suite.files[0].read_bytes()


def test_a_suite_is_kept_until_the_database_changes(database: Path, tmp_path: Path) -> None:
    original = tmp_path / "copy.sqlite"
    shutil.copyfile(database, original)
    first = test_suites.build(original, GOLDS[:2], count=1, folder=tmp_path / "kept")
    written = first.files[0].stat().st_mtime_ns
    second = test_suites.build(original, GOLDS[:2], count=1, folder=tmp_path / "kept")
    assert second == first and second.files[0].stat().st_mtime_ns == written
    connection = sqlite3.connect(original)
    connection.execute("INSERT INTO stadium VALUES (9, 'New', 1)")
    connection.commit()
    connection.close()
    third = test_suites.build(original, GOLDS[:2], count=1, folder=tmp_path / "kept")
    assert third.files != first.files
    assert not list((tmp_path / "kept").glob("unfinished-*"))


def test_bad_golds_and_bad_files(database: Path, tmp_path: Path) -> None:
    golds = ["SELECT nothing FROM nowhere", "not SQL (", ""]
    suite = test_suites.build(database, golds, count=1, folder=tmp_path)
    assert suite.mutants == 0 and len(suite.files) == 1
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"no database " * 100)
    for path in (broken, tmp_path / "missing.sqlite"):
        with pytest.raises(DatabaseError):
            test_suites.build(path, GOLDS, count=1, folder=tmp_path)


def test_an_empty_database_has_neighbours_with_rows(tmp_path: Path) -> None:
    original = tmp_path / "empty.sqlite"
    connection = sqlite3.connect(original)
    connection.executescript(SCHEMA.partition("CREATE TRIGGER")[0])
    connection.close()
    suite = test_suites.build(original, GOLDS, count=2, folder=tmp_path)
    assert suite.killed > suite.killed_by_original
    assert not verdict(GOLDS[0], "SELECT name FROM singer WHERE age < 40", suite.files).correct


def test_odd_values_and_odd_constants(tmp_path: Path) -> None:
    original = tmp_path / "odd.sqlite"
    connection = sqlite3.connect(original)
    connection.executescript(
        "CREATE TABLE parent (id TEXT PRIMARY KEY, big INTEGER, far REAL, raw BLOB);"
        "CREATE TABLE child (id INTEGER PRIMARY KEY REFERENCES parent(id), big INTEGER UNIQUE);"
        "CREATE TABLE only (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;"
        "CREATE VIRTUAL TABLE words USING fts5(body);"
        f"INSERT INTO parent VALUES ('x', {2**63 - 1}, 9e999, x'ff00'),"
        f" ('y', {-(2**63)}, -1, NULL);"
        f"INSERT INTO child VALUES (1, {2**63 - 1});"
    )
    connection.close()
    golds = [
        "SELECT id FROM parent WHERE big > 99999999999999999999 OR far < 1e400 OR big = 0x10",
        "SELECT count(*) FROM child JOIN parent ON child.id = parent.id",
        "SELECT a FROM only WHERE b = -3",
    ]
    suite = test_suites.build(original, golds, count=2, folder=tmp_path)
    for gold in golds:
        assert verdict(gold, gold, suite.files).correct


def test_mutants_change_one_thing(database: Path) -> None:
    with open_database(database) as opened:
        schema = opened.schema
    found = mutants(
        "SELECT max(age) FROM singer WHERE country = 'France' AND age >= 3 ORDER BY age LIMIT 1",
        schema,
        Random(0),
        limit=1000,
    )
    rest = "WHERE country = 'France' AND age >= 3"
    for expected in (
        f"SELECT MIN(age) FROM singer {rest} ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer WHERE country = 'France' AND age > 3 ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer WHERE country = 'France' AND age >= 4 ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer WHERE country = 'France' OR age >= 3 ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer WHERE country = 'France' ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer WHERE country <> 'France' AND age >= 3 ORDER BY age LIMIT 1",
        "SELECT MAX(age) FROM singer ORDER BY age LIMIT 1",
        f"SELECT MAX(age) FROM singer {rest} ORDER BY age DESC LIMIT 1",
        f"SELECT MAX(age) FROM singer {rest} ORDER BY age LIMIT 2",
        f"SELECT MAX(age) FROM singer {rest} ORDER BY age",
        f"SELECT MAX(age) FROM singer {rest} LIMIT 1",
        f"SELECT MAX(id) FROM singer {rest} ORDER BY age LIMIT 1",
    ):
        assert expected in found
    assert len(set(found)) == len(found)
    assert mutants("not SQL (", schema, Random(0)) == []
