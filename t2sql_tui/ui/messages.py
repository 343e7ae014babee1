"""What has happened, in the words of the app. Workers post these; handlers paint.

The way of a question: QuestionSubmitted -> SQLGenerated -> QueryApproved -> RowsFetched,
or WorkFailed from anywhere. `job` numbers the request a worker began for: a message whose
job is no longer current belongs to something cancelled and is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Answer, Backend, CheckedQuery, QueryResult, Rejection
from t2sql_tui.ui.history import Entry

if TYPE_CHECKING:  # it brings sqlglot: 0.15 s that the first paint need not wait for
    from t2sql_tui.core.answers.explain import Step
    from t2sql_tui.ui.widgets.readings import Version

Work = Literal["open", "load", "generate", "check", "run", "export", "history"]


@dataclass
class DatabaseOpened(Message):
    """A file is open and its schema is read. `key` names it in the history, `earlier` are
    the questions asked of it before, `recall` a history entry to show (and run?) now."""

    database: Database
    key: str
    demo: str | None
    earlier: list[str]
    recall: tuple[Entry, bool] | None


@dataclass
class DatabaseReloaded(Message):
    """The schema was read again from the file."""


@dataclass
class ModelProgressed(Message):
    """Bytes of weights fetched so far; `total` is 0 where nobody knows."""

    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ModelProgressed)


@dataclass
class ModelLoaded(Message):
    backend: Backend


@dataclass
class ModelWarmed(Message):
    """The model has read the schema: the next question costs only its own tokens."""


@dataclass
class QuestionSubmitted(Message):
    text: str


@dataclass
class TextGenerated(Message):
    """The model has written this much of its answer: everything so far, not a piece."""

    job: int
    text: str

    def can_replace(self, message: Message) -> bool:
        """A later one makes this one needless: a slow terminal skips, and never lags."""
        return isinstance(message, TextGenerated)


@dataclass
class AttemptRejected(Message):
    """The model's SQL failed its check and the model is asked again."""

    job: int
    number: int
    rejection: Rejection


@dataclass
class SQLGenerated(Message):
    """`versions` are the readings to choose from, that of the answer's candidate first;
    empty where no SQL passed the check."""

    job: int
    answer: Answer
    versions: tuple[Version, ...]


@dataclass
class SQLChecked(Message):
    """An edited SQL has been checked; `run` says whether it was meant to run at once.
    `reads` maps each table the SQL would read to the columns read of it."""

    job: int
    verdict: CheckedQuery | Rejection
    run: bool
    reads: dict[str, tuple[str, ...]]


@dataclass
class SQLExplained(Message):
    """`plan` is SQLite's own: (depth, what it does)."""

    steps: tuple[Step, ...]
    plan: tuple[tuple[int, str], ...]


@dataclass
class QueryApproved(Message):
    """A person wants this query run, fetching at most `rows`."""

    query: CheckedQuery
    rows: int


@dataclass
class RowsFetched(Message):
    """`rows` is how many were asked for at most."""

    job: int
    query: CheckedQuery
    rows: int
    result: QueryResult


@dataclass
class ExportProgressed(Message):
    rows: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ExportProgressed)


@dataclass
class ExportFinished(Message):
    """`size` is in bytes."""

    path: Path
    rows: int
    size: int


@dataclass
class FileChanged(Message):
    """The open file was replaced, rewritten or deleted by somebody else."""

    gone: bool


@dataclass
class WorkFailed(Message):
    work: Work
    error: T2SQLError
    job: int = 0
