"""Write-ahead logs: nothing is made or changed beside a file, and no private copy is left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from t2sql_tui.core.database.connection import COPY_PREFIX, SourceFile
from t2sql_tui.core.database.database import open_database
from tests.database_files import make

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and locks of POSIX")


def contents(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def crashed_pair(folder: Path, shm: bool) -> Path:
    """A database whose -wal was never merged, with or without its -shm."""
    live, crashed = folder / "live", folder / "crashed"
    live.mkdir()
    crashed.mkdir()
    path = make(live / "t.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (a, b);", rows=5)
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        for end in ("", "-wal", *(["-shm"] if shm else [])):
            shutil.copyfile(f"{path}{end}", crashed / f"t.db{end}")
    return crashed / "t.db"


def copies() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{COPY_PREFIX}*"))


@pytest.mark.parametrize("shm", [True, False])
def test_nothing_changes_beside_a_log_that_a_crash_left(tmp_path: Path, shm: bool) -> None:
    path = crashed_pair(tmp_path, shm)
    before = contents(path.parent)
    with open_database(path) as database:
        assert len(database._run("SELECT * FROM t").rows) == 6
        assert contents(path.parent) == before
    assert contents(path.parent) == before


def test_an_owner_that_ends_between_the_look_and_the_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "t.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (a, b);", rows=5)
    with open_database(path) as database:
        writer = sqlite3.connect(path)
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        locate = SourceFile.locate

        def look_then_end(source: SourceFile) -> tuple[str, str]:
            found = locate(source)
            writer.close()
            return found

        monkeypatch.setattr(SourceFile, "locate", look_then_end)
        assert len(database._run("SELECT * FROM t").rows) == 6
    assert not Path(f"{path}-shm").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_killed_process_leaves_no_private_copy(tmp_path: Path, number: int) -> None:
    path = crashed_pair(tmp_path, shm=False)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code = (
        "import sys, time\n"
        "from t2sql_tui.core.database.database import open_database\n"
        "database = open_database(sys.argv[1])\n"
        "database._run('SELECT * FROM t')\n"
        "print('open', flush=True)\n"
        "time.sleep(100)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stdout
    assert process.stdout.readline()
    assert list(temporary.iterdir())
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 5
    while list(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(temporary.iterdir()) == []


def test_copies_of_killed_processes_are_removed_and_those_in_use_are_not(tmp_path: Path) -> None:
    orphan = Path(tempfile.mkdtemp(prefix=COPY_PREFIX))
    (orphan / "claim").touch()
    (orphan / "copy.sqlite").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with open_database(crashed_pair(tmp_path / "a", shm=False)) as first:
        first._run("SELECT 1")
        assert not orphan.exists()
        in_use = copies()
        with open_database(crashed_pair(tmp_path / "b", shm=False)) as second:
            second._run("SELECT 1")
            assert in_use < copies()
            assert len(first._run("SELECT * FROM t").rows) == 6
    assert not in_use & copies()
