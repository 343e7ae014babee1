"""The main screen: one open file, a question, its SQL, its rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen

from t2sql_tui.core.ask import ask
from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import ModelError, T2SQLError
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.types import (
    Answer,
    CheckedQuery,
    Question,
    Rejection,
    Schema,
    Turn,
)
from t2sql_tui.ui.cells import one_line
from t2sql_tui.ui.history import Entry
from t2sql_tui.ui.messages import (
    AttemptRejected,
    DatabaseReloaded,
    FileChanged,
    QueryApproved,
    QuestionSubmitted,
    RowsFetched,
    SQLChecked,
    SQLExplained,
    SQLGenerated,
    TextGenerated,
    WorkFailed,
)
from t2sql_tui.ui.widgets.grid import ResultGrid
from t2sql_tui.ui.widgets.keybar import KeyBar
from t2sql_tui.ui.widgets.question import QuestionBox
from t2sql_tui.ui.widgets.readings import AgreementLine, ReadingsPane, Version, versions
from t2sql_tui.ui.widgets.results import Results, seconds
from t2sql_tui.ui.widgets.schema import SchemaPane, SchemaTree
from t2sql_tui.ui.widgets.sql import SQLPane, lay_out, lay_out_start
from t2sql_tui.ui.widgets.status import StatusLine, TopBar
from t2sql_tui.ui.words import describe_reads, reads, starters

if TYPE_CHECKING:
    from t2sql_tui.ui.app import T2SQLApp

# What the person is looking at. "proposed": checked SQL waits for approval; "edited": the
# SQL was changed by hand and not checked since; "rejected": SQL that cannot run.
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
_BUSY = ("queued", "generating", "checking", "running")
_PAINT_SECONDS = 0.03  # the least time between two paints of text that streams in
_OTHER_TRIES = 3  # how often to ask for SQL that differs from what was seen


class Workbench(Screen[None]):
    """Asks, shows, runs. Workers post; the handlers here are all that touches widgets."""

    app: T2SQLApp

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]
    BINDINGS = [
        Binding("a", "approve", "Run"),
        Binding("e", "edit", "Edit"),
        Binding("o", "readings", "Readings"),
        Binding("r", "regenerate", "Another"),
        Binding("x", "explain", "Explain"),
        Binding("m", "more", "More rows"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "cancel", "Stop"),
        Binding("f5", "check_and_run", "Check and run"),
        Binding("escape", "leave_editor", "Leave the editor"),
        Binding("escape", "close_readings", "Back to the rows", show=False),
        Binding("ctrl+n", "new_question", "New question"),
        # Priority only where a text field has the key: it overtakes letters still on their way.
        Binding("ctrl+e", "export", "Export", priority=True),
        Binding("f1", "help", "Help"),
        Binding("f2", "question", "Question", show=False),
        Binding("f5", "results", "Run / results", show=False),
        Binding("f6", "schema", "Schema", priority=True),
        Binding("f8", "history", "History"),
        Binding("ctrl+o", "open", "Open"),
        Binding("ctrl+r", "reload", "Read the file again", show=False),
    ]

    phase: reactive[Phase] = reactive("idle")

    def __init__(self, name: str) -> None:
        """`name` is what the file is called on screen. See `attach`."""
        super().__init__()
        self.file_name = name
        self.history_key = ""
        self.examples: list[str] = []
        self.database: Database | None = None
        self.job = 0
        self.question = ""
        self.queued = ""
        self.turn: Turn | None = None
        self.checked: CheckedQuery | None = None  # what "approve" runs
        self.reads: dict[str, tuple[str, ...]] = {}
        self.rejection: Rejection | None = None
        self.answer: Answer | None = None
        self._ran: CheckedQuery | None = None  # what the rows on screen are of
        self._note = ""  # in the frame of SQL by the model: which model, how long
        self._shown_sql = ""  # the editor's text when `query` or `rejection` was set
        self._seen: set[str] = set()  # SQL proposed for this question so far
        self._seed = 0
        self._began = 0.0
        self._stamp: object = None
        self._changed = False

    def compose(self) -> ComposeResult:
        yield TopBar(id="top")
        with Horizontal(id="body"):
            yield SchemaPane()
            with Vertical(id="main"):
                yield QuestionBox()
                yield SQLPane()
                yield AgreementLine()
                yield StatusLine()
                yield ReadingsPane()
                yield Results()
        yield KeyBar()

    def on_mount(self) -> None:
        self.top.show_file(self.file_name, "opening…")
        self.results.show_words("")
        self._forget_readings()
        self.box.focus()
        self.set_interval(0.25, self._tick)
        self.set_interval(2.0, self._look_at_file)
        self.app.show_model()

    # --- parts --------------------------------------------------------------------

    @property
    def top(self) -> TopBar:
        return self.query_one(TopBar)

    @property
    def box(self) -> QuestionBox:
        return self.query_one(QuestionBox)

    @property
    def sql(self) -> SQLPane:
        return self.query_one(SQLPane)

    @property
    def status(self) -> StatusLine:
        return self.query_one(StatusLine)

    @property
    def results(self) -> Results:
        return self.query_one(Results)

    @property
    def readings(self) -> ReadingsPane:
        return self.query_one(ReadingsPane)

    @property
    def busy(self) -> bool:
        return self.phase in _BUSY

    def watch_phase(self) -> None:
        self.refresh_bindings()

    # --- the file -----------------------------------------------------------------

    def attach(self, database: Database, key: str, examples: list[str], earlier: list[str]) -> None:
        """Work on this file from now on. `key` names it in the history, `examples` are
        questions to offer, `earlier` those that were asked before."""
        self.database, self.history_key, self.examples = database, key, examples
        self._stamp = file_stamp(database.path)
        self.box.remember(earlier)
        self._show_database()
        self.take_queued()

    def leave(self) -> None:
        """Another file takes this screen's place."""
        self.job += 1
        if database := self.database:
            # In a thread: closing waits for the query that it interrupts.
            self.app.run_worker(database.close, group="close", thread=True)

    def _show_database(self) -> None:
        assert self.database
        schema = self.database.schema
        self._describe_file(schema)
        self.query_one(SchemaPane).show(schema)
        self.box.placeholder = (
            "Ask about this data in your own words"
            if schema.tables
            else "This file has no tables yet: there is nothing to ask"
        )
        if self.phase == "idle" and not self.results.has_rows:
            self._invite(schema)

    def _describe_file(self, schema: Schema) -> None:
        count = len(schema.tables)
        warning = "changed on disk · ctrl+r reads it again" if self._changed else ""
        self.top.show_file(
            self.file_name, f"{count:,} table{'' if count == 1 else 's'} · read-only", warning
        )

    def _invite(self, schema: Schema) -> None:
        """The empty state: what to do first."""
        if not schema.tables:
            self.results.show_words("This file holds no tables.\nOpen another with ctrl+o.")
            self.status.show("Nothing to ask here.", "ctrl+o opens another file")
            return
        self.results.show_words("", self.examples or starters(schema))
        if error := self.app.model_error:  # it failed before the file was open
            self.model_failed(error)
        else:
            self.status.show(
                "SQL can only read here. Candidates run briefly before you see the best one.",
                "ctrl+p switches that off",
            )
            if not self.app.compare:
                self.status.show("You see the SQL before it runs, and it can only read.")

    def _look_at_file(self) -> None:
        """Has somebody else changed the file? Two `stat` calls, so done here."""
        if self.database and not self._changed and not self.busy:
            stamp = file_stamp(self.database.path)
            if stamp != self._stamp:
                self._stamp = stamp
                self.post_message(FileChanged(gone=not self.database.path.exists()))

    @on(FileChanged)
    def _warn_of_change(self, event: FileChanged) -> None:
        assert self.database
        if event.gone:
            self.top.show_file(self.file_name, warning="deleted or moved · ctrl+o opens another")
            self.status.show(
                f"{self.database.path} is gone.",
                "What you see stays here; ctrl+e saves it.",
                "warning",
            )
        else:
            self._changed = True
            self._describe_file(self.database.schema)

    def action_reload(self) -> None:
        database = self.database
        if database is None:
            return

        def reload() -> None:
            with self._reporting("open"):
                database.reload_schema()
                self.post_message(DatabaseReloaded())

        self._changed = False
        self._work(reload, "open")

    @on(DatabaseReloaded)
    def _show_again(self) -> None:
        assert self.database
        self._stamp = file_stamp(self.database.path)
        self._show_database()
        self.app.warm()
        self.notify("Read the file again.", timeout=2)

    # --- asking -------------------------------------------------------------------

    @on(QuestionSubmitted)
    def _asked(self, event: QuestionSubmitted) -> None:
        event.stop()
        if not event.text:
            self.status.show("Type a question first.", "For example: how many customers are there?")
            return
        self._stop_work()
        self.question, self._seen, self._seed = event.text, set(), 0
        self._generate()

    @on(Results.ExampleChosen)
    def _example(self, event: Results.ExampleChosen) -> None:
        self.action_new_question()
        self.box.show(event.question)
        self.box.action_submit()

    def _generate(self) -> None:
        """Ask the model, now or as soon as it is there."""
        if self.database is None or self.app.backend is None:
            self.queued = self.question
            self.phase = "queued"
            self.app.load_model()  # once more, if it failed before
            self.status.show("Your question waits for the model.", "Esc takes it back", "busy")
            return
        database, backend = self.database, self.app.backend
        job = self._begin("generating")
        self.checked = self.rejection = self.answer = None
        self._forget_readings()
        self.sql.show("")
        self.results.set_stale(self.results.has_rows)
        self.sql.editor.focus()
        self._show_conversation()
        question = Question(self.question, history=(self.turn,) if self.turn else ())
        options = replace(self.app.options, compare=self.app.compare)
        if self._seed:
            options = options.one_sample(self._seed)
        said: list[str] = []
        painted = 0.0

        def on_text(piece: str) -> None:
            nonlocal painted
            said.append(piece)
            if time.monotonic() - painted > _PAINT_SECONDS:
                painted = time.monotonic()
                self.post_message(TextGenerated(job, "".join(said)))

        def on_attempt(number: int, rejection: Rejection) -> None:
            said.clear()
            self.post_message(AttemptRejected(job, number, rejection))

        def generate() -> None:
            with self._reporting("generate", job):
                answer = ask(
                    question,
                    database,
                    backend,
                    options,
                    on_text=on_text,
                    on_attempt=on_attempt,
                    should_stop=self._stopper(job),
                )
                self.post_message(SQLGenerated(job, answer, versions(answer, database)))

        self._work(generate, "generate")

    def take_queued(self) -> None:
        if self.phase == "queued" and self.database and self.app.backend:
            self.question, self.queued = self.queued, ""
            self._generate()

    @on(TextGenerated)
    def _paint_text(self, event: TextGenerated) -> None:
        if event.job == self.job:
            sql = extract_sql(event.text)
            self.sql.show(lay_out_start(sql) if sql else event.text)

    @on(AttemptRejected)
    def _say_repair(self, event: AttemptRejected) -> None:
        if event.job == self.job:
            first = event.rejection.problems[0].message  # enough to see that it goes on
            self._busy_words = f"Repairing ({event.number} of 2): {one_line(first)}"
            self._tick()

    @on(SQLGenerated)
    def _propose(self, event: SQLGenerated) -> None:
        if event.job != self.job:
            return
        answer = event.answer
        candidate = answer.candidate
        again = candidate.sql in self._seen
        if again and self._seed and self._seed < _OTHER_TRIES * len(self._seen):
            self._seed += 1
            self._generate()
            return
        self._seen.add(candidate.sql)
        self.answer = answer
        generation = answer.generations[-1]
        note = f"{generation.model} · {seconds(sum(g.seconds for g in answer.generations))}"
        if event.versions:
            self._note = note
            self.readings.take(answer, event.versions)
            self._show_version(event.versions[0])
            if again:
                self.status.show("The model stays with this answer.", "e edits it", "warning")
            if self.readings.asking:
                self._compare(0)
            return
        verdict = candidate.verdict or Rejection("", ())
        if generation.finish == "length":
            words = "The model went on without an end, and was stopped."
        elif not candidate.text.strip():
            words = "The model answered nothing."
        elif not candidate.sql:
            words = "The model answered in words, not SQL."
        else:
            words = ""
        self.sql.show(lay_out(candidate.sql) if candidate.sql else candidate.text.strip(), note)
        self._refuse(verdict, words)

    def _accept(self, query: CheckedQuery, reads: dict[str, tuple[str, ...]]) -> None:
        """`query` may run: say what it would read."""
        self.checked, self.reads, self.rejection = query, reads, None
        self._shown_sql = self.sql.text
        self.phase = "proposed"
        self._describe_query()
        self._show_conversation()

    def _describe_query(self) -> None:
        what = self._what_is_read()
        left_out = self.answer.generations[-1].prompt.left_out if self.answer else ()
        if left_out:
            names = ", ".join(map(one_line, left_out[:4])) + ("…" if len(left_out) > 4 else "")
            self.status.show(
                f"Reads {what}, and changes nothing.",
                f"Too large for the model to see whole: {len(left_out):,} tables left out ({names}).",
                "warning",
            )
        else:
            self.status.show(f"Reads {what}, and changes nothing.", "a runs it", "good")

    def _what_is_read(self) -> str:
        assert self.database
        return describe_reads(self.reads, self.database.schema)

    def _refuse(self, rejection: Rejection, words: str = "") -> None:
        self.checked, self.rejection = None, rejection
        self._shown_sql = self.sql.text
        self.phase = "rejected"
        message = words or rejection.message or "This cannot run."
        names = [name for problem in rejection.problems for name in problem.suggestions]
        unsaid = [one_line(name) for name in dict.fromkeys(names) if name not in message]
        near = f"Near: {', '.join(unsaid)}. " if unsaid else ""
        retry = "e edits it, r asks for another." if self.question else "e edits it."
        self.status.show(one_line(message), near + retry, "error")

    def action_regenerate(self) -> None:
        self._stop_work()
        self._seed += 1
        proposed = {version.query.sql for version in self.readings.versions if version.query}
        if self.answer and self.turn and self.turn.sql in proposed:
            # The answer being replaced is no context for its own replacement.
            history = self.answer.question.history
            self.turn = history[-1] if history else None
        self._generate()

    def action_new_question(self) -> None:
        """Forget the conversation and begin with an empty box."""
        self._stop_work()
        self.turn = None
        self.question = ""
        self.box.show("")
        self.box.focus()
        self._show_conversation()

    def _show_conversation(self) -> None:
        """Say whether a question stands alone or follows another."""
        asking = self.phase == "generating"
        if self.turn and asking:
            asked = one_line(self.turn.question)
            asked = asked[:39] + "…" if len(asked) > 40 else asked
            self.box.border_subtitle = Content(f"follows “{asked}”")
        elif self.turn:
            self.box.border_subtitle = "the next one follows this · ctrl+n starts anew"
        else:
            self.box.border_subtitle = ""

    # --- several readings ---------------------------------------------------------

    def _forget_readings(self) -> None:
        self._to_results()
        self.readings.take(None)
        self._show_agreement()

    def _show_agreement(self) -> None:
        self.query_one(AgreementLine).show(*self.readings.describe())
        self.refresh_bindings()

    def _show_version(self, version: Version) -> None:
        """Put it in the editor, ready to be run if it is known to be safe."""
        if version.query:
            self.sql.show(version.sql, self._note)
            self.turn = Turn(self.question, version.query.sql)
            self._accept(version.query, version.reads)
        else:
            self.sql.show(version.sql, "edited")
            self.checked = None
            self._say_edited()
        self.readings.shown_as(self.sql.text)
        self._show_agreement()

    def _compare(self, place: int) -> None:
        """Show the readings in place of the rows, that one being the current."""
        self.readings.show(place)
        self.results.display = False
        self.readings.options.focus()

    def action_readings(self) -> None:
        """o: the next reading, or the person's own SQL, and back to the first."""
        self._keep_edit()
        self._switch(self.readings.next)

    @on(ReadingsPane.Moved)
    def _moved_to_reading(self) -> None:
        place = self.readings.options.highlighted
        if self.readings.display and place is not None and place != self.readings.place:
            self._keep_edit()
            self._switch(place)

    def _switch(self, place: int) -> None:
        self._stop_work()
        self._compare(place)
        self._show_version(self.readings.versions[place])
        self.results.set_stale(self.results.has_rows and self.checked != self._ran)

    def _keep_edit(self) -> None:
        """What a person wrote is never lost: it becomes a version beside the model's."""
        self.readings.keep(self.sql.text)
        self._show_agreement()

    @on(ReadingsPane.Picked)
    def _picked(self) -> None:
        if self.readings.display:
            self.readings.answered()
            self.sql.editor.focus()
            self._show_agreement()

    def action_close_readings(self) -> None:
        self._to_results()

    def _to_results(self) -> None:
        """Back from comparing to the rows."""
        if self.readings.has_focus_within:
            self.sql.editor.focus()
        self.readings.display = False
        self.results.display = True

    # --- approving, editing, running ----------------------------------------------

    def action_approve(self) -> None:
        if not self.check_action("approve", ()):
            return
        if self.checked is not None and self.sql.text == self._shown_sql:
            self.post_message(QueryApproved(self.checked, self.app.limits.rows))
        else:
            self.action_check_and_run()

    def action_check_and_run(self) -> None:
        self.sql.border_subtitle = "edited"
        self._check(run=True)

    def _check(self, run: bool) -> None:
        database, text = self.database, self.sql.text
        assert database
        job = self._begin("checking")
        self.sql.set_editable(False)

        def check_sql() -> None:
            with self._reporting("check", job):
                verdict = check(text, database)
                self.post_message(SQLChecked(job, verdict, run, reads(verdict, database)))

        self._work(check_sql, "check")

    @on(SQLChecked)
    def _checked(self, event: SQLChecked) -> None:
        if event.job != self.job:
            return
        if isinstance(event.verdict, Rejection):
            self._refuse(event.verdict)
            self._resume_editing()
            return
        self._keep_edit()
        self._accept(event.verdict, event.reads)
        if self.question:
            self.turn = Turn(self.question, event.verdict.sql)
        if event.run:
            self.post_message(QueryApproved(event.verdict, self.app.limits.rows))

    def _resume_editing(self) -> None:
        self.sql.set_editable(True)
        self.sql.editor.focus()
        self.phase = "editing"

    @on(QueryApproved)
    def _run(self, event: QueryApproved) -> None:
        assert self.database
        database, query = self.database, event.query
        self._stop_work()
        limits = replace(self.app.limits, rows=event.rows)
        job = self._begin("running")
        self.results.set_stale(self.results.has_rows)

        def run() -> None:
            with self._reporting("run", job):
                result = database.run(query, limits, self._stopper(job))
                self.post_message(RowsFetched(job, query, limits.rows, result))

        self._work(run, "run")

    @on(RowsFetched)
    def _show_rows(self, event: RowsFetched) -> None:
        if event.job != self.job:
            return
        result = event.result
        more = event.rows > self.app.limits.rows
        self.phase = "done"
        self._ran = event.query
        self._to_results()
        self.status.show(f"Read {self._what_is_read()}, and changed nothing.", "", "good")
        if result.rows:
            self.results.show_result(result, event.rows, keep_view=more)
            if self.focused is None or self.sql.editor.has_focus:
                self.results.grid.focus()
        else:
            self.results.show_result(result, event.rows)
            columns = ", ".join(map(one_line, result.columns))
            self.results.show_words(
                f"No rows.\n\nThe query ran and found nothing for {columns}.\n"
                "x explains its conditions, e changes them, r asks for another."
            )
        if not more:
            self.app.remember(self.history_key, self.question, event.query.sql, len(result.rows))
        self._show_conversation()

    @on(Results.MoreWanted)
    def _fetch_more(self, event: Results.MoreWanted) -> None:
        if self._ran:
            self.post_message(QueryApproved(self._ran, event.rows))

    def action_edit(self) -> None:
        self._stop_work()
        self._resume_editing()
        self.status.show("Editing.", "F5 checks and runs it, Esc leaves the editor")

    @on(SchemaTree.PreviewRequested)
    def _preview(self, event: SchemaTree.PreviewRequested) -> None:
        """A person asked for this table's rows: the SQL is ours, shown, and run at once."""
        self._stop_work()
        self.question, self.answer = "", None
        self._forget_readings()
        self.sql.show(f"SELECT *\nFROM {quote_identifier(event.table)}", "preview")
        self._check(run=True)

    @on(SchemaTree.NameChosen)
    def _insert_name(self, event: SchemaTree.NameChosen) -> None:
        if self.phase == "editing":
            self.sql.editor.insert(event.name)
            self.sql.editor.focus()
        else:
            self.box.insert_word(event.name)
            self.box.focus()

    def recall(self, entry: Entry, run: bool) -> None:
        """Bring back a question and its SQL from the history."""
        self._stop_work()
        self.turn = None
        self.question, self.answer = entry.question, None
        self._forget_readings()
        self.box.show(entry.question)
        self.sql.show(entry.sql, "from the history")
        self.sql.editor.focus()
        self._check(run)

    # --- stopping and failing -----------------------------------------------------

    def action_leave_editor(self) -> None:
        self.sql.set_editable(False)
        if self.checked is not None and self.sql.text == self._shown_sql:
            self.phase = "proposed"
            self._describe_query()
        else:
            self._keep_edit()
            self._say_edited()

    def _say_edited(self) -> None:
        self.phase = "edited"
        self.status.show("Edited, not checked yet.", "a checks and runs it, e goes on")

    def action_cancel(self) -> None:
        was = self.phase
        waited = seconds(time.monotonic() - self._began)
        self._stop_work()
        if was == "queued":
            self.box.focus()
            self.status.show("Question taken back.", "It is still in the box above")
        elif was == "running":
            self.status.show(f"Stopped after {waited}.", "a runs it again, e edits it")
        else:
            self.status.show(f"Stopped after {waited}.", "r asks again, F2 goes to the question")

    def _stop_work(self) -> None:
        """End whatever runs; its messages will find that their job is over."""
        self.job += 1
        self.queued = ""
        if self.phase == "running" and self.database:
            self.database.interrupt()
        if self.busy:
            self.phase = "proposed" if self.checked else "idle"
        self.sql.set_editable(False)

    @on(WorkFailed)
    def _failed(self, event: WorkFailed) -> None:
        event.stop()
        if event.work in ("generate", "check", "run") and event.job != self.job:
            return
        error = event.error
        self.phase = "proposed" if event.work == "run" and self.checked else "idle"
        hint = error.hint
        if event.work == "run":
            hint = hint or "e edits the SQL, r asks for another"
        elif isinstance(error, ModelError):
            hint = hint or "Ask again to try again"
        self.status.show(error.message, hint, "error")

    def model_failed(self, error: T2SQLError) -> None:
        if self.phase == "queued":
            self._stop_work()
        self.status.show(error.message, error.hint or "e lets you write the SQL yourself", "error")

    # --- workers ------------------------------------------------------------------

    def _begin(self, phase: Phase) -> int:
        self.job += 1
        self._began = time.monotonic()
        self._busy_words = {
            "generating": "Writing SQL, running candidates to compare…"
            if self.app.compare
            else "Writing SQL…",
            "checking": "Checking…",
            "running": "Running…",
        }[phase]
        self.phase = phase
        self._tick()
        return self.job

    def _tick(self) -> None:
        """Say how long the present work takes."""
        if self.phase in ("generating", "checking", "running"):
            waited = time.monotonic() - self._began
            time_said = f"{waited:.0f} s · " if waited >= 1 else ""
            self.status.show(self._busy_words, f"{time_said}Esc stops", "busy")

    def _stopper(self, job: int) -> Callable[[], bool]:
        return lambda: self.job != job or self.app.quitting

    def _work(self, work: Callable[[], None], group: str) -> None:
        self.run_worker(work, group=group, thread=True)

    def _reporting(self, work, job: int = 0):
        return self.app.reporting(self, work, job)

    # --- keys ---------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        free = self.database is not None and not self.busy
        match action:
            case "approve":
                return free and self.phase in ("proposed", "edited", "editing", "done")
            case "edit":
                return free and self.phase != "editing"
            case "regenerate":
                return free and bool(self.question) and self.phase != "editing"
            case "explain":
                return free and self.checked is not None and self.phase != "editing"
            case "cancel":
                return self.busy
            case "leave_editor" | "check_and_run":
                return self.phase == "editing"
            case "export" | "filter":
                return self.is_mounted and self.results.has_rows
            case "more":
                # Only of the SQL on screen: another may have been proposed since it ran.
                shown = free and self.results.has_rows and self.checked == self._ran
                return shown and self.results.can_fetch_more
            case "close_readings":
                return self.is_mounted and self.readings.display
            case "readings":
                return free and self.phase != "editing" and len(self.readings.versions) > 1
        return True

    def action_question(self) -> None:
        """F2: to the question; from there to the SQL."""
        if self.box.has_focus:
            self.sql.editor.focus()
        else:
            self.box.focus()
            self.box.select_all()  # typing replaces the question, an arrow key keeps it

    def action_results(self) -> None:
        """F5: run what waits to be run; else go to the rows."""
        if self.phase in ("proposed", "edited", "editing"):
            self.action_approve()
        elif self.results.has_rows:
            self._to_results()
            self.results.grid.focus()
        else:
            self.query_one("#examples").focus()

    def action_schema(self) -> None:
        """F6: show and enter the tree; from inside it, leave and hide it."""
        pane = self.query_one(SchemaPane)
        inside = self.focused is not None and pane in self.focused.ancestors
        if inside:
            self.set_class(False, "-schema-open")
            self.set_class(True, "-schema-closed")
            self.box.focus()
        else:
            self.set_class(True, "-schema-open")
            self.set_class(False, "-schema-closed")
            self.query_one(SchemaTree).focus()

    def action_explain(self) -> None:
        from t2sql_tui.core.answers.explain import explain, query_plan

        database, query = self.database, self.checked
        if database is None or query is None:
            return

        def explain_query() -> None:
            with self._reporting("check", self.job):
                steps = explain(query.sql, database.schema)
                plan = query_plan(query, database)
                self.post_message(SQLExplained(steps, plan))

        self._work(explain_query, "explain")

    @on(SQLExplained)
    def _show_explanation(self, event: SQLExplained) -> None:
        from t2sql_tui.ui.screens.explain import ExplainScreen

        self.app.push_screen(ExplainScreen(event.steps, event.plan))

    @on(ResultGrid.CellOpened)
    def _view_cell(self, event: ResultGrid.CellOpened) -> None:
        from t2sql_tui.ui.screens.cell import CellScreen

        self.app.push_screen(CellScreen(event.column, event.row, event.value))

    @on(ResultGrid.CellsCopied)
    def _copied(self, event: ResultGrid.CellsCopied) -> None:
        self.app.copy(event.text, event.what)

    def action_filter(self) -> None:
        self._to_results()
        self.results.open_filter()

    def action_more(self) -> None:
        self.results.fetch_more()

    def action_export(self) -> None:
        from t2sql_tui.ui.screens.export import ExportScreen

        if self.database and self.results.has_rows:
            self.app.push_screen(
                ExportScreen(self.database, self._ran, self.results.grid, self.question)
            )

    def action_help(self) -> None:
        from t2sql_tui.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def action_history(self) -> None:
        self.app.show_history()

    def action_open(self) -> None:
        self.app.show_picker()


def file_stamp(path: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes whenever the file or its write-ahead log is written, replaced or deleted."""
    stamps: list[tuple[int, int, int] | None] = []
    for name in (path, Path(f"{path}-wal")):
        try:
            found = name.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(stamps)
