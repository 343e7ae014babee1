"""What has happened in the app. Workers and widgets post these; handlers paint.

The course of a question: QuestionSubmitted -> SQLGenerated -> QueryApproved -> RowsFetched,
or WorkFailed from anywhere. `job` is the number of the work that a worker began: a message
whose job is no longer current belongs to something cancelled and is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Backend, CheckedQuery, QueryResult, Rejection
from t2sql_tui.ui.history import Recall
from t2sql_tui.ui.state import Work
from t2sql_tui.ui.versions import ColumnsRead, Proposal

if TYPE_CHECKING:  # it brings sqlglot: 0.15 s that the first paint need not wait for
    from t2sql_tui.core.answers.explain import Step

# --- files ------------------------------------------------------------------------


@dataclass
class FileChosen(Message):
    """A person wants to open a file, or (`path` is None) the demo of that name."""

    path: Path | None
    demo: str | None = None


@dataclass
class DatabaseOpened(Message):
    """A file is open and its schema is read. `key` names it in the history, `earlier` are
    the questions asked of it before, `recall` a history entry to show now."""

    database: Database
    key: str
    demo: str | None
    earlier: list[str]
    recall: Recall | None


@dataclass
class DatabaseReloaded(Message):
    """The schema was read again from the file."""


@dataclass
class FileChanged(Message):
    """The open file was replaced, rewritten or deleted by somebody else."""

    gone: bool


@dataclass
class FileListRequested(Message):
    """A person wants to choose another file."""


# --- the model --------------------------------------------------------------------


@dataclass
class ModelRequested(Message):
    """A question waits for the model: it is to be loaded, once more if that failed before."""


@dataclass
class ModelProgressed(Message):
    """Bytes of weights fetched so far; `total` is 0 where nobody knows."""

    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        """A later one makes this one needless."""
        return isinstance(message, ModelProgressed)


@dataclass
class ModelLoaded(Message):
    """The model is there: it can be asked."""

    backend: Backend


@dataclass
class ModelWarmed(Message):
    """The model has read the schema: the next question costs only its own tokens."""


# --- a question -------------------------------------------------------------------


@dataclass
class QuestionSubmitted(Message):
    """A person asks something; `text` may be empty."""

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
    """The model has answered, or the work was cancelled."""

    job: int
    proposal: Proposal


@dataclass
class SQLChecked(Message):
    """SQL of a person, of the history or of a preview has been checked; `run` says whether
    it is to run at once. `reads` are the columns that it would read."""

    job: int
    verdict: CheckedQuery | Rejection
    run: bool
    reads: ColumnsRead


@dataclass
class SQLExplained(Message):
    """A query has been put into words. `plan` is SQLite's own: (depth, what it does)."""

    steps: tuple[Step, ...]
    plan: tuple[tuple[int, str], ...]


@dataclass
class QueryApproved(Message):
    """A person wants this query run, fetching at most `rows`."""

    query: CheckedQuery
    rows: int


@dataclass
class RowsFetched(Message):
    """A query has run. `rows` is how many were asked for at most."""

    job: int
    query: CheckedQuery
    rows: int
    result: QueryResult


@dataclass
class QuestionAnswered(Message):
    """A person has seen the rows of an answer: something for the history. `database` is its
    key there, `question` is empty for SQL that answers none."""

    database: str
    question: str
    sql: str
    row_count: int


@dataclass
class HistoryRequested(Message):
    """A person wants to see what was asked before."""


# --- copying and exporting --------------------------------------------------------


@dataclass
class TextCopied(Message):
    """A person wants `text` on the clipboard; `name` says what it is."""

    text: str
    name: str


@dataclass
class ExportProgressed(Message):
    """Rows written so far."""

    rows: int
    total: int

    def can_replace(self, message: Message) -> bool:
        """A later one makes this one needless."""
        return isinstance(message, ExportProgressed)


@dataclass
class ExportFinished(Message):
    """The rows are in the file; `size` is in bytes."""

    path: Path
    rows: int
    size: int


# --- failures ---------------------------------------------------------------------


@dataclass
class WorkFailed(Message):
    """A worker could not do its work."""

    work: Work
    error: T2SQLError
    job: int = 0
