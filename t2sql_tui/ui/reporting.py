"""Failures of worker threads, posted as messages."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from textual.message_pump import MessagePump

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.paths import log_folder
from t2sql_tui.ui.messages import WorkFailed
from t2sql_tui.ui.state import Work


@contextlib.contextmanager
def reporting(target: MessagePump, work: Work, job: int = 0) -> Iterator[None]:
    """Post what the body raises to `target`, as WorkFailed.

    An error that is not a T2SQLError is a bug: the app stays usable, and the traceback goes
    to a file that the message names.
    """
    try:
        yield
    except T2SQLError as error:
        target.post_message(WorkFailed(work, error, job))
    except Exception as error:
        log = _log_bug()
        failure = T2SQLError(
            f"Something unexpected went wrong: {type(error).__name__}: {error}",
            f"You can go on. The details are in {log}." if log else "You can go on.",
        )
        target.post_message(WorkFailed(work, failure, job))


def _log_bug() -> Path | None:
    """The file to which the current traceback has been added; None if it cannot be written."""
    path = log_folder() / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}\n")
    except OSError:
        return None
    return path
