"""Damaged files and mutated SQL: no traceback, and no reader takes long.

Seeds are fixed and the time is bounded. As a script it goes on for longer and prints counts:
`python tests/core/database/test_fuzz.py SECONDS`.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.types import Limits

SECONDS = 4.0  # for each test
LONGEST = 15.0  # for one file: two of the limits for reading a schema may pass

SCRIPT = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE LOCALIZED, born TEXT NOT NULL);
CREATE TABLE "odd ""name" (a REFERENCES people, b AS (upper(a)), c AS (json_extract(a, '$.x')));
CREATE INDEX by_born ON people (born DESC) WHERE born > '1';
CREATE VIEW adults AS SELECT p.name, o.b FROM people p JOIN "odd ""name" o ON o.a = p.id;
CREATE VIRTUAL TABLE notes USING fts5 (body);
CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TRIGGER gone AFTER DELETE ON people BEGIN SELECT 1; END;
INSERT INTO people VALUES (1, 'Ann', '1990'), (2, 'Bob', '1980');
INSERT INTO "odd ""name" (a) VALUES ('{"x": 1}');
INSERT INTO notes VALUES ('a apple'); INSERT INTO keyed VALUES ('k', 1);
"""
QUERIES = (
    "SELECT p.name, count(*) AS n FROM people AS p JOIN keyed k ON k.v = p.id GROUP BY p.name",
    "WITH a AS (SELECT id, name FROM people) SELECT `id`, [name] FROM a ORDER BY 1 DESC LIMIT 3",
    "SELECT CASE WHEN born > '1985' THEN 'x''y' ELSE \"name\" END FROM people -- all\n;",
    "```sql\nSELECT 1 UNION SELECT max(id) OVER (PARTITION BY born) FROM people\n```",
    "SQLQuery: \"SELECT * FROM adults WHERE b LIKE '%a%' ESCAPE '!'\"",
    '{"sql": "SELECT \\"a\\" FROM \\"odd \\"\\"name\\""}',
)
PIECES = (
    *"()[]{}`\"'.,;*-/+\\\0\n=<>|%:é€😀\ufeff\ud800",
    *(
        " SELECT ",
        " FROM ",
        " WITH ",
        " AS ",
        " JOIN ",
        " ON ",
        " UNION ",
        " OVER ",
        "NOT ",
        "CASE ",
    ),
    *("/*", "*/", "--", "```", " IN (", "(((("),
)


def original(folder: Path) -> bytes:
    import sqlite3

    path = folder / "original.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.create_collation("LOCALIZED", lambda a, b: (a > b) - (a < b))
        connection.executescript("PRAGMA page_size = 1024;" + SCRIPT)
    return path.read_bytes()


def damaged(content: bytes, seed: int) -> bytes:
    """The file with a few bytes changed, a piece moved, or its end cut off."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 40))):
        at = chance.randrange(100, len(data)) if chance.random() < 0.9 else chance.randrange(100)
        if chance.random() < 0.5:  # the schema is on the first page
            at = chance.randrange(100, 3000)
        kind = chance.random()
        if kind < 0.6:
            data[at] = chance.randrange(256)
        elif kind < 0.8:
            size = chance.randrange(1, 40)
            data[at : at + size] = chance.randbytes(size)[: len(data) - at]
        elif kind < 0.95:
            other, size = chance.randrange(len(data)), chance.randrange(1, 60)
            piece = data[other : other + size]
            data[at : at + len(piece)] = piece[: len(data) - at]
        else:
            del data[chance.randrange(len(data) // 2, len(data)) :]
            break
    return bytes(data)


def mutated(seed: int) -> str:
    chance = random.Random(seed)
    text = chance.choice(QUERIES)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(text) + 1)
        kind = chance.random()
        if kind < 0.5:
            text = text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 3, 300)) + text[at:]
        elif kind < 0.8:
            text = text[:at] + text[at + chance.randrange(1, 9) :]
        else:
            other = chance.choice(QUERIES)
            text = text[:at] + other[chance.randrange(len(other)) :]
    return text


def schema_reader(folder: Path) -> Iterator[Callable[[int], str]]:
    content = original(folder)
    path = folder / "damaged.sqlite"

    def one(seed: int) -> str:
        path.write_bytes(damaged(content, seed))
        try:
            with open_database(path) as database:
                for table in database.schema.tables:
                    name = table.name.replace('"', '""')
                    with contextlib.suppress(DatabaseError):
                        database._run(f'SELECT * FROM "{name}"', Limits(seconds=1))
                return "opened, parts left out" if database.schema.problems else "opened"
        except DatabaseError as error:
            assert error.message and error.hint
            return "refused"

    yield one


def readers_of_sql(folder: Path) -> Iterator[Callable[[int], str]]:
    original(folder)
    with open_database(folder / "original.sqlite") as database:
        yield lambda seed: _read_sql(database, SchemaConstraint(database.schema), seed)


def _read_sql(database: Database, constraint: SchemaConstraint, seed: int) -> str:
    text = mutated(seed)
    sql = extract_sql(text)
    chance = random.Random(seed)
    for part in (text, sql, sql[: chance.randrange(len(sql) + 1)]):
        for whole in (True, False):
            constraint.accepts(part, whole)
    return type(check(sql, database)).__name__


def fuzz(
    make: Callable[[Path], Iterator[Callable[[int], str]]], seconds: float
) -> tuple[Counter[str], float]:
    """How often each outcome came, and the longest time of one input in seconds."""
    outcomes: Counter[str] = Counter()
    longest, seed, end = 0.0, 0, time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.contextmanager(make)(Path(folder)) as one,
    ):
        while time.monotonic() < end:
            started = time.monotonic()
            try:
                outcomes[one(seed)] += 1
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
            longest = max(longest, time.monotonic() - started)
            seed += 1
    return outcomes, longest


def test_damaged_files() -> None:
    outcomes, longest = fuzz(schema_reader, SECONDS)
    assert outcomes.total() and longest < LONGEST, (outcomes, longest)


def test_mutated_sql() -> None:
    outcomes, longest = fuzz(readers_of_sql, SECONDS)
    assert outcomes.total() > 20 and longest < LONGEST, (outcomes, longest)


if __name__ == "__main__":
    for make in (schema_reader, readers_of_sql):
        print(make.__name__, *fuzz(make, float(sys.argv[1])))
