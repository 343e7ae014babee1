"""How the workbench looks: its panes, and how each state of a session is painted."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Answer, QueryResult, Rejection
from t2sql_tui.ui.cells import one_line
from t2sql_tui.ui.messages import SQLExplained
from t2sql_tui.ui.session import Session
from t2sql_tui.ui.sql_layout import lay_out
from t2sql_tui.ui.state import AppState
from t2sql_tui.ui.texts import (
    describe_reads,
    example_questions,
    missing_sql_text,
    model_note,
    proposal_text,
    rejection_text,
    table_count,
)
from t2sql_tui.ui.widgets.grid import ResultGrid
from t2sql_tui.ui.widgets.keybar import KeyBar
from t2sql_tui.ui.widgets.question import QuestionBox
from t2sql_tui.ui.widgets.readings import AgreementLine, ReadingsPane
from t2sql_tui.ui.widgets.results import Results
from t2sql_tui.ui.widgets.schema import SchemaPane, SchemaTree
from t2sql_tui.ui.widgets.sql import SQLPane
from t2sql_tui.ui.widgets.status import StatusLine, TopBar


class WorkbenchView(Screen[None]):
    """The panes of one open file. Nothing here changes the session; `Workbench` does."""

    # No ClassVar: Textual declares them as attributes of each screen.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    def __init__(self, name: str, state: AppState) -> None:
        super().__init__()
        self.state = state
        self.session = Session(name, state)

    def compose(self) -> ComposeResult:
        """The schema beside the column of question, SQL and rows."""
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

    # --- parts --------------------------------------------------------------------

    @property
    def top_bar(self) -> TopBar:
        """The line with file and model."""
        return self.query_one(TopBar)

    @property
    def question_box(self) -> QuestionBox:
        """Where the question is typed."""
        return self.query_one(QuestionBox)

    @property
    def sql(self) -> SQLPane:
        """The SQL in its frame."""
        return self.query_one(SQLPane)

    @property
    def status(self) -> StatusLine:
        """What will happen, or went wrong."""
        return self.query_one(StatusLine)

    @property
    def results(self) -> Results:
        """Rows, or what to do to get some."""
        return self.query_one(Results)

    @property
    def readings(self) -> ReadingsPane:
        """The versions of the SQL, in place of the results."""
        return self.query_one(ReadingsPane)

    # --- the file and the model -----------------------------------------------------

    def show_database(self, database: Database) -> None:
        """Show what is in the file, and how to begin where nothing was asked yet."""
        schema = database.schema
        self.show_file(database)
        self.query_one(SchemaPane).show(schema)
        self.question_box.placeholder = (
            "Ask about this data in your own words"
            if schema.tables
            else "This file has no tables yet: there is nothing to ask"
        )
        if self.session.phase == "idle" and not self.results.has_rows:
            self.show_invitation(database)

    def show_file(self, database: Database) -> None:
        """Show the file's name, how large it is, and whether it has changed."""
        changed = self.session.changed_on_disk
        warning = "changed on disk · ctrl+r reads it again" if changed else ""
        detail = f"{table_count(database.schema)} · read-only"
        self.top_bar.show_file(self.session.file_name, detail, warning)

    def show_invitation(self, database: Database) -> None:
        """Show what to do first."""
        schema = database.schema
        if not schema.tables:
            self.results.show_text("This file holds no tables.\nOpen another with ctrl+o.")
            self.status.show("Nothing to ask here.", "ctrl+o opens another file")
            return
        self.results.show_text("", self.session.examples or example_questions(schema))
        if error := self.state.model_error:  # it failed before the file was open
            self.show_model_error(error)
        elif self.state.options.compare:
            self.status.show(
                "SQL can only read here. Candidates run briefly before you see the best one.",
                "ctrl+p switches that off",
            )
        else:
            self.status.show("You see the SQL before it runs, and it can only read.")

    def show_model(self) -> None:
        """Show how the model is doing."""
        state = self.state
        self.top_bar.show_model(state.model_name, state.model_status, state.model_detail)

    def show_model_error(self, error: T2SQLError) -> None:
        """Say that there is no model."""
        self.status.show(error.message, error.hint or "e lets you write the SQL yourself", "error")

    # --- the question and its SQL ---------------------------------------------------

    def show_progress(self) -> None:
        """Say what the present work is, and how long it takes."""
        if text := self.session.progress_text():
            self.status.show(*text)

    def show_conversation(self) -> None:
        """Say whether a question stands alone or follows another."""
        turn = self.session.turn
        if turn and self.session.phase == "generating":
            asked = one_line(turn.question)
            asked = asked[:39] + "…" if len(asked) > 40 else asked
            self.question_box.border_subtitle = Content(f"follows “{asked}”")
        elif turn:
            self.question_box.border_subtitle = "the next one follows this · ctrl+n starts anew"
        else:
            self.question_box.border_subtitle = ""

    def show_proposal(self) -> None:
        """Say what the query that waits for approval would read."""
        answer = self.session.answer
        left_out = answer.generations[-1].prompt.left_out if answer else ()
        self.status.show(*proposal_text(self.reads_text(), left_out))

    def reads_text(self) -> str:
        """The tables and columns that the query reads."""
        database = self.session.database
        assert database
        return describe_reads(self.session.reads, database.schema)

    def show_edited(self) -> None:
        """Say that the SQL in the editor is a person's own."""
        self.status.show("Edited, not checked yet.", "a checks and runs it, e goes on")

    def show_missing_sql(self, answer: Answer) -> None:
        """Show an answer none of whose SQL can run."""
        candidate = answer.candidate
        sql = lay_out(candidate.sql) if candidate.sql else candidate.text.strip()
        self.sql.show(sql, model_note(answer))
        verdict = candidate.verdict
        rejection = verdict if isinstance(verdict, Rejection) else Rejection("", ())
        self.show_rejection(rejection, missing_sql_text(answer))

    def show_rejection(self, rejection: Rejection, reason: str = "") -> None:
        """Say why the SQL in the editor cannot run."""
        self.status.show(*rejection_text(rejection, reason, bool(self.session.question)))

    # --- readings and rows ----------------------------------------------------------

    def show_agreement(self) -> None:
        """Say how far to trust the current version."""
        self.query_one(AgreementLine).show(*self.session.versions.describe(self.sql.text))
        self.refresh_bindings()

    def show_readings(self) -> None:
        """Show the readings in place of the rows."""
        self.readings.show(self.session.versions)
        self.results.display = False
        self.readings.options.focus()

    def show_results(self) -> None:
        """Back from comparing to the rows."""
        if self.readings.has_focus_within:
            self.sql.editor.focus()
        self.readings.display = False
        self.results.display = True

    def show_rows(self, result: QueryResult, limit: int, *, keep_view: bool) -> None:
        """Show what a query has found, at most `limit` rows; `keep_view` as of the grid."""
        self.show_results()
        self.status.show(f"Read {self.reads_text()}, and changed nothing.", "", "good")
        self.results.show_result(result, limit, keep_view=keep_view and bool(result.rows))
        if not result.rows:
            columns = ", ".join(map(one_line, result.columns))
            self.results.show_text(
                f"No rows.\n\nThe query ran and found nothing for {columns}.\n"
                "x explains its conditions, e changes them, r asks for another."
            )
        elif self.focused is None or self.sql.editor.has_focus:
            self.results.grid.focus()

    # --- keys that change only what is in sight ---------------------------------------

    def action_question(self) -> None:
        """Go to the question; from there to the SQL."""
        if self.question_box.has_focus:
            self.sql.editor.focus()
        else:
            self.question_box.focus()
            self.question_box.select_all()  # typing replaces it, an arrow key keeps it

    def action_schema(self) -> None:
        """Show and enter the schema; from inside it, leave and hide it."""
        pane = self.query_one(SchemaPane)
        inside = self.focused is not None and pane in self.focused.ancestors
        self.set_class(not inside, "-schema-open")
        self.set_class(inside, "-schema-closed")
        if inside:
            self.question_box.focus()
        else:
            self.query_one(SchemaTree).focus()

    def action_close_readings(self) -> None:
        """Back to the rows."""
        self.show_results()

    def action_filter(self) -> None:
        """Keep the rows that contain a text."""
        self.show_results()
        self.results.open_filter()

    def action_more(self) -> None:
        """Fetch more rows of the same query."""
        self.results.fetch_more()

    # --- dialogs, each imported when it is first opened: the first paint is sooner ----

    @on(SQLExplained)
    def _show_explanation(self, event: SQLExplained) -> None:
        from t2sql_tui.ui.screens.explain import ExplainScreen

        self.app.push_screen(ExplainScreen(event.steps, event.plan))

    @on(ResultGrid.CellOpened)
    def _show_cell(self, event: ResultGrid.CellOpened) -> None:
        from t2sql_tui.ui.screens.cell import CellScreen

        self.app.push_screen(CellScreen(event.column, event.row, event.value))

    def action_help(self) -> None:
        """Show the keys."""
        from t2sql_tui.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())
