"""SQLite files for tests, good and bad."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery


def make(path: Path, script: str = "CREATE TABLE t (a INTEGER, b TEXT);", rows: int = 0) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        for i in range(rows):
            connection.execute("INSERT INTO t VALUES (?, ?)", (i, f"row {i}"))
        connection.commit()
    return path


def state(path: Path) -> tuple[str, list[str]]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), sorted(os.listdir(path.parent))


def query(database: Database, sql: str) -> CheckedQuery:
    verdict = check(sql, database)
    assert isinstance(verdict, CheckedQuery), verdict
    return verdict


def error_of(path: Path) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        open_database(path)
    assert caught.value.message and caught.value.hint
    return caught.value
