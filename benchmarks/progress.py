"""The progress of a run on the terminal, and Ctrl+C, which ends it in order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from benchmarks.records import Line


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl+C (or SIGTERM) asks for an orderly end instead of raising somewhere in the middle;
    a second one raises. Yields a function that says whether it was asked for."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """A bar with the accuracy so far and the time left on a terminal; elsewhere a line through
    `note` now and then. `done` are the lines that the run began with, of `total`."""

    EVERY = 30.0  # seconds between lines where there is no terminal

    def __init__(self, total: int, done: Iterable[Line], note: Callable[[str], None]) -> None:
        self.total, self.done, self.right, self.asked = total, 0, 0, 0
        self._note = note
        console = Console(stderr=True)
        self._bar = ProgressBar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[right]}"),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._quiet = not console.is_terminal
        self._task = self._bar.add_task("", total=total, right="", pace="")
        for line in done:
            self._count(line)
        self._started = self._noted = time.monotonic()

    def _count(self, line: Line) -> None:
        self.done += 1
        self.right += bool(line["score"]["correct"])

    def advance(self, line: Line) -> None:
        """Counts one more line that was scored."""
        self._count(line)
        self.asked += 1
        now = time.monotonic()
        pace = (now - self._started) / self.asked
        right = f"{100 * self.right / self.done:.1f} % right"
        if not self._quiet:
            self._bar.update(
                self._task,
                completed=self.done,
                description=line["database"],
                right=right,
                pace=f"{pace:.2f} s each",
            )
        elif now - self._noted > self.EVERY or self.done == self.total:
            self._noted = now
            minutes = pace * (self.total - self.done) / 60
            self._note(
                f"{self.done}/{self.total}  {right}  {pace:.2f} s each  {minutes:.0f} min left"
            )

    def __enter__(self) -> Progress:
        if not self._quiet:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
