"""Opening files and running checked queries."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery
from tests.database_files import make, query


@pytest.mark.parametrize(
    "name",
    ["plain.db", "a b.db", "what?.db", "half#.db", "100%41.db", "é☃.db", "it's.db", "a&b=c.db"],
)
def test_any_file_name(tmp_path: Path, name: str) -> None:
    with open_database(make(tmp_path / name, rows=2)) as database:
        assert database.run(query(database, "SELECT count(*) FROM t")).rows == ((2,),)
    assert os.listdir(tmp_path) == [name]


def test_relative_path_and_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "t.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("t.db", "~/t.db"):
        with open_database(given) as database:
            assert database.path == (tmp_path / "t.db").resolve()


def test_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with open_database(path) as database:
        assert database.schema.tables == ()
        assert "no tables" in check("SELECT * FROM t", database).message
        assert database.run(query(database, "SELECT 1 AS one")).rows == ((1,),)
    assert path.stat().st_size == 0


def test_run_takes_nothing_but_a_checked_query(database: Database) -> None:
    with pytest.raises(TypeError):
        database.run("SELECT 1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        CheckedQuery("DELETE FROM t", (), (), key=object())


def test_many_threads(database: Database) -> None:
    answers: list[object] = []

    def work(number: int) -> None:
        for _ in range(20):
            answers.append(database.run(query(database, f"SELECT {number} FROM t LIMIT 1")).rows)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160
    assert {rows[0][0] for rows in answers} == set(range(8))


def test_close_is_final_and_repeatable(tmp_path: Path) -> None:
    database = open_database(make(tmp_path / "t.db"))
    database._run("SELECT * FROM t")
    database.close()
    database.close()
    with pytest.raises(DatabaseError, match="was closed"):
        database._run("SELECT * FROM t")
    if sys.platform == "linux":
        assert str(tmp_path) not in str(
            [
                os.readlink(f"/proc/self/fd/{fd}")
                for fd in os.listdir("/proc/self/fd")
                if os.path.islink(f"/proc/self/fd/{fd}")
            ]
        )


def test_text_that_is_not_utf8_and_nul(tmp_path: Path) -> None:
    script = "INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT), 'x' || char(0) || 'y')"
    path = make(tmp_path / "t.db", f"CREATE TABLE t (a, b); {script};")
    with open_database(path) as database:
        assert database.run(query(database, "SELECT a, b FROM t")).rows == (("A\ufffdB", "x\0y"),)
