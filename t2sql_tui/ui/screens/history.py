"""Every question asked, with its SQL: searched as one types, brought back with Enter."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.ui.cells import one_line
from t2sql_tui.ui.history import Entry, History, HistoryError, Recall
from t2sql_tui.ui.sql_layout import lay_out, on_one_line
from t2sql_tui.ui.widgets.listfield import ListField


class HistoryScreen(ModalScreen[Recall | None]):
    """Answers with the entry to bring back. `current` is the history's key of the open file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f8", "dismiss(None)", "Close", show=False),
        Binding("f5", "choose(True)", "Run", priority=True),
        Binding("ctrl+d", "forget", "Forget", priority=True),
    ]

    def __init__(self, history: History, current: str) -> None:
        super().__init__()
        self.history, self.current = history, current
        self.entries: list[Entry] = []

    def compose(self) -> ComposeResult:
        """A field over the list, and under it the SQL of the highlighted entry."""
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "History"
            dialog.border_subtitle = "Enter brings it back · F5 runs it · ctrl+d forgets it"
            yield ListField(placeholder="Search questions, SQL and files", compact=True)
            yield OptionList(id="entries", compact=True)
            yield Static(id="entry-sql")

    def on_mount(self) -> None:
        """List everything."""
        self._search("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def _search(self, text: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        preview = self.query_one("#entry-sql", Static)
        try:
            self.entries = self.history.search(text)
        except HistoryError as error:
            self.entries = []
            preview.update(Content.assemble((error.message, "$text-error"), "\n", error.hint))
            return
        now = time.time()
        options.add_options(Option(self._entry_line(entry, now)) for entry in self.entries)
        if self.entries:
            options.highlighted = 0
        else:
            preview.update(
                Content.styled(
                    "Nothing found." if text else "Questions that you run are kept here.",
                    "$foreground-muted",
                )
            )

    def _entry_line(self, entry: Entry, now: float) -> Content:
        rows = "" if entry.row_count is None else f"{entry.row_count:,} rows · "
        file = "" if entry.database == self.current else f"{_file_name(entry.database)} · "
        title = entry.question or one_line(on_one_line(entry.sql))
        return Content.assemble(
            one_line(title),
            "\n",
            (f"  {rows}{file}{ago(now - entry.asked_at)}", "$foreground-muted"),
        )

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < len(self.entries):
            sql = lay_out(self.entries[event.option_index].sql)
            text = "\n".join(one_line(line) for line in sql.splitlines()[:12])
            self.query_one("#entry-sql", Static).update(Content(text))

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_choose(False)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_choose(False)

    def action_choose(self, run: bool) -> None:
        """Bring the highlighted entry back, and run it or not."""
        index = self.query_one(OptionList).highlighted
        if index is not None and index < len(self.entries):
            self.dismiss(Recall(self.entries[index], run))

    def action_forget(self) -> None:
        """Delete the highlighted entry."""
        options = self.query_one(OptionList)
        index = options.highlighted
        if index is None:
            return
        try:
            self.history.forget(self.entries[index].id)
        except HistoryError as error:
            self.notify(error.hint, title=error.message, severity="error", markup=False)
            return
        self._search(self.query_one(Input).value)
        if self.entries:
            options.highlighted = min(index, len(self.entries) - 1)


def _file_name(database: str) -> str:
    return database.replace(":", " ") if database.startswith("demo:") else PurePath(database).name


def ago(seconds: float) -> str:
    """just now, 5 min ago, 3 h ago, yesterday, 12 days ago"""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds / 3600:.0f} h ago"
    days = int(seconds / 86400)
    return "yesterday" if days == 1 else f"{days} days ago"
