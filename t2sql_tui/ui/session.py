"""The state machine of one open file: its conversation, its current answer, what may happen next.

It knows no widgets. The workbench forwards keys and messages to it and paints what it says.
Work in threads is numbered: `job` is the number of the latest, and whatever another number
brings back belongs to something cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.types import (
    Answer,
    AskOptions,
    Backend,
    CheckedQuery,
    Question,
    Rejection,
    Turn,
)
from t2sql_tui.ui.cells import one_line
from t2sql_tui.ui.files import FileStamp, file_stamp
from t2sql_tui.ui.state import AppState, Work
from t2sql_tui.ui.texts import StatusText
from t2sql_tui.ui.versions import ColumnsRead, Proposal, Versions

#: What the person is looking at. "queued": the question waits for the file or the model;
#: "proposed": checked SQL waits for approval; "edited": the SQL was changed by hand and not
#: checked since; "rejected": SQL that cannot run; "done": rows.
Phase = Literal[
    "idle",
    "queued",
    "generating",
    "proposed",
    "rejected",
    "editing",
    "edited",
    "checking",
    "running",
    "done",
]
#: What a finished generation leads to: nothing (it was cancelled), another attempt (it
#: repeated SQL that was seen before), or a proposal or a rejection to show.
Outcome = Literal["stale", "ask again", "proposed", "rejected"]

_BUSY: tuple[Phase, ...] = ("queued", "generating", "checking", "running")
_ATTEMPTS_PER_ANSWER = 3  # how often to ask for SQL that differs from what was seen


@dataclass(frozen=True)
class Request:
    """All that a worker needs to answer the current question."""

    job: int
    question: Question
    database: Database
    backend: Backend
    options: AskOptions


class Session:
    """What is asked of one file. `database` is None until the file is open.

    `query` is what approving runs, and `shown_sql` the editor's text when it was proposed.
    `reads` are the tables and columns of it. `ran` is the query whose rows are on screen.
    `turn` is the context of the next question. `on_phase_changed` is called with every new
    phase.
    """

    def __init__(self, file_name: str, state: AppState) -> None:
        self.file_name = file_name
        self.state = state
        self.history_key = ""
        self.examples: list[str] = []
        self.database: Database | None = None
        self.changed_on_disk = False
        self.on_phase_changed: Callable[[], None] = lambda: None
        self._phase: Phase = "idle"
        self.job = 0
        self._began = 0.0
        self._activity = ""
        self.question = ""
        self._queued_question = ""
        self.turn: Turn | None = None
        self.answer: Answer | None = None
        self.versions = Versions()
        self.query: CheckedQuery | None = None
        self.reads: ColumnsRead = {}
        self.shown_sql = ""
        self.ran: CheckedQuery | None = None
        self.repeats = False  # whether the answer repeats what was seen, after all attempts
        self._seen_sql: set[str] = set()  # proposed for this question so far
        self._seed = 0
        self._stamp: FileStamp = ()

    # --- phases -------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """What the person is looking at."""
        return self._phase

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self.on_phase_changed()

    @property
    def busy(self) -> bool:
        """Whether a question waits or a worker runs."""
        return self.phase in _BUSY

    def can(self, action: str) -> bool:
        """Whether an action is allowed now; those that it does not know always are."""
        free = self.database is not None and not self.busy
        editing = self.phase == "editing"
        match action:
            case "approve":
                return free and self.phase in ("proposed", "edited", "editing", "done")
            case "edit":
                return free and not editing
            case "regenerate":
                return free and not editing and bool(self.question)
            case "explain":
                return free and not editing and self.query is not None
            case "more":
                # Only of the SQL on screen: another may have been proposed since it ran.
                return free and self.ran is not None and self.query == self.ran
            case "readings":
                return free and not editing and len(self.versions) > 1
            case "cancel":
                return self.busy
            case "leave_editor" | "check_and_run":
                return editing
        return True

    def is_current(self, job: int) -> bool:
        """Whether what a worker brings back is still wanted."""
        return job == self.job

    def stopper(self, job: int) -> Callable[[], bool]:
        """A function that tells the worker of that number whether to stop."""
        return lambda: self.job != job or self.state.quitting

    def _begin(self, phase: Phase, activity: str) -> int:
        self.job += 1
        self._began = time.monotonic()
        self._activity = activity
        self._enter(phase)
        return self.job

    @property
    def seconds_waited(self) -> float:
        """How long the latest work takes or took."""
        return time.monotonic() - self._began

    def progress_text(self) -> StatusText | None:
        """What the running worker does, and since when; None where none runs."""
        if self.phase not in ("generating", "checking", "running"):
            return None
        waited = self.seconds_waited
        elapsed = f"{waited:.0f} s · " if waited >= 1 else ""
        return StatusText(self._activity, f"{elapsed}Esc stops", "busy")

    def stop(self) -> None:
        """End the running work; its messages will find that their job is over."""
        self.job += 1
        self._queued_question = ""
        if self.phase == "running" and self.database:
            self.database.interrupt()
        if self.busy:
            self._enter("proposed" if self.query else "idle")

    def leave(self) -> None:
        """The file is about to be closed: what runs is stale from now on."""
        self.job += 1

    def fail(self, work: Work, job: int) -> bool:
        """A worker failed; False where its work is no longer wanted."""
        if work in ("generate", "check", "run") and job != self.job:
            return False
        self._enter("proposed" if work == "run" and self.query else "idle")
        return True

    # --- the file -----------------------------------------------------------------

    def attach(self, database: Database, history_key: str, examples: list[str]) -> None:
        """Work on this file from now on. `history_key` names it in the history, `examples`
        are questions to offer."""
        self.database, self.history_key, self.examples = database, history_key, examples
        self.note_file_read()

    def note_file_read(self) -> None:
        """Take the file as it is on disk for what was read."""
        assert self.database
        self._stamp = file_stamp(self.database.path)

    def file_changed(self) -> bool:
        """Whether somebody else has changed the file since this was last asked."""
        # Two `stat` calls, so done in the thread of the screen.
        if self.database is None or self.changed_on_disk or self.busy:
            return False
        stamp = file_stamp(self.database.path)
        changed = stamp != self._stamp
        self._stamp = stamp
        return changed

    # --- asking -------------------------------------------------------------------

    def ask(self, question: str) -> None:
        """Take up another question; `request` begins the work on it."""
        self.stop()
        self.question, self._seen_sql, self._seed = question, set(), 0

    def new_conversation(self) -> None:
        """Forget the question and what it followed."""
        self.stop()
        self.turn = None
        self.question = ""

    def ask_again(self) -> None:
        """Take up the same question, for SQL that differs from what was proposed so far."""
        self.stop()
        self._seed += 1
        proposed = {version.query.sql for version in self.versions.items if version.query}
        if self.answer and self.turn and self.turn.sql in proposed:
            # The answer being replaced is no context for its own replacement.
            history = self.answer.question.history
            self.turn = history[-1] if history else None

    def request(self) -> Request | None:
        """Begin to generate. None where file or model is not there yet: the question waits."""
        database, backend = self.database, self.state.backend
        if database is None or backend is None:
            self._queued_question = self.question
            self._enter("queued")
            return None
        options = self.state.options
        comparing = ", running candidates to compare" if options.compare else ""
        job = self._begin("generating", f"Writing SQL{comparing}…")
        self.query = None
        self._forget_answer()
        if self._seed:
            options = options.one_sample(self._seed)
        history = (self.turn,) if self.turn else ()
        return Request(job, Question(self.question, history=history), database, backend, options)

    def take_queued(self) -> bool:
        """Whether a question has waited and can be answered now; it is the current one then."""
        if self.phase != "queued" or self.database is None or self.state.backend is None:
            return False
        self.question, self._queued_question = self._queued_question, ""
        return True

    def repair(self, number: int, rejection: Rejection) -> None:
        """The model is asked to repair its SQL for the `number`th time."""
        problem = rejection.problems[0].message  # enough to see that it goes on
        repairs = self.state.options.repairs
        self._activity = f"Repairing ({number} of {repairs}): {one_line(problem)}"

    def take(self, job: int, proposal: Proposal) -> Outcome:
        """Take the answer of a worker."""
        if not self.is_current(job):
            return "stale"
        sql = proposal.answer.candidate.sql
        repeated = self._seed > 0 and sql in self._seen_sql
        if repeated and self._seed < _ATTEMPTS_PER_ANSWER * len(self._seen_sql):
            self._seed += 1
            return "ask again"
        self.repeats = repeated
        self._seen_sql.add(sql)
        self.answer = proposal.answer
        self.versions = Versions(proposal)
        return "proposed" if proposal.versions else "rejected"

    def _forget_answer(self) -> None:
        self.answer = None
        self.versions = Versions()

    # --- what is proposed -----------------------------------------------------------

    def propose(self, query: CheckedQuery, reads: ColumnsRead, text: str) -> None:
        """`query` may run once it is approved; `text` is how the editor shows it."""
        self.query, self.reads, self.shown_sql = query, reads, text
        self._enter("proposed")

    def reject(self) -> None:
        """The SQL in the editor cannot run."""
        self.query = None
        self._enter("rejected")

    def choose(self, text: str) -> None:
        """The current version is in the editor, which shows it as `text`."""
        version = self.versions.current
        if version.query:
            confidence = self.answer.confidence if self.answer and version.reading else None
            self.turn = Turn(self.question, version.query.sql, confidence)
            self.propose(version.query, version.reads, text)
        else:
            self.query = None
            self._enter("edited")
        self.versions.set_text(text)

    def approved(self, text: str) -> CheckedQuery | None:
        """The query to run; None where the editor's text has to be checked first."""
        return self.query if text == self.shown_sql else None

    def preview(self) -> None:
        """The SQL is now about a table, and answers no question."""
        self.stop()
        self.question = ""
        self._forget_answer()

    def recall(self, question: str) -> None:
        """The SQL is now that of an earlier question, outside the conversation."""
        self.stop()
        self.turn = None
        self.question = question
        self._forget_answer()

    # --- editing, checking, running -------------------------------------------------

    def edit(self) -> None:
        """The person writes SQL."""
        self._enter("editing")

    def leave_editor(self, text: str) -> bool:
        """The person has written `text`. Whether that is the query that was proposed."""
        unchanged = self.approved(text) is not None
        self._enter("proposed" if unchanged else "edited")
        return unchanged

    def begin_check(self) -> int:
        """Begin to check the editor's text; the number of that job."""
        return self._begin("checking", "Checking…")

    def accept(self, query: CheckedQuery, reads: ColumnsRead, text: str) -> None:
        """The editor's text has passed the check; it answers the question, if there is one."""
        self.propose(query, reads, text)
        if self.question:
            self.turn = Turn(self.question, query.sql)

    def begin_run(self) -> int:
        """Begin to run an approved query; the number of that job."""
        self.stop()
        return self._begin("running", "Running…")

    def finish_run(self, query: CheckedQuery) -> None:
        """The rows of `query` are there."""
        self.ran = query
        self._enter("done")
