"""A process of its own for SQLite, which can be killed whatever it does.

One step of SQLite can take hours (`printf('%.*c', 2147483647, 'x')`, LIKE over long texts,
an FTS5 function, a generated column in a hostile file), and inside a step neither the progress
handler nor `interrupt()` is heard. So statements run in a child (worker.py), and a statement
that does not end by itself ends with it. A query costs some 0.15 ms more than in this process; a
child starts in about 60 ms.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t2sql_tui.core.database.connection import SourceFile
from t2sql_tui.core.database.watch import Watch
from t2sql_tui.core.database.worker import READY, Frame, receive, send
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.types import ShouldStop

#: Seconds that a statement may take beyond its limit before its process is killed.
GRACE = 0.2
#: Seconds that a child may take to start, on a machine that is very busy.
START_SECONDS = 30.0
_PACKAGE = Path(__file__).resolve().parents[3]
# -I and -S: neither the environment nor a module in the current folder decides what is run, and
# what is installed beside the package never stands before the standard library.
_PROGRAM = (
    f"import sys; sys.path.append({str(_PACKAGE)!r}); "
    "from t2sql_tui.core.database.worker import main; main()"
)
#: On Windows: no console of its own, and Ctrl+C stays with the parent.
_FLAGS = 0x08000200 if sys.platform == "win32" else 0
#: Children that no open file needs, kept for the next one: to start one takes longer than most
#: queries. Any child can read any file.
_idle: list[subprocess.Popen[bytes]] = []
_idle_lock = threading.Lock()
MAX_IDLE = 2


def _end_idle() -> None:
    while _idle:
        _end(_idle.pop())


atexit.register(_end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # the pipes are the parent's


class StoppedError(Exception):
    """The statement was ended from outside; `reason` is that of `Watch`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class QueryProcess:
    """Sends statements about one file to a child process, one at a time, from any thread.

    The child is started when first needed and again after it was killed.
    """

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self._lock = threading.Lock()  # held while a statement runs
        self._state = threading.Lock()  # held for moments: what `interrupt` and `close` look at
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._busy = False
        self._interrupted = False
        self._killed: subprocess.Popen[bytes] | None = None  # by `interrupt`
        self._closed = False

    def call(
        self,
        operation: str,
        arguments: tuple[Any, ...],
        seconds: float,
        should_stop: ShouldStop | None = None,
        take: Callable[[Frame], None] | None = None,
    ) -> Any:
        """What the worker's last frame says; frames before it go to `take`.

        Raises: sqlite3.Error with SQLite's own words, MemoryError, StoppedError at the time
        limit, when `should_stop()` says so or after `interrupt()`, DatabaseError where the file
        cannot be read or changed meanwhile, OSError.
        """
        with self._lock:
            with self._state:
                if self._closed:
                    raise DatabaseError(f"{self.source.path} was closed.", "Open it again.")
                self._busy, self._interrupted = True, False
            try:
                if should_stop is not None and should_stop():
                    raise StoppedError("cancelled")
                stamp = self.source.stamp()
                uri, kind = self.source.locate()
                request = (operation, uri, repr(stamp), kind != "joined", seconds, arguments)
                try:
                    last = self._exchange(request, seconds, should_stop, take)
                except sqlite3.OperationalError:
                    uri, now = self.source.locate()
                    if kind != "joined" or now == kind:
                        raise
                    # Its owner ended between the look and the opening.
                    kind, stamp = now, self.source.stamp()
                    request = (operation, uri, repr(stamp), True, seconds, arguments)
                    last = self._exchange(request, seconds, should_stop, take)
            finally:
                with self._state:
                    self._busy = False
                    killed, self._killed = self._killed, None
                if killed is not None and killed is self._child:
                    self._end()  # a kill that came too late must not meet the next statement
            if kind == "immutable" and stamp != self.source.stamp():
                raise DatabaseError(
                    f"{self.source.path} was changed by another program while it was read.",
                    "Run the query again.",
                )
            return last

    def _exchange(
        self,
        request: Frame,
        seconds: float,
        should_stop: ShouldStop | None,
        take: Callable[[Frame], None] | None,
    ) -> Any:
        self.start()
        child = self._child
        assert child and child.stdin and child.stdout
        if self._interrupted:  # before there was a child to kill
            raise StoppedError("cancelled")
        watch = Watch(
            START_SECONDS if not self._ready else seconds + GRACE, should_stop, child.kill
        )
        try:
            if not self._ready:
                with watch:
                    self._ready = receive(child.stdout) == READY
                watch = Watch(seconds + GRACE, should_stop, child.kill)
            with watch:
                send(child.stdin, request)
                while (frame := receive(child.stdout))[0] not in ("end", "error"):
                    if take:
                        take(frame)
            if watch.reason:
                self._end()  # it was killed just as it had finished
        except (EOFError, OSError, ValueError) as error:  # ValueError: half a frame
            self._end()
            if not self._closed:
                with contextlib.suppress(OSError):
                    self.start()  # for the next statement
            if self._interrupted or self._closed:
                raise StoppedError("cancelled") from None
            if watch.reason:
                raise StoppedError(watch.reason) from None
            raise DatabaseError(
                f"SQLite broke down while it read {self.source.path} ({child.returncode}).",
                "The file may be damaged, or memory was short. Try another query.",
            ) from error
        except BaseException:
            self._end()  # replies that nobody reads must not answer the next request
            raise
        return _result(frame)

    def start(self) -> None:
        """Start the child where there is none, without waiting for it."""
        if self._child is None or self._child.poll() is not None:
            self._end()
            with _idle_lock:
                self._child = _idle.pop() if _idle else None
            self._ready = self._child is not None
            if self._child is None or self._child.poll() is not None:
                self._end()
                self._child = _new_child()

    def _end(self) -> None:
        child, self._child, self._ready = self._child, None, False
        if child is not None:
            _end(child)

    def _hand_back(self) -> None:
        """Leave the child to the next file, where it is well, else end it."""
        child = self._child
        if child is None or not self._ready or self._interrupted or len(_idle) >= MAX_IDLE:
            return self._end()
        assert child.stdin and child.stdout
        try:
            with Watch(1.0, None, child.kill) as watch:
                send(child.stdin, ("forget", "", "", False, 1.0, ()))
                receive(child.stdout)
        except (EOFError, OSError, ValueError):
            return self._end()
        if watch.reason:
            return self._end()
        self._child, self._ready = None, False
        with _idle_lock:
            _idle.append(child)

    def interrupt(self) -> None:
        """Stop what runs, from any thread. Between statements it does nothing."""
        with self._state:
            if self._busy:
                self._interrupted = True
                if (child := self._child) is not None:
                    self._killed = child
                    child.kill()

    def close(self) -> None:
        """Stop what runs and let go of the file. Harmless to repeat."""
        with self._state:
            self._closed = True
        self.interrupt()
        with self._lock:
            self._hand_back()


def _new_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C is for the parent; the child ends with its stdin
        creationflags=_FLAGS,
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]


def _result(frame: Frame) -> Any:
    if frame[0] == "end":
        return frame[1]
    _, kind, name, text, late = frame
    if kind == "MemoryError":
        raise MemoryError
    if late:
        raise StoppedError("time")
    error: sqlite3.Error | sqlite3.Warning = getattr(sqlite3, kind)(text)
    error.sqlite_errorname = name  # type: ignore[union-attr]
    raise error
