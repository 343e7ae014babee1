"""What a statement may do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core.database.authorizer import is_allowed
from t2sql_tui.core.database.database import open_database
from tests.database_files import make, query


def test_the_authorizer_allows_by_list() -> None:
    allowed = {code for code in range(64) if is_allowed(code, None, None)}
    assert allowed == {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
    assert is_allowed(sqlite3.SQLITE_FUNCTION, None, "REPLACE")
    assert not is_allowed(sqlite3.SQLITE_FUNCTION, None, "load_extension")
    assert not is_allowed(sqlite3.SQLITE_FUNCTION, None, "someone_elses")
    assert not is_allowed(sqlite3.SQLITE_PRAGMA, "journal_mode", None)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT body FROM notes WHERE notes MATCH 'apple'", (("an apple",),)),
        ("SELECT highlight(notes, 0, '[', ']') FROM notes('apple')", (("an [apple]",),)),
        ("SELECT id FROM boxes WHERE x0 < 1", ((1,),)),
        ("SELECT total FROM sums", ((6,),)),
        ("SELECT double FROM made", ((4,),)),
        ("SELECT value FROM json_each('[7]')", ((7,),)),
        ("SELECT name FROM pragma_table_info('made')", (("n",),)),
        ("SELECT count(*) FROM sqlite_schema WHERE type = 'view'", ((1,),)),
        ("SELECT replace('1,5', ',', '')", (("15",),)),
        ("SELECT sum(n) OVER () FROM made", ((2,),)),
    ],
)
def test_honest_queries_of_every_kind_run(tmp_path: Path, sql: str, rows: tuple) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE VIRTUAL TABLE notes USING fts5 (body); INSERT INTO notes VALUES ('an apple');"
        "CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1); INSERT INTO boxes VALUES (1, 0, 2);"
        "CREATE VIEW sums AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n "
        "WHERE x < 3) SELECT sum(x) AS total FROM n;"
        "CREATE TABLE made (n, double AS (2 * n)); INSERT INTO made VALUES (2);",
    )
    with open_database(path) as database:
        assert database.run(query(database, sql)).rows == rows
