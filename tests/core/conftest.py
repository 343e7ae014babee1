from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core.database import open_database


@pytest.fixture
def shop(tmp_path: Path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);"
            "CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id INTEGER, price REAL);"
            "INSERT INTO customer VALUES (1, 'Ada', 'New York City'), (2, 'Bo', 'Paris');"
            "INSERT INTO sale VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);"
        )
    connection.close()
    with open_database(path) as database:
        yield database
