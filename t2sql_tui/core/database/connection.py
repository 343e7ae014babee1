"""Lock 1, read-only connections, and those that stand behind lock 2 as well.

Nothing is created beside the file. SQLite would make `-wal` and `-shm` there when it reads a
WAL database, even read-only; `SourceFile` says how that is avoided.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from t2sql_tui.core.database.authorizer import is_allowed
from t2sql_tui.core.database.capabilities import (
    is_newer_syntax,
    schema_may_be_trusted,
    table_functions,
)
from t2sql_tui.core.database.collations import register_stand_ins
from t2sql_tui.core.database.limits import (
    BUSY_SECONDS,
    COPY_BYTES,
    HEAP_BYTES,
    LIKE_PATTERN_BYTES,
    SQL_BYTES,
)
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.identifiers import quoted


class SourceFile:
    """How to reach the file without leaving anything beside it.

    - Rollback-journal databases: `mode=ro`. SQLite creates nothing.
    - WAL databases that nobody has open (no `-wal` with content, no `-shm`):
      `immutable=1`, for `mode=ro` alone would create both files. The stamp tells if
      someone started to write meanwhile.
    - WAL databases in use (`-wal` and `-shm` are there): `mode=ro` joins them without writing
      the `-shm` (`readonly_shm=1`), and leaves as soon as the statement has ended so that the
      owner can tidy up. An owner that ends within a statement of ours leaves its `-wal` and
      `-shm` for the next one that writes, as it does beside any reader.
    - A `-wal` with content but no `-shm` (a crash, or a copied pair): a private copy is
      read, for SQLite would have to create the `-shm`. It is deleted when the file is closed,
      and by the query process where this process is killed; else by the next that needs one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy: tuple[object, tempfile.TemporaryDirectory[str]] | None = None
        self._copy_lock = threading.Lock()
        self._copy_claims: list[IO[bytes]] = []

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever the file or its write-ahead log does."""
        return tuple(_stat(Path(f"{self.path}{end}")) for end in ("", "-wal"))

    def locate(self) -> tuple[str, str]:
        """(URI, kind): kind is "file", "immutable", "joined" or "copy"."""
        base = self.path.as_uri() + "?mode=ro"
        if not _is_wal(self.path):
            return base, "file"
        wal = _stat(Path(f"{self.path}-wal"))
        if wal and os.path.exists(f"{self.path}-shm"):
            return base + "&readonly_shm=1", "joined"
        if not wal or wal[0] == 0:
            return base + "&immutable=1", "immutable"
        return self._copied().as_uri() + "?mode=ro", "copy"

    def _copied(self) -> Path:
        with self._copy_lock:
            stamp = self.stamp()
            if self._copy is None or self._copy[0] != stamp:
                _remove_orphans()
                folder = tempfile.TemporaryDirectory(prefix=COPY_PREFIX)
                self._copy_claims.append(_claim(Path(folder.name)))
                size = sum(os.path.getsize(f"{self.path}{end}") for end in ("", "-wal"))
                if size > min(COPY_BYTES, shutil.disk_usage(folder.name).free // 2):
                    folder.cleanup()
                    self._copy_claims.pop().close()
                    raise DatabaseError(
                        f"{self.path} has changes in its -wal file that were never merged, and "
                        "is too large to be copied for reading.",
                        f"Merge them once: sqlite3 '{self.path}' 'PRAGMA wal_checkpoint'",
                    )
                for end in ("", "-wal"):
                    shutil.copyfile(f"{self.path}{end}", Path(folder.name, f"copy.sqlite{end}"))
                self._forget_copy()
                self._copy = (stamp, folder)
            return Path(self._copy[1].name, "copy.sqlite")

    def _forget_copy(self) -> None:
        if self._copy is not None:
            self._copy[1].cleanup()
            self._copy = None
            self._copy_claims.pop(0).close()

    def close(self) -> None:
        """Delete the private copy, if one was made."""
        with self._copy_lock:
            self._forget_copy()


COPY_PREFIX = "t2sql-copy-"  # of the folders that hold private copies


def _claim(folder: Path) -> IO[bytes]:
    """Marks a folder as in use for as long as the returned file is open in this process."""
    claim = (folder / "claim").open("wb")
    _lock(claim)
    return claim


def _lock(file: IO[bytes]) -> bool:
    """Whether this process now holds the lock on an open file, which ends with the process."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_orphans() -> None:
    """Delete private copies whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{COPY_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "claim").open("rb") as claim:
            if _lock(claim):
                shutil.rmtree(folder, ignore_errors=True)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def _is_wal(path: Path) -> bool:
    """Bytes 18 and 19 of the header are 2 in WAL mode (https://sqlite.org/fileformat.html)."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"


# Bytes that are not UTF-8 become U+FFFD: visible, printable, and never an exception.
_decode = functools.partial(str, encoding="utf-8", errors="replace")


def connect(uri: str) -> sqlite3.Connection:
    """Lock 1 and the settings that every connection of ours shares.

    Settings are made here because no PRAGMA passes the authorizer later.
    """
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # no BEGIN of Python's own
        check_same_thread=False,  # each connection has a lock of its own
        cached_statements=0,  # the authorizer must see every statement anew
    )
    try:
        connection.text_factory = _decode
        for pragma in (
            "query_only = ON",
            # No side effects from a view in a hostile file.
            f"trusted_schema = {'ON' if schema_may_be_trusted() else 'OFF'}",
            "cell_size_check = ON",
            "mmap_size = 0",  # a file that shrinks must be an error, not a SIGBUS
            f"hard_heap_limit = {HEAP_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _load_schema(connection)
        connection.execute("PRAGMA cache_size = -16384")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_PATTERN_BYTES)
        register_stand_ins(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _load_schema(connection: sqlite3.Connection) -> None:
    """Have SQLite read the schema, without the parts in a syntax that it does not know.

    Raises: sqlite3.Error.
    """
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()
    except sqlite3.DatabaseError as error:
        if "malformed database schema" not in str(error) or not is_newer_syntax(str(error)):
            raise
        # SQLite then skips what it cannot parse (schema.py says what). Nothing becomes
        # writable: the connection is read-only, and the authorizer knows SELECT alone.
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()


def guarded(uri: str, may_go_on: Callable[[], bool]) -> sqlite3.Connection:
    """A connection behind locks 1 and 2, which asks `may_go_on` while a statement runs.

    Raises: sqlite3.Error.
    """

    def authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
        # SQLite before 3.41 asks no progress handler while it compiles; but it asks here. (It
        # expands views without asking: to 65,535 references at most, and within the heap.)
        allowed = may_go_on() and is_allowed(action, first, second)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection = connect(uri)
    try:
        _touch_virtual_tables(connection)
        connection.set_progress_handler(lambda: int(not may_go_on()), 20_000)
        connection.set_authorizer(authorize)
    except BaseException:
        connection.close()
        raise
    return connection


def _touch_virtual_tables(connection: sqlite3.Connection) -> None:
    """Connect every virtual table before the authorizer is set.

    To connect one, SQLite asks to update sqlite_schema, and an R-tree prepares its INSERT
    and DELETE, even for reading; both would be refused. Nothing runs here: the statements
    are only prepared. What is not connected here cannot be used later.
    """
    virtual = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'create virtual%'"
    )
    for name in (*table_functions(), *(name for (name,) in virtual.fetchall())):
        with contextlib.suppress(sqlite3.Error):  # a module that this SQLite lacks
            connection.execute(f"EXPLAIN SELECT 1 FROM {quoted(name)}").close()
