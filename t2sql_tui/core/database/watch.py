"""Lock 3: time, cancelling and temporary disk space.

The progress handler and a watching thread both ask, because count(*) and its like are one long
step in which SQLite never calls the handler.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable

from t2sql_tui.core.database.limits import TEMP_BYTES
from t2sql_tui.core.types import ShouldStop


class Watch:
    """Says when a statement must end: its deadline, a cancel, a full temporary folder.

    Use as a context manager around the statement, and as its progress handler. `reason`
    tells afterwards what stopped it ("" if nothing did).
    """

    PERIOD = 0.05  # seconds between looks of the watching thread

    def __init__(
        self,
        seconds: float,
        should_stop: ShouldStop | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.should_stop = should_stop
        self.interrupt = interrupt
        self.reason = ""
        self._done = threading.Event()
        self._end = threading.Lock()  # so that no late interrupt meets the next statement
        self._temp_free = _free_temporary_bytes()

    def __call__(self) -> int:
        """1 when the statement must end, else 0: what a progress handler returns."""
        if not self.reason:
            if self.should_stop is not None and self.should_stop():
                self.reason = "cancelled"
            elif time.monotonic() > self.deadline:
                self.reason = "time"
        return int(bool(self.reason))

    def __enter__(self) -> Watch:
        if self.interrupt is not None:
            threading.Thread(
                target=self._look, args=(self.interrupt,), name="query-watch", daemon=True
            ).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._end:
            self._done.set()

    def _look(self, interrupt: Callable[[], None]) -> None:
        while not self._done.wait(self.PERIOD):
            if not self.reason and self._temp_free - _free_temporary_bytes() > TEMP_BYTES:
                self.reason = "disk"
            with self._end:
                if self() and not self._done.is_set():
                    interrupt()


def _free_temporary_bytes() -> float:
    """Free bytes where SQLite spills (https://sqlite.org/tempfiles.html section 5)."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp")
    for folder in (*named, tempfile.gettempdir()):
        if folder and os.access(folder, os.W_OK):
            return shutil.disk_usage(folder).free
    return math.inf
