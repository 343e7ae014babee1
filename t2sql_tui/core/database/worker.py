"""The child process that reads one file: SQLite runs here, behind the locks, and can be killed.

Requests come on stdin and replies go to stdout, as frames of marshalled tuples (4 bytes of length,
then the data). The parent is `QueryProcess` in process.py. Only the standard library and
`core.database` are imported, so that the process is there in 60 ms.
"""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
import os
import queue
import sqlite3
import struct
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import IO, Any

from t2sql_tui.core.database.connection import COPY_PREFIX, connect, guarded
from t2sql_tui.core.database.limits import VALUE_BYTES, fetch, value_bytes
from t2sql_tui.core.database.schema import read_schema
from t2sql_tui.core.types import Limits

Frame = tuple[Any, ...]
READY: Frame = ("ready",)  # the first frame, sent when requests are heard
_LENGTH = struct.Struct("<I")
_ADDRESS_SPACE = 1536 * 1024**2  # lock 4 once more: two cells of 60 MB take 1,100 MiB at worst


def send(stream: IO[bytes], frame: Frame) -> None:
    """Write one frame. Raises: OSError."""
    data = marshal.dumps(frame)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)  # apart: rows of 128 MiB are not copied once more
    stream.flush()


def receive(stream: IO[bytes]) -> Frame:
    """The next frame. Raises: EOFError at the end of the stream."""
    head = stream.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    data = stream.read(length)
    if not length or len(data) < length:
        raise EOFError
    frame: Frame = marshal.loads(data)
    return frame


class Worker:
    """Answers requests (operation, uri, stamp, keep, seconds, arguments), one after another.

    The guarded connection is kept while `uri` and `stamp` stay the same, unless `keep` is false.
    """

    def __init__(self, reply: Callable[[Frame], None]) -> None:
        self._reply = reply
        self._deadline = 0.0
        self._uri = ""
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[str, str] | None = None
        self._operations: dict[str, Callable[..., Frame]] = {
            "run": self._run,
            "prepare": self._prepare,
            "select": self._select,
            "schema": self._schema,
            "columns_read": self._columns_read,
            "forget": lambda uri, stamp: ("end", None),
        }

    def handle(self, request: Frame) -> None:
        """Do one request and send its replies, the last of which is "end" or "error"."""
        operation, uri, stamp, keep, seconds, arguments = request
        self._deadline = time.monotonic() + seconds
        self._uri = uri
        try:
            if self._opened != (uri, stamp):
                self._close()
            last = self._operations[operation](uri, stamp, *arguments)
        except MemoryError:
            keep = False  # SQLite has dropped its schema, virtual tables included
            last = ("error", "MemoryError", "", "", False)
        except (sqlite3.Error, sqlite3.Warning) as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            last = ("error", type(error).__name__, name, str(error), not self._may_go_on())
        except (ValueError, OverflowError, RecursionError) as error:
            # Python cannot hold what SQLite said: names or messages that are not UTF-8, NUL.
            last = ("error", "DatabaseError", "", _message(error), not self._may_go_on())
        if not keep:
            self._close()  # before the reply: the file's owner may tidy up behind it
        self._reply(last)

    def _may_go_on(self) -> bool:
        return time.monotonic() <= self._deadline

    def _guarded(self, uri: str, stamp: str) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = guarded(uri, self._may_go_on)
            self._opened = uri, stamp
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        return self._connection

    def remove_copy(self) -> None:
        """Delete the private copy that was read last: a parent that was killed could not."""
        folder, copy = os.path.split(urllib.parse.unquote(self._uri.partition("?")[0]))
        folder = folder.removeprefix("file://")
        if os.path.basename(folder).startswith(COPY_PREFIX):
            for name in ("claim", copy, f"{copy}-wal", f"{copy}-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._opened = None

    def _run(self, uri: str, stamp: str, sql: str, rows: int, size: int) -> Frame:
        connection = self._guarded(uri, stamp)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, value_bytes(connection, sql))
        return self._send_rows(connection.execute(sql), Limits(rows, bytes=size))

    def _send_rows(self, cursor: sqlite3.Cursor, limits: Limits) -> Frame:
        with contextlib.closing(cursor):
            self._reply(("columns", tuple(column[0] for column in cursor.description or ())))
            cut = fetch(cursor, limits, lambda rows: self._reply(("rows", rows)))
        return "end", cut

    def _prepare(self, uri: str, stamp: str, sql: str) -> Frame:
        connection = self._guarded(uri, stamp)
        connection.execute(f"EXPLAIN {sql}").close()
        # The inner LIMIT keeps the query a subroutine of its own, which LIMIT 0
        # never enters: the names come without running any part of it.
        cursor = connection.execute(f"SELECT * FROM (SELECT * FROM ({sql}\n) LIMIT -1) LIMIT 0")
        with contextlib.closing(cursor):
            return "end", tuple(column[0] for column in cursor.description or ())

    def _select(self, uri: str, _: str, sql: str, rows: int, size: int, longest: int) -> Frame:
        with contextlib.closing(connect(uri)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
            connection.set_progress_handler(lambda: int(not self._may_go_on()), 20_000)
            return self._send_rows(connection.execute(sql), Limits(rows, bytes=size))

    def _schema(self, uri: str, _: str, samples: str) -> Frame:
        with contextlib.closing(connect(uri)) as connection:
            return "end", dataclasses.astuple(read_schema(connection, samples))

    def _columns_read(self, uri: str, _: str, sql: str) -> Frame:
        found: list[tuple[str, str]] = []

        def note(action: int, table: str | None, column: str | None, *_: object) -> int:
            if action == sqlite3.SQLITE_READ and table:
                found.append((table, column or ""))
            return sqlite3.SQLITE_OK

        with contextlib.closing(connect(uri)) as connection:
            connection.set_authorizer(note)
            connection.execute(f"EXPLAIN {sql}").close()
        return "end", tuple(found)


def _message(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own message, or of a name
        return bytes(error.object).decode("utf-8", "replace")
    return str(error)


def main() -> None:
    """Serve the parent until it closes stdin, and end at once when it does or dies."""
    requests: queue.SimpleQueue[Frame] = queue.SimpleQueue()

    def listen() -> None:
        # A thread of its own, for SQLite lets go of Python's lock: a parent that is gone is
        # noticed inside a statement, too.
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                requests.put(receive(sys.stdin.buffer))
        worker.remove_copy()
        os._exit(0)

    _limit_memory()
    worker = Worker(lambda frame: send(sys.stdout.buffer, frame))
    threading.Thread(target=listen, daemon=True).start()
    send(sys.stdout.buffer, READY)
    with contextlib.suppress(OSError):
        while True:
            worker.handle(requests.get())


def _limit_memory() -> None:
    try:
        import resource  # not on Windows
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
