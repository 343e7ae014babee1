"""The query process: limits and cancelling hold inside one step of SQLite, and no child is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.database.process import MAX_IDLE, _idle
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.types import Limits
from tests.database_files import make

#: Each is one step of SQLite, or nearly: neither the progress handler nor `interrupt()` is heard.
STEPS = {
    "printf of 2 GB": "SELECT length(printf('%.*c', 2147483647, 'x'))",
    "printf of 2 GB, again": "SELECT length(printf('%.*c', 2147483647, 'x')) "
    "+ length(format('%.*c', 2147483646, 'y'))",
    "json_patch": "SELECT length(json_patch(a, b)) FROM (SELECT json_group_object('k' || value, "
    "value) a, json_group_object('j' || value, value) b FROM (WITH RECURSIVE n(value) AS (SELECT 1 "
    "UNION ALL SELECT value + 1 FROM n LIMIT 40000) SELECT value FROM n))",
    "twenty LIKEs": "SELECT "
    + " + ".join(f"(x LIKE '%{'a' * 400}{i}b%')" for i in range(20))
    + " FROM (SELECT printf('%.*c', 1900000, 'a') AS x)",
    "snippet": "SELECT snippet(notes, 0, '[', ']', '...', 64) FROM notes WHERE notes MATCH 'a*'",
    "highlight": "SELECT length(highlight(notes, 0, x, x)) FROM notes, "
    "(SELECT printf('%.*c', 900, 'x') AS x) WHERE notes MATCH 'a'",
    "MATCH": f"SELECT count(*) FROM notes WHERE notes MATCH '{' OR '.join(['a*'] * 3000)}'",
    "endless": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT count(*) FROM n",
}
NOTES = """
CREATE VIRTUAL TABLE notes USING fts5 (body);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20)
  INSERT INTO notes SELECT replace(printf('%.*c', 100000, 'z'), 'z', 'a a' || x || ' ') FROM n;
"""
SLACK = 1.5  # seconds for a machine that is very busy


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("notes") / "notes.sqlite"
    # In a process of its own: what a test opened before bounds the heap of this one.
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, path, NOTES], check=True)
    return path


def children() -> set[int]:
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _parent(entry) == os.getpid()
    }


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def in_thread(database: Database, sql: str, seconds: float = 60) -> tuple[threading.Thread, list]:
    """A thread that runs `sql`, and what came of it."""
    outcome: list = []

    def work() -> None:
        try:
            outcome.append(database._run(sql, Limits(seconds=seconds)))
        except DatabaseError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


@pytest.mark.parametrize("sql", STEPS.values(), ids=STEPS)
def test_the_time_limit_holds_inside_a_step(notes: Path, sql: str) -> None:
    with open_database(notes) as database:
        database._run("SELECT 1")
        started = time.monotonic()
        try:
            database._run(sql, Limits(seconds=0.3))
        except QueryStopped as error:
            assert error.reason == "time"
        except DatabaseError as error:
            assert "too long" in error.message or "memory" in error.message, error
        assert time.monotonic() - started < 0.5 + SLACK
        assert database._run("SELECT 7").rows == ((7,),)


@pytest.mark.parametrize("sql", STEPS.values(), ids=STEPS)
def test_cancelling_holds_inside_a_step(notes: Path, sql: str) -> None:
    with open_database(notes) as database:
        database._run("SELECT 1")
        thread, outcome = in_thread(database, sql)
        time.sleep(0.2)
        started = time.monotonic()
        database.interrupt()
        thread.join(5)
        assert not thread.is_alive()
        assert time.monotonic() - started < 0.3 + SLACK
        if isinstance(outcome[0], QueryStopped):  # some end by themselves before
            assert outcome[0].reason == "cancelled"
        assert database._run("SELECT 7").rows == ((7,),)


@pytest.mark.parametrize("sql", STEPS.values(), ids=STEPS)
def test_closing_ends_a_step(notes: Path, sql: str) -> None:
    database = open_database(notes)
    thread, _ = in_thread(database, sql)
    time.sleep(0.1)
    started = time.monotonic()
    database.close()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - started < 0.3 + SLACK
    with pytest.raises(DatabaseError, match="was closed"):
        database._run("SELECT 1")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_no_child_is_left(notes: Path) -> None:
    before = children()
    for _ in range(4):
        with open_database(notes) as database:
            database._run("SELECT 1")
            with pytest.raises(QueryStopped):
                database._run(STEPS["endless"], Limits(seconds=0.1))
    # Neither running nor a zombie, but for those that are kept for the next file.
    assert children() - before <= {child.pid for child in _idle}
    assert len(_idle) <= MAX_IDLE


def test_an_interrupt_between_statements_does_nothing(notes: Path) -> None:
    with open_database(notes) as database:
        for _ in range(20):
            database.interrupt()
            assert database._run("SELECT 7").rows == ((7,),)
            database.interrupt()


def test_interrupts_at_any_time_meet_one_statement_at_most(notes: Path) -> None:
    stop = threading.Event()
    with open_database(notes) as database:

        def interrupts() -> None:
            while not stop.wait(0.003):
                database.interrupt()

        thread = threading.Thread(target=interrupts)
        thread.start()
        outcomes = []
        try:
            for _ in range(20):
                try:
                    outcomes.append(database._run("SELECT 7").rows)
                except QueryStopped as error:
                    outcomes.append(error.reason)
        finally:
            stop.set()
            thread.join()
        assert set(outcomes) <= {((7,),), "cancelled"}
        assert database._run("SELECT 7").rows == ((7,),)


def test_a_child_that_died_while_idle_is_replaced(notes: Path) -> None:
    with open_database(notes) as database:
        database._run("SELECT 1")
        child = database._queries._child
        assert child is not None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert database._run("SELECT 7").rows == ((7,),)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_children_end_with_a_killed_parent(notes: Path) -> None:
    code = (
        "import sys, threading\n"
        "from t2sql_tui.core.database.database import open_database\n"
        "from t2sql_tui.core.types import Limits\n"
        "database = open_database(sys.argv[1])\n"
        "database._run('SELECT 1')\n"
        "print(database._queries._child.pid, database._checks._child.pid, flush=True)\n"
        "database._run(sys.argv[2], Limits(seconds=100))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, notes, STEPS["endless"]], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    pids = [int(word) for word in parent.stdout.readline().split()]
    time.sleep(0.2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 1 + SLACK
    while time.monotonic() < deadline and any(map(_runs, pids)):
        time.sleep(0.02)
    assert not any(map(_runs, pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


HOSTILE = f"""
CREATE TABLE t (id INTEGER PRIMARY KEY, big TEXT,
  slow AS ({"trim(" * 8}big{", substr(big, 2))" * 8}));
INSERT INTO t (big) VALUES (printf('%.*c', 600000, 'a') || 'b'), ('x');
"""


def test_a_hostile_generated_column_does_not_hang_the_opening(tmp_path: Path) -> None:
    started = time.monotonic()
    with open_database(make(tmp_path / "hostile.sqlite", HOSTILE)) as database:
        assert time.monotonic() - started < 15
        (table,) = database.schema.tables
        slow = next(column for column in table.columns if column.name == "slow")
        assert slow.generated and not slow.samples
        assert slow.problem
        assert table.columns[0].samples == ("1", "2")
