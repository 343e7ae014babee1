"""The index of stored values: kept, private, bounded, rebuilt when the file changes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.files import digest_path, record_digest
from t2sql_tui.core.prompting import value_index
from t2sql_tui.core.prompting.value_matching import find_values


def make(path: Path, script: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def test_the_index_is_kept_private_and_rebuilt_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "t.db", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Alpha');")
    cache = tmp_path / "cache"
    builds = []
    build = value_index._build
    monkeypatch.setattr(
        value_index, "_build", lambda *arguments: builds.append(1) or build(*arguments)
    )
    for _ in range(2):  # the second time from the disk
        with open_database(path) as database:
            assert len(find_values(database, "alpha beta", folder=cache)) == 1
    assert len(builds) == 1
    (file,) = cache.glob("*.sqlite")
    listing = [file, digest_path(file)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with open_database(path) as database:
        find_values(database, "alpha", folder=cache)
        make(path, "INSERT INTO t VALUES ('Beta')")
        assert len(find_values(database, "alpha beta", folder=cache)) == 2
    assert len(builds) == 2
    assert sorted(cache.iterdir()) == listing
    file.write_bytes(b"SQLite format 3\0" + os.urandom(5000))  # a damaged cache
    with open_database(path) as database:
        assert len(find_values(database, "alpha beta", folder=cache)) == 2
    assert sorted(os.listdir(tmp_path)) == ["cache", "t.db"]


@pytest.mark.parametrize("start", [0, 100, 5000, 9000])
def test_a_damaged_index_that_looks_whole_costs_one_rebuild(tmp_path: Path, start: int) -> None:
    """Size, time and digest fit, and SQLite opens it; the question is answered all the same."""
    path = make(tmp_path / "t.db", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Alpha');")
    cache = tmp_path / "cache"
    with open_database(path) as database:
        assert len(find_values(database, "alpha", folder=cache)) == 1
    (file,) = cache.glob("*.sqlite")
    data = bytearray(file.read_bytes())
    data[start : start + 4096] = os.urandom(len(data[start : start + 4096]))
    file.write_bytes(data)
    record_digest(file)
    with open_database(path) as database:
        assert len(find_values(database, "alpha", folder=cache)) == 1
        assert len(find_values(database, "alpha", folder=cache)) == 1


def test_an_index_that_cannot_be_read_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "t.db", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Alpha');")

    def fails(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr("t2sql_tui.core.prompting.value_matching._exact", fails)
    with open_database(path) as database:
        assert find_values(database, "alpha", folder=tmp_path / "cache") == ()


def test_without_a_cache_folder(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Alpha');")
    (tmp_path / "file").touch()
    with open_database(path) as database:
        assert len(find_values(database, "alpha", folder=tmp_path / "file" / "cache")) == 1


def test_old_indexes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_index, "CACHE_FILES", 2)
    for number in range(4):
        path = make(tmp_path / f"{number}.db", "CREATE TABLE t (a TEXT)")
        with open_database(path) as database:
            find_values(database, "x", folder=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.sqlite"))) == 2


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_index, "COLUMN_VALUES", 50)
    monkeypatch.setattr(value_index, "VALUES", 120)
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t (many TEXT, few TEXT, n INT, more TEXT, last TEXT);"
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 200)"
        "INSERT INTO t SELECT 'many' || x, 'few' || (x % 40), x, 'more' || (x % 50),"
        "'last' || (x % 50) FROM n;",
    )
    with open_database(path) as database:
        found = find_values(database, "many7 few7 more7 last7", folder=tmp_path / "cache")
        assert [match.value for match in found] == ["few7", "more7"]


def test_a_million_rows(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "PRAGMA synchronous = OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, city TEXT, mail TEXT);"
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000)"
        "INSERT INTO t SELECT x, 'Town ' || (x % 3000), 'm' || x || '@x.org' FROM n;",
    )
    with open_database(path) as database:
        started = time.process_time()
        (match,) = find_values(database, "who lives in town 2999?", folder=tmp_path / "cache")
        assert time.process_time() - started < 8  # about 1.5 s: built once
        assert match.value == "Town 2999"
        started = time.process_time()
        find_values(database, "who lives in town 77?", folder=tmp_path / "cache")
        assert time.process_time() - started < 0.1
    assert sum(file.stat().st_size for file in (tmp_path / "cache").iterdir()) < 2_000_000
