"""Files that other programs write, write-ahead logs, and folders that may not be written."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import DatabaseError
from tests.database_files import make, query, state


def test_new_rows_and_tables_are_seen(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=3)
    with open_database(path) as database, contextlib.closing(sqlite3.connect(path)) as writer:
        assert database._run("SELECT count(*) FROM t").rows == ((3,),)
        writer.executescript("INSERT INTO t VALUES (4, 'four'); CREATE TABLE u AS SELECT 1 AS x")
        assert database._run("SELECT count(*) FROM t").rows == ((4,),)
        assert database.run(query(database, "SELECT * FROM u")).rows == ((1,),)
        assert database.schema.table("u") is None
        assert database.reload_schema().table("u") is not None


def make_wal(path: Path) -> Path:
    return make(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a, b);", rows=5)


def test_wal_database_at_rest_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    before = state(path)
    with open_database(path) as database:
        assert len(database.run(query(database, "SELECT * FROM t")).rows) == 5
        assert state(path) == before
    assert state(path) == before


def test_wal_database_in_use(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    with open_database(path) as database:
        assert len(database._run("SELECT * FROM t").rows) == 5
        with contextlib.closing(sqlite3.connect(path)) as writer:
            writer.execute("INSERT INTO t VALUES (6, 'six')")
            writer.commit()  # in the -wal file alone
            before = state(path)
            assert len(database._run("SELECT * FROM t").rows) == 6
            assert state(path) == before
            database.reload_schema()
        assert os.listdir(tmp_path) == ["t.db"]  # the writer could tidy up: we hold nothing
        assert len(database._run("SELECT * FROM t").rows) == 6


def test_wal_left_by_a_crash_is_read_from_a_copy(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "live.db")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", crashed / f"t.db{end}")
    before = state(crashed / "t.db")
    with open_database(crashed / "t.db") as database:
        assert len(database.run(query(database, "SELECT * FROM t")).rows) == 6
        assert state(crashed / "t.db") == before
        copy = Path(database._source._copy[1].name)
        assert copy.is_dir()
    assert state(crashed / "t.db") == before
    assert not copy.exists()


def test_a_change_under_an_unlocked_reader_is_told(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    with open_database(path) as database:
        checked = query(
            database,
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3e6) "
            "SELECT count(*), (SELECT count(*) FROM t) FROM n",
        )
        changed: list[bool] = []

        def change() -> bool:
            changed.append(True)  # asked once before the statement, then while it runs
            if len(changed) == 2:
                make(path, "INSERT INTO t VALUES (6, 'six')")
            return False

        with pytest.raises(DatabaseError, match="changed by another program"):
            database.run(checked, should_stop=change)
        assert database.run(checked).rows == ((3_000_000, 6),)


def without_override(act: Callable[[], object]) -> object:
    """What `act` returns in a process in which permissions count, as for everybody but root.

    Root stays root, so that the child it starts can read Python's own files, but loses the
    capabilities that pass over permissions (linux/capability.h: 1, 2 and 3).
    """
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        with os.fdopen(writer, "w") as out:
            try:
                _drop_override()
                json.dump(act(), out)
            except BaseException:
                json.dump(f"failed: {traceback.format_exc()}", out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        found = json.load(told)
    os.waitpid(child, 0)
    return found


def _drop_override() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    for capability in (1, 2, 3):
        assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP: for what it starts
        for index in range(3):
            data[index] &= ~(1 << capability)
    assert libc.capset(header, data) == 0


def count_or_message(path: Path) -> object:
    try:
        with open_database(path) as database:
            return len(database._run("SELECT * FROM t").rows)
    except DatabaseError as error:
        return error.message


@pytest.fixture
def read_only_folder(tmp_path: Path):
    """A folder that others can enter and not write; pytest's own are closed to others."""
    folder = Path(f"/tmp/t2sql-test-{os.getpid()}-{tmp_path.name}")
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def freeze(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


def test_read_only_folder(read_only_folder: Path) -> None:
    path = make(read_only_folder / "t.db", rows=4)
    freeze(read_only_folder)
    assert without_override(lambda: count_or_message(path)) == 4


def test_wal_database_in_a_read_only_folder(read_only_folder: Path) -> None:
    path = make_wal(read_only_folder / "t.db")
    freeze(read_only_folder)
    assert without_override(lambda: count_or_message(path)) == 5


def test_wal_with_content_in_a_read_only_folder(tmp_path: Path, read_only_folder: Path) -> None:
    live = make_wal(tmp_path / "live.db")
    path = read_only_folder / "t.db"
    with contextlib.closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{live}{end}", f"{path}{end}")
    freeze(read_only_folder)
    before = state(path)
    assert without_override(lambda: count_or_message(path)) == 6
    assert state(path) == before


def test_unreadable_file(read_only_folder: Path) -> None:
    path = make(read_only_folder / "t.db")
    path.chmod(0)
    message = without_override(lambda: count_or_message(path))
    assert isinstance(message, str) and "Permission denied" in message
