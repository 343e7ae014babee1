"""Attacks on the open file, its folder and this machine: every lock, together and alone.

The statements of attacks.sql run in child processes (this file as a script) whose memory
is capped, so that a lock that fails is a failed test and not a dead machine. A child
tells for each statement what came of it, what it cost, and whether anything changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

SECONDS = 0.4  # the time limit that the attacks get
FILE = Path(__file__).with_name("attacks.sql")
ATTACKS = {
    title: (kind, sql.rstrip("\n"))
    for kind, title, sql in re.findall(
        r"^--! (\w+): ([^\n]*)\n(.*?)(?=^--! |\Z)", FILE.read_text("utf-8"), re.M | re.S
    )
}

VICTIM = """
CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, born TEXT);
CREATE INDEX people_name ON people (name);
CREATE TABLE orders (id INTEGER PRIMARY KEY, person_id REFERENCES people, item TEXT);
INSERT INTO people (name, born) VALUES ('Ann', '1990'), ('Bob', '1980');
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000)
  INSERT INTO orders SELECT x, 1 + x % 2, 'item ' || x FROM n;
CREATE VIEW adults AS SELECT * FROM people WHERE born < '2000';
CREATE TRIGGER adults_gone INSTEAD OF DELETE ON adults BEGIN DELETE FROM people; END;
CREATE VIEW loads AS SELECT load_extension('x') AS x;
CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
  SELECT x FROM n WHERE x < 0;
CREATE VIRTUAL TABLE notes USING fts5 (body);
INSERT INTO notes VALUES ('a apple'), ('b bread');
CREATE VIRTUAL TABLE letters USING fts4 (body);
INSERT INTO letters VALUES ('a apple');
CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1, y0, y1);
INSERT INTO boxes VALUES (1, 0, 1, 0, 1);
CREATE TABLE generators (n INTEGER, huge AS (hex(zeroblob(n))));
INSERT INTO generators (n) VALUES (90000000);
CREATE VIEW ladder_0 AS SELECT 1 AS x;
""" + "".join(
    f"CREATE VIEW ladder_{i} AS SELECT a.x FROM ladder_{i - 1} a, ladder_{i - 1} b;\n"
    for i in range(1, 31)
)


def make_victim(folder: Path) -> Path:
    """Made in a child: it takes more memory than a process may use that once opened a file
    behind the locks, for SQLite's heap limit is the whole process's and is never raised."""
    path = folder / "victim.sqlite"
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code, path], input=VICTIM, text=True, check=True)
    return path


def fill_in(sql: str, path: Path) -> str:
    sql = sql.replace("OUT", str(path.with_name("loot"))).replace("DB", str(path))
    sql = sql.replace("PARENTHESES", "(" * 5000 + "1" + ")" * 5000)
    sql = sql.replace("LONG", "1" + "+1" * 2_000_000)
    return re.sub(r"COLUMNS\((.*?)\)( FROM|$)", lambda m: ",".join([m[1]] * 1000) + m[2], sql)


# --- the child --------------------------------------------------------------------


def child(mode: str, path: Path) -> None:
    """Run every attack through one lock, or all, and print a JSON line for each."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    attempt = MODES[mode](path)
    before = _state(path)
    for title, (kind, sql) in ATTACKS.items():
        cpu = _cpu_seconds()
        with _Peak() as peak:
            outcome = attempt(kind, fill_in(sql, path))
        if outcome is None:
            continue
        report = {
            "title": title,
            "outcome": outcome,
            "cpu": _cpu_seconds() - cpu,
            "peak": peak.mib,
            "unchanged": _state(path) == before,
        }
        print(json.dumps(report), flush=True)


def _state(path: Path) -> tuple[str, list[str], list[str]]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest, sorted(os.listdir(path.parent)), sorted(os.listdir(tempfile.gettempdir()))


def _query_processes() -> list[Path]:
    """/proc of the children of this process; none where there is no /proc."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            found += [Path("/proc", pid) for pid in (task / "children").read_text().split()]
    return found


def _cpu_seconds() -> float:
    """Of this process and its children, those that ended and those that run."""
    import resource

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for process in _query_processes():
        with contextlib.suppress(OSError):
            user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
            total += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return total


class _Peak:
    """The most memory in MiB that this process and its children held at a time, nearly.

    A child that is killed takes its peak with it, so a thread looks every 10 ms.
    """

    def __enter__(self) -> _Peak:
        self.mib = 0
        for process in (Path("/proc/self"), *_query_processes()):
            with contextlib.suppress(OSError):  # Linux alone
                (process / "clear_refs").write_text("5")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._look_once()
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.01):
            self._look_once()

    def _look_once(self) -> None:
        peak = 0
        for process in (Path("/proc/self"), *_query_processes()):
            with contextlib.suppress(OSError, TypeError):
                status = (process / "status").read_text()
                peak += int(re.search(r"VmHWM:\s+(\d+)", status)[1])
        self.mib = max(self.mib, peak // 1024)


def everything_but_check(path: Path):
    """All four locks, for statements that no check has seen."""
    from t2sql_tui.core.database.database import open_database
    from t2sql_tui.core.errors import DatabaseError, QueryStopped
    from t2sql_tui.core.types import Limits

    database = open_database(path)

    def attempt(kind: str, sql: str) -> str:
        try:
            result = database._run(sql, Limits(seconds=SECONDS))
        except QueryStopped as error:
            return error.reason
        except DatabaseError as error:
            return f"error: {error.message}"
        return f"rows: {len(result.rows)}"

    return attempt


def check_alone(path: Path):
    from t2sql_tui.core.database.database import open_database
    from t2sql_tui.core.sql.check import check
    from t2sql_tui.core.types import Rejection

    database = open_database(path)

    def attempt(kind: str, sql: str) -> str:
        verdict = check(sql, database)
        return f"error: {verdict.message}" if isinstance(verdict, Rejection) else "accepted"

    return attempt


def read_only_alone(path: Path):
    """Lock 1, on statements that would change something: none has an authorizer."""
    from t2sql_tui.core.database.connection import connect

    def attempt(kind: str, sql: str) -> str | None:
        if kind != "refused":
            return None
        connection = connect(path.as_uri() + "?mode=ro")
        with contextlib.closing(connection):
            return _executed(connection, sql)

    return attempt


def authorizer_alone(path: Path):
    """Lock 2, on a connection that could write."""
    from t2sql_tui.core.database.authorizer import is_allowed

    connection = sqlite3.connect(path, isolation_level=None)
    connection.set_authorizer(
        lambda *told: sqlite3.SQLITE_OK if is_allowed(*told[:3]) else sqlite3.SQLITE_DENY
    )

    def attempt(kind: str, sql: str) -> str | None:
        return _executed(connection, sql) if kind == "refused" else None

    return attempt


def watch_alone(path: Path):
    """Lock 3, on a connection without any other."""
    from t2sql_tui.core.database.watch import Watch

    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def attempt(kind: str, sql: str) -> str | None:
        if kind != "endless":
            return None
        with Watch(SECONDS, None, connection.interrupt) as watch:
            connection.set_progress_handler(watch, 20_000)
            _executed(connection, sql)
        return watch.reason

    return attempt


def bounds_alone(path: Path):
    """Lock 4: the bounds of the connection and of fetch, without authorizer or clock."""
    from t2sql_tui.core.database.connection import connect
    from t2sql_tui.core.database.limits import fetch, value_bytes
    from t2sql_tui.core.types import Limits

    connection = connect(path.as_uri())

    def attempt(kind: str, sql: str) -> str | None:
        value = re.search("blob|huge|^WITH.*SELECT x FROM n$", sql)
        if kind != "bounded" or not value or "ORDER BY" in sql:
            return None  # the others would run for ever: they need the clock
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 64 << 20)
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, value_bytes(connection, sql))
            rows: list = []
            fetch(connection.execute(sql), Limits(), rows.extend)
            return f"rows: {len(rows)}"
        except (sqlite3.Error, MemoryError) as error:
            return f"error: {error}"

    return attempt


def _executed(connection: sqlite3.Connection, sql: str) -> str:
    try:
        return f"rows: {len(connection.execute(sql).fetchmany(9))}"
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        return f"error: {error}"


MODES = {
    "locks": everything_but_check,
    "check": check_alone,
    "read-only": read_only_alone,
    "authorizer": authorizer_alone,
    "watch": watch_alone,
    "bounds": bounds_alone,
}


# --- the tests --------------------------------------------------------------------


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict]:
    """(mode, title) -> what the child of that mode said of that attack."""
    pytest.importorskip("resource", reason="memory can be capped on Unix alone")
    found = {}
    for mode in MODES:
        folder = tmp_path_factory.mktemp(mode)
        temporary = tmp_path_factory.mktemp(f"{mode}-tmp")
        path = make_victim(folder)
        done = subprocess.run(
            [sys.executable, __file__, mode, str(path)],
            cwd=folder,  # a relative path in an attack leads there, too
            capture_output=True,
            text=True,
            timeout=500,  # 10 s of work; a busy machine may take long
            env={
                **os.environ,
                "TMPDIR": str(temporary),
                "SQLITE_TMPDIR": str(temporary),
                "PYTHONPATH": str(FILE.parents[2]),
                "PYTHONUTF8": "1",
            },
        )
        for line in done.stdout.splitlines():
            report = json.loads(line)
            found[mode, report["title"]] = report
        assert done.returncode == 0, f"{mode}: {done.stderr[-2000:]}"
    return found


def titles(*kinds: str) -> list[str]:
    return [title for title, (kind, _) in ATTACKS.items() if kind in kinds]


def assert_harmless(report: dict, cpu: float = SECONDS + 3, peak: int = 600) -> None:
    assert report["unchanged"], report
    assert report["cpu"] < cpu, report
    assert report["peak"] < peak, report


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 250
    assert all(kind in ("refused", "endless", "bounded") for kind, _ in ATTACKS.values())


@pytest.mark.parametrize("title", titles("refused"))
def test_refused_by_every_lock_that_should(reports, title: str) -> None:
    for mode in ("check", "locks", "authorizer"):
        report = reports[mode, title]
        assert report["outcome"].startswith("error"), (mode, report)
        assert_harmless(report)


@pytest.mark.parametrize("title", titles("refused"))
def test_read_only_alone_keeps_file_and_folder(reports, title: str) -> None:
    assert_harmless(reports["read-only", title])


@pytest.mark.parametrize("title", titles("endless"))
def test_stopped_in_time(reports, title: str) -> None:
    assert reports["check", title]["outcome"] == "accepted"
    for mode in ("locks", "watch"):
        assert reports[mode, title]["outcome"] == "time"
        assert_harmless(reports[mode, title])


@pytest.mark.parametrize("title", titles("bounded"))
def test_bounded(reports, title: str) -> None:
    # SQLite 3.40 makes `%.*c` character by character in one step, even past its bound.
    slack = {"cpu": 20.0} if title == "printf of characters" else {}
    for mode in ("check", "locks", "bounds"):
        if (mode, title) in reports:
            assert_harmless(reports[mode, title], **slack)


def test_bounds_alone_hold_memory(reports) -> None:
    assert sum(mode == "bounds" for mode, _ in reports) >= 8


def test_a_connection_without_locks_is_harmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacks are real: what the locks refuse works on a plain connection."""
    monkeypatch.chdir(tmp_path)
    path = make_victim(tmp_path)
    harmful = 0
    for kind, sql in ATTACKS.values():
        if kind == "refused":
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
                harmful += _executed(connection, fill_in(sql, path)).startswith("rows")
    assert harmful > 40
    assert {"loot", "OUT"} <= set(os.listdir(tmp_path))


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]))
