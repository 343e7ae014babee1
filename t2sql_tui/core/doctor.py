"""Whether the locks hold on this machine: `t2sql-tui doctor DB` attacks a copy of the file.

The locks depend on how Python's SQLite was built, which differs from machine to machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from t2sql_tui.core.database.authorizer import is_allowed
from t2sql_tui.core.database.connection import connect
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Limits, Rejection, ShouldStop

COPY_BYTES = 1024 * 1024 * 1024  # instead of a larger file a small one is attacked
OLDEST_SQLITE = (3, 37, 0)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: whether it held, and what was observed."""

    name: str
    ok: bool
    detail: str


def run_doctor(path: str | os.PathLike[str]) -> tuple[Check, ...]:
    """Try every lock on a copy of the file. Raises: DatabaseError if it cannot be opened."""
    with open_database(path) as original, tempfile.TemporaryDirectory(prefix="t2sql-") as folder:
        before = _file_status(original.path)
        checks = [_sqlite(), _file(original)]
        checks += [Check("Not read", True, problem) for problem in original.schema.problems]
        copy, what = _copy(original, Path(folder))
        with open_database(copy) as database:
            attacks = _attacks(database)
            fingerprint = _fingerprint(copy)
            checks += [
                _refused(database, attacks),
                _read_only(copy, attacks),
                _authorizer(copy, attacks),
                _time_limit(database),
                _cancel(database),
                _values(database),
                _rows(database),
            ]
        same = _fingerprint(copy) == fingerprint
        checks.append(_unchanged("Nothing written", same, f"{what} and its folder are"))
        same = _file_status(original.path) == before
        checks.append(_unchanged("Your file", same, "it and its folder are"))
    return tuple(checks)


# --- the copy ---------------------------------------------------------------------


def _copy(original: Database, folder: Path) -> tuple[Path, str]:
    """A copy to attack, and what it is. The write-ahead log is copied along."""
    path = folder / "copy.sqlite"
    log = Path(f"{original.path}-wal")
    size = original.path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    if size > min(COPY_BYTES, shutil.disk_usage(folder).free // 2):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE stand_in (id INTEGER PRIMARY KEY, name TEXT)")
        return path, "a small stand-in (your file is too large to copy)"
    shutil.copyfile(original.path, path)
    if log.exists():
        shutil.copyfile(log, f"{path}-wal")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # merges the log; each lock stands alone
    return path, "the copy"


def _fingerprint(path: Path) -> tuple[str, list[str]]:
    """A hash of the file, and the names in its folder."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), sorted(os.listdir(path.parent))


def _file_status(path: Path) -> tuple[object, ...]:
    """Size, time and inode of the person's file, and the names beside it that begin like it;
    hashing it could take minutes."""
    status = path.stat()
    beside = sorted(name for name in os.listdir(path.parent) if name.startswith(path.name))
    return status.st_size, status.st_mtime_ns, status.st_ino, beside


def _attacks(database: Database) -> list[str]:
    """Statements that would change something, on a table of the file where it has one."""
    out = str(database.path.with_name("loot"))
    name = next((t.name for t in database.schema.tables if t.kind == "table"), "sqlite_schema")
    table = quoted(name)
    return [
        f"DELETE FROM {table}",
        f"WITH x AS (SELECT 1) DELETE FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table} ADD COLUMN loot",
        f"CREATE TABLE loot AS SELECT * FROM {table}",
        f"CREATE TEMP TABLE loot AS SELECT * FROM {table}",
        f"CREATE TEMP TRIGGER loot AFTER INSERT ON {table} BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE loot USING fts5 (x)",
        "DELETE FROM sqlite_schema",
        f"ATTACH '{out}' AS loot",
        f"VACUUM INTO '{out}'",
        "VACUUM",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 666",
        f"SELECT load_extension('{out}')",
        f"SELECT writefile('{out}', 'loot')",
        "SELECT 1; DELETE FROM sqlite_schema",
    ]


# --- what is tried ----------------------------------------------------------------


def _sqlite() -> Check:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        has_fts5 = connection.execute(
            "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
        ).fetchone()[0]
    without = "" if has_fts5 else "; without FTS5, so misspelled values are not found"
    ok = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    needs = "" if ok else f"; {'.'.join(map(str, OLDEST_SQLITE))} or later is needed"
    return Check("SQLite", ok, f"version {sqlite3.sqlite_version}{without}{needs}")


def _file(database: Database) -> Check:
    started = time.perf_counter()
    schema = database.reload_schema()
    seconds = time.perf_counter() - started
    columns = sum(len(table.columns) for table in schema.tables)
    return Check(
        "File", True, f"{len(schema.tables)} tables, {columns} columns, read in {seconds:.2f} s"
    )


def _refused(database: Database, attacks: list[str]) -> Check:
    """All locks together, with the check and with the check left out."""
    passed = []
    for sql in attacks:
        if not isinstance(check(sql, database), Rejection):
            passed.append(sql)
        with contextlib.suppress(DatabaseError):
            database._run(sql, Limits(seconds=2))
            passed.append(sql)
    return _verdict("Writes are refused", attacks, passed)


def _read_only(path: Path, attacks: list[str]) -> Check:
    """The read-only connection alone; some statements run, and must change nothing."""
    before = _fingerprint(path)
    harmed = []
    for sql in attacks:
        with (
            contextlib.closing(connect(path.as_uri() + "?mode=ro")) as connection,
            contextlib.suppress(sqlite3.Error, sqlite3.Warning),
        ):
            connection.execute(sql)
        if _fingerprint(path) != before:
            harmed.append(sql)
    return _verdict("Read-only connection, alone", attacks, harmed)


def _authorizer(path: Path, attacks: list[str]) -> Check:
    """The authorizer alone, on a connection that may write."""
    passed = []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_authorizer(
            lambda *action: sqlite3.SQLITE_OK if is_allowed(*action[:3]) else sqlite3.SQLITE_DENY
        )
        for sql in attacks:
            with contextlib.suppress(sqlite3.Error, sqlite3.Warning):
                connection.execute(sql)
                passed.append(sql)
    return _verdict("Authorizer, alone", attacks, passed)


def _unchanged(name: str, same: bool, what: str) -> Check:
    return Check(name, same, f"{what} {'as before' if same else 'CHANGED'}")


def _verdict(name: str, attacks: list[str], passed: list[str]) -> Check:
    if passed:
        return Check(name, False, f"{len(passed)} of {len(attacks)} got through: {passed[0]}")
    return Check(name, True, f"{len(attacks)} of {len(attacks)} attacks came to nothing")


_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT "


def _endless_query(
    database: Database, seconds: float, should_stop: ShouldStop | None = None
) -> tuple[str, float]:
    """What stopped an endless query with this time limit, and the seconds that it ran."""
    reason, started = "", time.perf_counter()
    try:
        database._run(_ENDLESS + "max(x) FROM n", Limits(seconds=seconds), should_stop)
    except QueryStopped as error:
        reason = error.reason
    return reason, time.perf_counter() - started


def _time_limit(database: Database) -> Check:
    reason, seconds = _endless_query(database, 0.5)
    ok = reason == "time" and seconds < 3
    return Check("Time limit", ok, f"an endless query ended after {seconds:.2f} of 0.5 s")


def _cancel(database: Database) -> Check:
    asked = time.monotonic() + 0.2
    reason, seconds = _endless_query(database, 5, lambda: time.monotonic() > asked)
    ok = reason == "cancelled" and seconds < 3
    return Check("Cancel", ok, f"took {max(0.0, seconds - 0.2) * 1000:.0f} ms")


def _values(database: Database) -> Check:
    """Values that would fill the memory."""
    bombs = [
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        f"SELECT {', '.join(['z'] * 500)} FROM (SELECT zeroblob(50000000) AS z)",
        _ENDLESS + "group_concat(x, hex(zeroblob(10000))) FROM n",
    ]
    passed = []
    for sql in bombs:
        with contextlib.suppress(DatabaseError):
            database._run(sql, Limits(seconds=2))
            passed.append(sql)
    return _verdict("Memory bounds", bombs, passed)


def _rows(database: Database) -> Check:
    result = database._run(_ENDLESS + "x FROM n", Limits(rows=500))
    ok = len(result.rows) == 500 and result.truncated == "rows"
    return Check("Row limit", ok, f"{len(result.rows)} of endless rows, and the cut is said")
