"""Saving the rows to a file, without freezing the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, ProgressBar, Select, Static

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.export import FORMATS, export
from t2sql_tui.core.types import CheckedQuery, Limits, QueryResult
from t2sql_tui.ui.cells import byte_size
from t2sql_tui.ui.files import current_folder, file_stem, is_part_of
from t2sql_tui.ui.messages import ExportFinished, ExportProgressed, WorkFailed
from t2sql_tui.ui.reporting import reporting
from t2sql_tui.ui.screens.confirm import ConfirmScreen
from t2sql_tui.ui.widgets.grid import ResultGrid
from t2sql_tui.ui.widgets.results import MAX_ROWS


class ExportScreen(ModalScreen[None]):
    """Asks for a format and a path; writes in a worker; Esc stops it, leaving no file.

    `query` is what gave the rows in `grid`, to run again where they are not all. The file is
    named after `question`. `quitting` says whether the app is closing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close"),
        Binding("ctrl+e", "save", show=False, priority=True),
    ]

    def __init__(
        self,
        database: Database,
        query: CheckedQuery | None,
        grid: ResultGrid,
        question: str,
        quitting: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.database, self.checked, self.grid = database, query, grid
        self.file_stem = file_stem(question)
        self.quitting = quitting
        self.saving = False
        self.stopped = False

    def compose(self) -> ComposeResult:
        """Format, path, what will be written, progress, error and buttons."""
        result, shown = self.grid.result, len(self.grid.order)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Export"
            dialog.border_subtitle = "Enter saves · Esc closes"
            yield Label("Format", classes="first")
            yield Select(
                [(form.title, name) for name, form in FORMATS.items()],
                value="csv",
                allow_blank=False,
                compact=True,
                id="format",
            )
            yield Label("File")
            yield Input(str(current_folder() / f"{self.file_stem}.csv"), id="path", compact=True)
            yield Static(self._extent(shown, result), id="extent")
            if result.truncated == "rows" and self.checked:
                # On only where nothing was filtered out on purpose.
                whole = shown == len(result.rows)
                yield Checkbox(f"Run again and save up to {MAX_ROWS:,} rows", whole, compact=True)
            yield ProgressBar(id="progress", show_eta=False)
            yield Static(id="export-error")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Save", id="save", variant="primary", compact=True)

    @staticmethod
    def _extent(shown: int, result: QueryResult) -> str:
        total = len(result.rows)
        if shown != total:
            return f"The {shown:,} rows that match the filter, of {total:,}, in the order shown."
        cut = " (the first of more)" if result.truncated else ""
        return f"{total:,} row{'' if total == 1 else 's'}{cut}, in the order shown."

    def on_mount(self) -> None:
        """Put the cursor behind the proposed path."""
        self.query_one(ProgressBar).display = False
        self._show_error("", "")
        field = self.query_one("#path", Input)
        field.focus()
        field.cursor_position = len(field.value)

    @on(Select.Changed, "#format")
    def _change_suffix(self, event: Select.Changed) -> None:
        field = self.query_one("#path", Input)
        path = Path(field.value)
        if path.suffix in {form.suffix for form in FORMATS.values()}:
            field.value = str(path.with_suffix(FORMATS[str(event.value)].suffix))

    # --- saving -------------------------------------------------------------------

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_save()

    @on(Button.Pressed, "#save")
    def _pressed(self) -> None:
        self.action_save()

    @on(Button.Pressed, "#cancel")
    def action_leave(self) -> None:
        """Stop the export that runs; close the dialog where none does."""
        if self.saving:
            self.stopped = True
            self.database.interrupt()
        else:
            self.dismiss()

    @work
    async def action_save(self) -> None:
        """Check the path, ask before a file is replaced, and begin to write."""
        if self.saving:
            return
        text = self.query_one("#path", Input).value.strip()
        if not text:
            self._show_error("Type the path of a file.", "")
            return
        path = Path(text).expanduser()
        if is_part_of(path, self.database.path):
            self._show_error("That is the open database itself.", "Choose another name.")
            return
        overwrite = path.is_file()
        if overwrite and not await self.app.push_screen_wait(
            ConfirmScreen(f"{path.name} exists already. Replace it?", "Replace")
        ):
            return
        self._write(path, overwrite)

    def _write(self, path: Path, overwrite: bool) -> None:
        self.saving, self.stopped = True, False
        self._show_error("", "")
        self.query_one(ProgressBar).display = True
        self.query_one(ProgressBar).update(total=None)
        self.query_one("#save", Button).disabled = True
        format_name = str(self.query_one("#format", Select).value)
        boxes = self.query(Checkbox)
        query = self.checked if boxes and boxes.first().value else None
        shown = replace(self.grid.result, rows=tuple(self.grid.rows_shown))

        def should_stop() -> bool:
            return self.stopped or self.quitting()

        def on_progress(done: int, total: int) -> None:
            self.post_message(ExportProgressed(done, total))

        def write() -> None:
            with reporting(self, "export"):
                result = shown
                if query:
                    result = self.database.run(query, Limits(rows=MAX_ROWS), should_stop)
                size = export(
                    result,
                    path,
                    format_name,
                    overwrite=overwrite,
                    on_progress=on_progress,
                    should_stop=should_stop,
                )
                self.post_message(ExportFinished(path, len(result.rows), size))

        self.run_worker(write, group="export", thread=True)

    @on(ExportProgressed)
    def _progressed(self, event: ExportProgressed) -> None:
        self.query_one(ProgressBar).update(total=event.total or 1, progress=event.rows)

    @on(ExportFinished)
    def _finished(self, event: ExportFinished) -> None:
        self.saving = False
        self.app.notify(
            f"{event.rows:,} rows, {byte_size(event.size)}",
            title=f"Saved {event.path}",
            timeout=6,
            markup=False,
        )
        self.dismiss()

    @on(WorkFailed)
    def _failed(self, event: WorkFailed) -> None:
        event.stop()
        self.saving = False
        self.query_one(ProgressBar).display = False
        self.query_one("#save", Button).disabled = False
        self._show_error(event.error.message, event.error.hint)

    def _show_error(self, message: str, hint: str) -> None:
        line = self.query_one("#export-error", Static)
        line.update(Content.assemble((message, "$text-error"), " " if hint else "", hint))
        line.display = bool(message)
