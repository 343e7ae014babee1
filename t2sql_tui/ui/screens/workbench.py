"""The main screen: one open file, a question, its SQL, its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import ModelError, T2SQLError
from t2sql_tui.core.types import Rejection
from t2sql_tui.ui import jobs
from t2sql_tui.ui.cells import duration
from t2sql_tui.ui.history import Recall
from t2sql_tui.ui.messages import (
    AttemptRejected,
    DatabaseReloaded,
    FileChanged,
    FileListRequested,
    HistoryRequested,
    ModelRequested,
    QueryApproved,
    QuestionAnswered,
    QuestionSubmitted,
    RowsFetched,
    SQLChecked,
    SQLGenerated,
    TextGenerated,
    WorkFailed,
)
from t2sql_tui.ui.reporting import reporting
from t2sql_tui.ui.screens.workbench_view import WorkbenchView
from t2sql_tui.ui.state import AppState, Work
from t2sql_tui.ui.texts import model_note, preview_sql
from t2sql_tui.ui.widgets.readings import ReadingsPane
from t2sql_tui.ui.widgets.results import Results
from t2sql_tui.ui.widgets.schema import SchemaTree


class Workbench(WorkbenchView):
    """Forwards keys and messages to its session, and shows what has come of them.

    `name` is what the file is called on screen; `attach` brings the file itself. Slow work
    is done in threads, which post messages; only the handlers here change what is shown.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
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

    def __init__(self, name: str, state: AppState) -> None:
        super().__init__(name, state)
        self.session.on_phase_changed = self.refresh_bindings

    def on_mount(self) -> None:
        """Show that the file is being opened."""
        self.top_bar.show_file(self.session.file_name, "opening…")
        self.results.show_text("")
        self._forget_readings()
        self.question_box.focus()
        self.set_interval(0.25, self.show_progress)
        self.set_interval(2.0, self._look_at_file)
        self.show_model()

    # --- the file -----------------------------------------------------------------

    def attach(
        self, database: Database, history_key: str, examples: list[str], earlier: list[str]
    ) -> None:
        """Work on this file from now on. `earlier` are questions that were asked before."""
        self.session.attach(database, history_key, examples)
        self.question_box.set_earlier(earlier)
        self.show_database(database)
        self.take_queued()

    def leave(self) -> None:
        """Another file takes this screen's place."""
        self.session.leave()
        if database := self.session.database:
            # In a thread: closing waits for the query that it interrupts.
            self.app.run_worker(database.close, group="close", thread=True)

    def _look_at_file(self) -> None:
        database = self.session.database
        if database and self.session.file_changed():
            self.post_message(FileChanged(gone=not database.path.exists()))

    @on(FileChanged)
    def _warn_of_change(self, event: FileChanged) -> None:
        database = self.session.database
        assert database
        if event.gone:
            name = self.session.file_name
            self.top_bar.show_file(name, warning="deleted or moved · ctrl+o opens another")
            hint = "What you see stays here; ctrl+e saves it."
            self.status.show(f"{database.path} is gone.", hint, "warning")
        else:
            self.session.changed_on_disk = True
            self.show_file(database)

    def action_reload(self) -> None:
        """Read the schema from the file again."""
        database = self.session.database
        if database is None:
            return

        def reload() -> None:
            database.reload_schema()
            self.post_message(DatabaseReloaded())

        self.session.changed_on_disk = False
        self._start("open", reload)

    @on(DatabaseReloaded)
    def _show_again(self) -> None:
        database = self.session.database
        assert database
        self.session.note_file_read()
        self.show_database(database)
        self.notify("Read the file again.", timeout=2)

    def model_failed(self, error: T2SQLError) -> None:
        """There is no model: a question that waits for it is taken back."""
        if self.session.phase == "queued":
            self._stop_work()
        self.show_model_error(error)

    # --- asking -------------------------------------------------------------------

    @on(QuestionSubmitted)
    def _ask(self, event: QuestionSubmitted) -> None:
        event.stop()
        if not event.text:
            self.status.show("Type a question first.", "For example: how many customers are there?")
            return
        self._stop_work()
        self.session.ask(event.text)
        self._generate()

    @on(Results.ExampleChosen)
    def _ask_example(self, event: Results.ExampleChosen) -> None:
        self.action_new_question()
        self.question_box.show(event.question)
        self.question_box.action_submit()

    def _generate(self) -> None:
        """Ask the model, now or as soon as it is there."""
        request = self.session.request()
        if request is None:
            self.post_message(ModelRequested())
            self.status.show("Your question waits for the model.", "Esc takes it back", "busy")
            return
        self.show_progress()
        self._forget_readings()
        self.sql.show("")
        self.results.set_stale(self.results.has_rows)
        self.sql.editor.focus()
        self.show_conversation()
        should_stop = self.session.stopper(request.job)
        self._start("generate", lambda: jobs.generate(request, self.post_message, should_stop))

    def take_queued(self) -> None:
        """Ask the question that has waited, if file and model are there."""
        if self.session.take_queued():
            self._generate()

    @on(TextGenerated)
    def _show_text_so_far(self, event: TextGenerated) -> None:
        if self.session.is_current(event.job):
            self.sql.show(jobs.sql_so_far(event.text))

    @on(AttemptRejected)
    def _show_repair(self, event: AttemptRejected) -> None:
        if self.session.is_current(event.job):
            self.session.repair(event.number, event.rejection)
            self.show_progress()

    @on(SQLGenerated)
    def _show_answer(self, event: SQLGenerated) -> None:
        match self.session.take(event.job, event.proposal):
            case "ask again":
                self._generate()
            case "proposed":
                self._show_version()
                if self.session.repeats:
                    self.status.show("The model stays with this answer.", "e edits it", "warning")
                if self.session.versions.undecided:
                    self.show_readings()
            case "rejected":
                self.session.reject()
                self.show_missing_sql(event.proposal.answer)

    def action_regenerate(self) -> None:
        """Ask the model for SQL that differs from what it has proposed."""
        self._stop_work()
        self.session.ask_again()
        self._generate()

    def action_new_question(self) -> None:
        """Forget the conversation and begin with an empty box."""
        self._stop_work()
        self.session.new_conversation()
        self.question_box.show("")
        self.question_box.focus()
        self.show_conversation()

    # --- several readings ---------------------------------------------------------

    def _forget_readings(self) -> None:
        """The session has forgotten its answer: show none."""
        self.show_results()
        self.show_agreement()

    def _show_version(self) -> None:
        """Put the current version into the editor, ready to be run if it has passed the check."""
        session, version = self.session, self.session.versions.current
        if version.query:
            self.sql.show(version.sql, model_note(session.answer) if session.answer else "")
            session.choose(self.sql.text)
            self.show_proposal()
            self.show_conversation()
        else:
            self.sql.show(version.sql, "edited")
            session.choose(self.sql.text)
            self.show_edited()
        self.show_agreement()

    def action_readings(self) -> None:
        """Go to the next reading, or the person's own SQL, and from the last to the first."""
        self._keep_edit()
        self._go_to_version(self.session.versions.next_index)

    @on(ReadingsPane.Moved)
    def _follow_list(self) -> None:
        index = self.readings.options.highlighted
        if self.readings.display and index is not None and index != self.session.versions.index:
            self._keep_edit()
            self._go_to_version(index)

    def _go_to_version(self, index: int) -> None:
        session = self.session
        self._stop_work()
        session.versions.go_to(index)
        self.show_readings()
        self._show_version()
        self.results.set_stale(self.results.has_rows and session.query != session.ran)

    def _keep_edit(self) -> None:
        """What a person wrote is never lost: it becomes a version beside the model's."""
        if self.session.versions.keep(self.sql.text) and self.readings.display:
            self.readings.show(self.session.versions)
        self.show_agreement()

    @on(ReadingsPane.Picked)
    def _settle(self) -> None:
        if self.readings.display:
            self.session.versions.settle()
            self.readings.show(self.session.versions)
            self.sql.editor.focus()
            self.show_agreement()

    # --- approving and editing ------------------------------------------------------

    def action_approve(self) -> None:
        """Run the SQL; check it first where a person has changed it."""
        if not self.check_action("approve", ()):
            return
        if query := self.session.approved(self.sql.text):
            self.post_message(QueryApproved(query, self.state.limits.rows))
        else:
            self.action_check_and_run()

    def action_check_and_run(self) -> None:
        """Check what a person wrote, and run it if it passes."""
        self.sql.border_subtitle = "edited"
        self._check(run=True)

    def _check(self, run: bool) -> None:
        database, text = self.session.database, self.sql.text
        assert database
        job = self.session.begin_check()
        self.show_progress()
        self.sql.set_editable(False)
        self._start("check", lambda: jobs.check_sql(job, text, database, run, self.post_message))

    @on(SQLChecked)
    def _take_verdict(self, event: SQLChecked) -> None:
        if not self.session.is_current(event.job):
            return
        if isinstance(event.verdict, Rejection):
            self.session.reject()
            self.show_rejection(event.verdict)
            self._open_editor()
            return
        self._keep_edit()
        self.session.accept(event.verdict, event.reads, self.sql.text)
        self.show_proposal()
        self.show_conversation()
        if event.run:
            self.post_message(QueryApproved(event.verdict, self.state.limits.rows))

    def action_edit(self) -> None:
        """Let the person write SQL."""
        self._stop_work()
        self._open_editor()
        self.status.show("Editing.", "F5 checks and runs it, Esc leaves the editor")

    def _open_editor(self) -> None:
        self.sql.set_editable(True)
        self.sql.editor.focus()
        self.session.edit()

    @on(TextArea.Changed, "#sql-editor")
    def _follow_editor(self) -> None:
        if self.session.phase == "editing":
            self.show_agreement()  # what was known of the model's SQL is not known of this

    def action_leave_editor(self) -> None:
        """Stop editing; what was written stays."""
        self.sql.set_editable(False)
        if self.session.leave_editor(self.sql.text):
            self.show_proposal()
        else:
            self._keep_edit()
            self.show_edited()

    @on(SchemaTree.PreviewRequested)
    def _preview(self, event: SchemaTree.PreviewRequested) -> None:
        """A person asked for this table's rows: the SQL is ours, shown, and run at once."""
        self._stop_work()
        self.session.preview()
        self._forget_readings()
        database = self.session.database
        self.sql.show(preview_sql(event.table, database.schema if database else None), "preview")
        self._check(run=True)

    @on(SchemaTree.NameChosen)
    def _insert_name(self, event: SchemaTree.NameChosen) -> None:
        if self.session.phase == "editing":
            self.sql.editor.insert(event.name)
            self.sql.editor.focus()
        else:
            self.question_box.insert_word(event.name)
            self.question_box.focus()

    def recall(self, recall: Recall) -> None:
        """Bring back a question and its SQL from the history."""
        self._stop_work()
        self.session.recall(recall.entry.question)
        self._forget_readings()
        self.question_box.show(recall.entry.question)
        self.sql.show(recall.entry.sql, "from the history")
        self.sql.editor.focus()
        self._check(recall.run)

    # --- rows -----------------------------------------------------------------------

    @on(QueryApproved)
    def _run(self, event: QueryApproved) -> None:
        database, query = self.session.database, event.query
        assert database
        self._stop_work()
        limits = replace(self.state.limits, rows=event.rows)
        job = self.session.begin_run()
        self.show_progress()
        self.results.set_stale(self.results.has_rows)
        should_stop = self.session.stopper(job)

        def run() -> None:
            result = database.run(query, limits, should_stop)
            self.post_message(RowsFetched(job, query, limits.rows, result))

        self._start("run", run)

    @on(RowsFetched)
    def _take_rows(self, event: RowsFetched) -> None:
        session, query = self.session, event.query
        if not session.is_current(event.job):
            return
        more = event.rows > self.state.limits.rows
        session.finish_run(query)
        self.show_rows(event.result, event.rows, keep_view=more)
        if not more:
            count = len(event.result.rows)
            key, question = session.history_key, session.question
            self.post_message(QuestionAnswered(key, question, query.sql, count))
        self.show_conversation()

    @on(Results.MoreRowsRequested)
    def _fetch_more(self, event: Results.MoreRowsRequested) -> None:
        if query := self.session.ran:
            self.post_message(QueryApproved(query, event.rows))

    # --- stopping and failing -----------------------------------------------------

    def action_cancel(self) -> None:
        """Stop what runs, or take back the question that waits."""
        phase, waited = self.session.phase, duration(self.session.seconds_waited)
        self._stop_work()
        if phase == "queued":
            self.question_box.focus()
            self.status.show("Question taken back.", "It is still in the box above")
        elif phase == "running":
            self.status.show(f"Stopped after {waited}.", "a runs it again, e edits it")
        else:
            self.status.show(f"Stopped after {waited}.", "r asks again, F2 goes to the question")

    def _stop_work(self) -> None:
        self.session.stop()
        self.sql.set_editable(False)

    @on(WorkFailed)
    def _show_failure(self, event: WorkFailed) -> None:
        event.stop()
        if not self.session.fail(event.work, event.job):
            return
        hint = event.error.hint
        if event.work == "run":
            hint = hint or "e edits the SQL, r asks for another"
        elif isinstance(event.error, ModelError):
            hint = hint or "Ask again to try again"
        self.status.show(event.error.message, hint, "error")

    def _start(self, work: Work, function: Callable[[], None]) -> None:
        """Run a function in a thread; what it raises comes back as WorkFailed."""
        job = self.session.job

        def run() -> None:
            with reporting(self, work, job):
                function()

        self.run_worker(run, group=work, thread=True)

    # --- keys ---------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key does something now: as the session says, and what is on screen."""
        if not self.session.can(action):
            return False
        match action:
            case "export" | "filter":
                return self.is_mounted and self.results.has_rows
            case "more":
                return self.results.has_rows and self.results.can_fetch_more
            case "close_readings":
                return self.is_mounted and self.readings.display
        return True

    def action_results(self) -> None:
        """Run what waits to be run; else go to the rows."""
        if self.session.phase in ("proposed", "edited", "editing"):
            self.action_approve()
        elif self.results.has_rows:
            self.show_results()
            self.results.grid.focus()
        else:
            self.query_one("#examples").focus()

    # --- dialogs, each imported when it is first opened: the first paint is sooner ----

    def action_explain(self) -> None:
        """Say in words what the SQL does."""
        database, query = self.session.database, self.session.query
        if database and query:
            self._start("check", lambda: jobs.explain_query(query, database, self.post_message))

    def action_export(self) -> None:
        """Save the rows to a file."""
        from t2sql_tui.ui.screens.export import ExportScreen

        session = self.session
        if session.database and self.results.has_rows:
            self.app.push_screen(
                ExportScreen(
                    session.database,
                    session.ran,
                    self.results.grid,
                    session.question,
                    quitting=lambda: self.state.quitting,
                )
            )

    def action_history(self) -> None:
        """Show what was asked before."""
        self.post_message(HistoryRequested())

    def action_open(self) -> None:
        """Choose another file."""
        self.post_message(FileListRequested())
