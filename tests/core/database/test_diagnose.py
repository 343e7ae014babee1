"""What is said of files that cannot be read, and of queries that fail."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.sql.check import check
from tests.database_files import error_of, make, query, state


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    make(tmp_path / "sales.sqlite")
    error = error_of(tmp_path / "sale.sqlite")
    assert "There is no file" in error.message
    assert "sales.sqlite" in error.hint
    assert not (tmp_path / "sale.sqlite").exists()
    assert "Check the path" in error_of(tmp_path / "no" / "such.db").hint


def test_folder(tmp_path: Path) -> None:
    make(tmp_path / "sales.sqlite")
    error = error_of(tmp_path)
    assert "is a folder" in error.message
    assert "sales.sqlite" in error.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,name\n1,Ann\n" * 100, "text file"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (random.Random(1).randbytes(8192), "encrypted"),
        (bytes(4096), "not a SQLite file"),
        (b"SQLite format 3\0" + bytes(20), "SQLite file"),
        (b"SQLite format 3\0" + random.Random(2).randbytes(8176), "SQLite file"),
    ],
)
def test_not_a_database(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert said in error_of(path).message
    assert path.read_bytes() == content


def test_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in error_of(tmp_path / "pipe").message


def test_corrupt_page_spares_the_other_tables(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t (a, b); CREATE TABLE u (x);INSERT INTO u VALUES (7);",
        rows=5000,
    )
    content = bytearray(path.read_bytes())
    content[4096 * 10 : 4096 * 30] = random.Random(3).randbytes(4096 * 20)
    path.write_bytes(content)
    with open_database(path) as database:
        assert database.run(query(database, "SELECT * FROM u")).rows == ((7,),)
        with pytest.raises(DatabaseError, match="damaged") as caught:
            database.run(query(database, "SELECT sum(length(b)) FROM t"))
        assert ".recover" in caught.value.hint
    assert path.read_bytes() == content


def test_truncated_file(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=5000)
    os.truncate(path, 4096 * 3 + 100)
    try:
        with open_database(path) as database:
            database.run(query(database, "SELECT sum(a) FROM t"))
    except DatabaseError as error:
        assert "damaged" in error.message
    else:
        pytest.fail("a truncated file was read to its end")


def test_file_that_shrinks_while_open(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=5000)
    with open_database(path) as database:
        os.truncate(path, 4096)
        with pytest.raises(DatabaseError):
            database.run(query(database, "SELECT sum(a) FROM t"))


def test_locked_by_a_writer(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=3)
    # In a process of its own: a lock of this one ends when any file handle of it is closed.
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('BEGIN EXCLUSIVE'); "
        "print(flush=True); input(); db.rollback()"
    )
    with (
        open_database(path) as database,
        subprocess.Popen(
            [sys.executable, "-c", program, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer,
    ):
        assert writer.stdout and writer.stdin
        writer.stdout.readline()
        with pytest.raises(DatabaseError, match="locked"):
            database._run("SELECT * FROM t")
        assert "locked" in error_of(path).message
        with pytest.raises(DatabaseError, match="locked"):  # not a Rejection of the SQL
            check("SELECT a FROM t", database)
        writer.stdin.write(b"\n")
        writer.stdin.close()
        writer.wait()
        assert len(database._run("SELECT * FROM t").rows) == 3


def test_hot_journal_is_explained(tmp_path: Path) -> None:
    path = make(tmp_path / "live.db", rows=3000)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA cache_size = 5")
        writer.execute("UPDATE t SET b = b || 'x'")  # spills: pages and journal are on disk
        for end in ("", "-journal"):
            shutil.copyfile(f"{path}{end}", crashed / f"t.db{end}")
        writer.rollback()
    before = state(crashed / "t.db")
    error = error_of(crashed / "t.db")
    assert "middle of a write" in error.message
    assert state(crashed / "t.db") == before
