"""Bounds on rows, bytes and single values."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.database.limits import fetch
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.types import Limits
from tests.database_files import make, query


def test_rows_are_cut_and_said_to_be(database: Database) -> None:
    rows = query(database, "SELECT a FROM t")
    assert database.run(rows, Limits(rows=1000)).truncated == ""
    cut = database.run(rows, Limits(rows=999))
    assert (len(cut.rows), cut.truncated) == (999, "rows")
    assert database.run(rows, Limits(rows=0)).truncated == "rows"


def test_bytes_are_cut_and_said_to_be(database: Database) -> None:
    blobs = query(database, "SELECT zeroblob(100000) FROM t")
    cut = database.run(blobs, Limits(bytes=1_000_000))
    assert cut.truncated == "bytes"
    assert 9 <= len(cut.rows) <= 10


def test_fetch_asks_for_little_while_rows_are_large() -> None:
    made = 0

    def blob() -> bytes:
        nonlocal made
        made += 1
        return bytes(1_000_000)

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.create_function("blob", 0, blob)
        sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT blob() FROM n"
        rows: list = []
        cut = fetch(connection.execute(sql), Limits(bytes=5_000_000), rows.extend)
    assert cut == "bytes"
    assert len(rows) == 4
    assert made <= 7


def test_cells_of_100_mb(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, zeroblob(100000000));"
    )
    with open_database(path) as database:
        found = database.run(query(database, "SELECT a, length(b), typeof(b) FROM t"))
        assert found.rows == ((1, 100_000_000, "blob"),)
        with pytest.raises(DatabaseError, match="too long") as caught:
            database.run(query(database, "SELECT * FROM t"))
        assert "Leave out" in caught.value.hint


def test_long_values_are_kept_from_slow_functions_alone(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (hex(zeroblob(1000000)), 'short');",
    )
    with open_database(path) as database:
        assert len(database._run("SELECT a, upper(a), trim(a) FROM t").rows[0][0]) == 2_000_000
        assert database._run("SELECT replace(b, 'o', '0') FROM t").rows == (("sh0rt",),)
        with pytest.raises(DatabaseError, match="too long"):
            database._run("SELECT replace(a, 'o', '0') FROM t")
