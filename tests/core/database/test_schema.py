"""What read_schema finds in tidy, odd, huge and hostile files."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from t2sql_tui.core.database import schema as reader
from t2sql_tui.core.database.connection import connect
from t2sql_tui.core.database.schema import affinity, read_schema
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import ForeignKey, Schema


def schema_of(path: Path, script: str = "") -> Schema:
    if script:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
            connection.commit()
    with contextlib.closing(connect(path.as_uri() + "?mode=ro")) as connection:
        return read_schema(connection)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.sqlite"


# --- tables and columns -----------------------------------------------------------


def test_kinds_and_order(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE zebra (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT NOT NULL);
        CREATE VIEW young AS SELECT b AS name, a + 1 AS next FROM zebra;
        CREATE TABLE pair (x TEXT, y INT, PRIMARY KEY (y, x)) WITHOUT ROWID;
        CREATE TABLE exact (n INTEGER, r REAL, any ANY) STRICT;
        CREATE VIRTUAL TABLE notes USING fts5 (title, body);
        CREATE VIRTUAL TABLE old USING fts4 (body);
        CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1);
        INSERT INTO zebra (b) VALUES ('x');
        ANALYZE;
    """,
    )
    assert [(t.name, t.kind) for t in schema.tables] == [
        ("zebra", "table"),
        ("young", "view"),
        ("pair", "table"),
        ("exact", "table"),
        ("notes", "virtual"),
        ("old", "virtual"),
        ("boxes", "virtual"),
    ]
    assert [(c.name, c.type, c.primary_key, c.not_null) for c in schema.table("ZEBRA").columns] == [
        ("a", "INTEGER", 1, False),
        ("b", "TEXT", 0, True),
    ]
    assert [c.primary_key for c in schema.table("pair").columns] == [2, 1]
    assert [c.type for c in schema.table("exact").columns] == ["INTEGER", "REAL", "ANY"]
    assert [c.name for c in schema.table("young").columns] == ["name", "next"]
    notes = schema.table("notes").columns
    assert [(c.name, c.hidden) for c in notes] == [
        ("title", False),
        ("body", False),
        ("notes", True),
        ("rank", True),
    ]


def test_a_table_that_only_looks_like_a_shadow_is_kept(path: Path) -> None:
    script = "CREATE TABLE my (a); CREATE TABLE my_data (a); CREATE TABLE my_rowid (a)"
    assert len(schema_of(path, script).tables) == 3


def test_generated_columns(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE t (a INT, twice INT AS (a * 2), thrice INT AS (a * 3) STORED);
        INSERT INTO t (a) VALUES (5);
    """,
    )
    assert [(c.name, c.generated, c.samples) for c in schema.tables[0].columns] == [
        ("a", False, ("5",)),
        ("twice", True, ("10",)),
        ("thrice", True, ("15",)),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        'quo"te',
        "it's",
        "select",
        "[bracket]",
        "back`tick",
        "🎉",
        "é",
        "a.b",
        "semi;colon",
        "new\nline",
        "%",
        "-- x",
        "",
        " ",
    ],
)
def test_any_name(path: Path, name: str) -> None:
    q = quoted(name)
    table = f"CREATE TABLE {q} ({q} TEXT, b REFERENCES {q} ({q}))"
    schema = schema_of(path, f"{table}; INSERT INTO {q} VALUES ('v', 1);")
    (table,) = schema.tables
    assert table.name == name
    assert table.row_count == 1
    assert (table.columns[0].name, table.columns[0].samples) == (name, ("v",))
    assert table.foreign_keys == (ForeignKey(("b",), name, (name,)),)


def test_broken_views_and_unknown_modules_are_left_out(path: Path) -> None:
    schema_of(
        path,
        """
        CREATE TABLE gone (a); CREATE VIEW broken AS SELECT a FROM gone; DROP TABLE gone;
        CREATE VIEW circle AS SELECT * FROM ring; CREATE VIEW ring AS SELECT * FROM circle;
        CREATE TABLE kept (a);
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES
          ('table', 'alien', 'alien', 0, 'CREATE VIRTUAL TABLE alien USING no_such_module (x)');
    """,
    )
    assert [table.name for table in schema_of(path).tables] == ["kept"]


def test_no_tables(path: Path) -> None:
    path.touch()
    schema = schema_of(path)
    assert schema.tables == ()
    assert len(schema.fingerprint) == 64


# --- keys -------------------------------------------------------------------------


def test_declared_keys(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE parent (a INT, b INT, c TEXT UNIQUE, PRIMARY KEY (b, a));
        CREATE TABLE child (
          x INT, y INT, z TEXT REFERENCES PARENT (C), w REFERENCES nowhere, v REFERENCES parent,
          self INT REFERENCES child (x),
          FOREIGN KEY (x, y) REFERENCES parent, FOREIGN KEY (y, x) REFERENCES parent (A, B),
          FOREIGN KEY (z) REFERENCES parent (c));
    """,
    )
    assert schema.table("child").foreign_keys == (
        ForeignKey(("z",), "parent", ("c",)),  # declared twice, told once, spelled as stored
        ForeignKey(("self",), "child", ("x",)),
        ForeignKey(("x", "y"), "parent", ("b", "a")),  # the primary key, in its own order
        ForeignKey(("y", "x"), "parent", ("a", "b")),
    )


def test_inferred_keys(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE shop (shop_id INTEGER PRIMARY KEY, code TEXT);
        CREATE TABLE cities (id INTEGER PRIMARY KEY);
        CREATE TABLE codes (code TEXT PRIMARY KEY);
        CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id BIGINT, SHOP_ID INT, city_id TEXT,
          code TEXT, customerid INT REFERENCES customers (id));
        CREATE TABLE twin_a (twin_id INT PRIMARY KEY);
        CREATE TABLE twin_b (twin_id INT PRIMARY KEY);
        CREATE TABLE twins (twin_id INT);
    """,
    )
    assert schema.table("sale").foreign_keys == (
        ForeignKey(("customerid",), "customers", ("id",)),
        ForeignKey(("customer_id",), "customers", ("id",), inferred=True),
        ForeignKey(("SHOP_ID",), "shop", ("shop_id",), inferred=True),
    )  # not city_id: another type; not code: a vague name
    others = [t for t in schema.tables if t.name != "sale"]
    assert not any(table.foreign_keys for table in others)


def test_inferred_keys_of_spider_are_right(data_dir: Path) -> None:
    """Where a file declares keys, what we would have inferred is nearly always among them."""
    right = wrong = 0
    for path in sorted((data_dir / "spider" / "database").glob("*/*.sqlite")):
        schema = schema_of(path)
        declared = {
            (t.name, key.columns, key.table, key.ref_columns)
            for t in schema.tables
            for key in t.foreign_keys
            if not key.inferred
        }
        bare = [reader.dataclasses.replace(t, foreign_keys=()) for t in schema.tables]
        for table in reader._with_inferred_keys(bare):
            of_table = {one for one in declared if one[0] == table.name}
            for key in table.foreign_keys if of_table else ():
                if (table.name, key.columns, key.table, key.ref_columns) in of_table:
                    right += 1
                else:
                    wrong += 1
    assert right > 150
    assert right / (right + wrong) > 0.9


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("VARCHAR(20)", "TEXT"),
        ("bigint", "INTEGER"),
        ("FLOATING POINT", "INTEGER"),
        ("double precision", "REAL"),
        ("DECIMAL(5, 2)", "NUMERIC"),
        ("", "BLOB"),
        ("DATE", "NUMERIC"),
    ],
)
def test_affinity(declared: str, expected: str) -> None:
    assert affinity(declared) == expected


# --- samples and counts -----------------------------------------------------------


def test_samples(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE t (often TEXT, number REAL, blob BLOB, long TEXT, bad TEXT, empty, odd TEXT);
        INSERT INTO t VALUES
          ('b', 1.5, x'00', printf('%.*c', 61, 'x'), CAST(x'ff41' AS TEXT), NULL, 'a' || char(0)),
          ('a', 2, x'01', 'short', 'good', NULL, 'tab' || char(9)),
          ('a', 2, x'02', '', 'good', NULL, '  '),
          ('c', 3, NULL, NULL, NULL, NULL, 'fine é 🎉');
    """,
    )
    samples = {c.name: c.samples for c in schema.tables[0].columns}
    assert samples == {
        "often": ("a", "b", "c"),
        "number": ("2.0", "1.5", "3.0"),
        "blob": (),
        "long": ("short",),
        "bad": ("good",),
        "empty": (),
        "odd": ("fine é 🎉",),
    }


def test_huge_cells_are_not_read(path: Path) -> None:
    script = """
        CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, after TEXT);
        INSERT INTO t VALUES
          (1, 'first', 'a'), (2, 'second', 'a'), (3, hex(zeroblob(20000000)), 'b');
    """
    schema_of(path, script)
    started = time.process_time()
    schema = schema_of(path)
    assert time.process_time() - started < 0.5
    samples = [c.samples for c in schema.tables[0].columns]
    assert samples == [("1", "2", "3"), ("first",), ("a", "b")]  # Python drops the row before


def test_a_generated_column_that_fails_spares_the_others(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE t (a INT, b AS (hex(zeroblob(a))), c AS (a + 1));
        INSERT INTO t (a) VALUES (1), (1), (1000000);
    """,
    )
    assert [c.samples for c in schema.tables[0].columns] == [
        ("1", "1000000"),
        ("00",),
        ("2", "1000001"),
    ]


def test_counts(path: Path) -> None:
    schema = schema_of(
        path,
        """
        CREATE TABLE gaps (a INTEGER PRIMARY KEY); INSERT INTO gaps VALUES (1), (1000000000);
        CREATE TABLE below (a INTEGER PRIMARY KEY); INSERT INTO below VALUES (-5), (7), (8);
        CREATE TABLE keyed (a TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO keyed VALUES ('x');
        CREATE TABLE none (a);
        CREATE VIEW seen AS SELECT * FROM gaps;
        CREATE VIRTUAL TABLE notes USING fts5 (a);
    """,
    )
    assert {t.name: t.row_count for t in schema.tables} == {
        "gaps": 2,
        "below": 3,
        "keyed": 1,
        "none": 0,
        "seen": None,
        "notes": None,
    }


def test_a_count_that_takes_too_long_is_unknown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
        CREATE TABLE big (a); CREATE TABLE small (a); INSERT INTO small VALUES (1);
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000)
          INSERT INTO big SELECT x FROM n;
    """
    whole = schema_of(path, script)
    assert whole.table("big").row_count == 300_000
    monkeypatch.setattr(reader, "COUNT_SECONDS", 0.0)
    hurried = schema_of(path)
    assert hurried.table("big").row_count is None
    assert hurried.table("small").row_count == 1  # below the handler's period: always counted
    assert hurried.fingerprint == whole.fingerprint


# --- size and fingerprint ---------------------------------------------------------


def make_wide(path: Path, rows: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(f"column_{i} TEXT" for i in range(18))
        for number in range(1000):
            connection.execute(
                f"CREATE TABLE table_{number} (id INTEGER PRIMARY KEY, "
                f"other_id REFERENCES table_{number // 2} (id), {columns})"
            )
            connection.executemany(
                f"INSERT INTO table_{number} VALUES ({','.join('?' * 20)})",
                [(r, 1, *(f"value {r * c % 7} of {c}" for c in range(18))) for r in range(rows)],
            )
        connection.commit()


def test_a_thousand_tables_open_in_two_seconds(path: Path) -> None:
    make_wide(path, rows=30)
    started = time.process_time()
    schema = schema_of(path)
    seconds = time.process_time() - started
    assert len(schema.tables) == 1000
    assert sum(len(table.columns) for table in schema.tables) == 20_000
    assert schema.tables[-1].columns[-1].samples
    assert schema.tables[-1].row_count == 30
    assert seconds < 2
    assert schema_of(path).fingerprint == schema.fingerprint


def test_views_upon_views_do_not_hang(path: Path) -> None:
    ladder = "CREATE VIEW v0 AS SELECT 1 AS x;" + "".join(
        f"CREATE VIEW v{i} AS SELECT a.x FROM v{i - 1} a, v{i - 1} b;" for i in range(1, 40)
    )
    started = time.monotonic()
    schema = schema_of(path, ladder + "CREATE TABLE kept (a);")
    assert time.monotonic() - started < 10
    names = [table.name for table in schema.tables]
    assert names[:3] == ["v0", "v1", "v2"]
    assert "kept" in names
    assert "v39" not in names


def test_fingerprint_follows_what_a_prompt_shows(path: Path) -> None:
    first = schema_of(path, "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x');")
    assert schema_of(path).fingerprint == first.fingerprint
    more = schema_of(path, "INSERT INTO t VALUES ('x');")  # another count, the same samples
    assert more.tables[0].row_count == 2
    assert more.fingerprint == first.fingerprint
    seen = {first.fingerprint}
    for change in (
        "INSERT INTO t VALUES ('y')",
        "ALTER TABLE t ADD COLUMN b INT",
        "CREATE TABLE u (c INTEGER PRIMARY KEY)",
        "ALTER TABLE t ADD COLUMN u_c REFERENCES u",
        "ALTER TABLE t RENAME TO s",
    ):
        seen.add(schema_of(path, change + ";").fingerprint)
    assert len(seen) == 6
