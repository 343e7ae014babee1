from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database


@pytest.fixture
def opened(tmp_path: Path):
    """`with opened(script) as database`: a new file that the script has made."""

    @contextlib.contextmanager
    def make(script: str) -> Iterator[Database]:
        path = tmp_path / "made.sqlite"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        with open_database(path) as database:
            yield database

    return make


@pytest.fixture
def shop(opened):
    with opened(
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);"
        "CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id INTEGER, price REAL);"
        "INSERT INTO customer VALUES (1, 'Ada', 'New York City'), (2, 'Bo', 'Paris');"
        "INSERT INTO sale VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);"
    ) as database:
        yield database
