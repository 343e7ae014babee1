"""The rows of the latest query, or what to do to get some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.cells import duration
from t2sql_tui.ui.widgets.grid import ResultGrid

MAX_ROWS = 100_000


class Results(Vertical):
    """Either a text with example questions, or the grid with its filter."""

    BORDER_TITLE = "Results"

    @dataclass
    class ExampleChosen(Message):
        """A person wants this question asked."""

        question: str

    @dataclass
    class MoreRowsRequested(Message):
        """A person wants the same query with at most `rows` rows."""

        rows: int

    def __init__(self) -> None:
        super().__init__(id="results", classes="pane")
        self.limit = 0  # rows asked for in the result shown
        self._examples: Sequence[str] = ()

    def compose(self) -> ComposeResult:
        """Text and examples, grid, filter; one of the first two is hidden."""
        with Vertical(id="empty"):
            yield Static(id="empty-text")
            yield OptionList(id="examples", compact=True)
        yield ResultGrid(id="grid")
        yield Input(placeholder="Keep rows that contain…", id="grid-filter", compact=True)

    def on_mount(self) -> None:
        """Begin empty."""
        self.query_one(ResultGrid).display = False
        self.query_one("#grid-filter").display = False
        self.query_one("#examples").display = False

    @property
    def grid(self) -> ResultGrid:
        """The grid, shown or not."""
        return self.query_one(ResultGrid)

    @property
    def has_rows(self) -> bool:
        """Whether rows are shown."""
        return self.grid.display

    @property
    def can_fetch_more(self) -> bool:
        """Whether there are more rows, and as many may be held."""
        return self.grid.result.truncated == "rows" and self.limit < MAX_ROWS

    # --- what is shown ------------------------------------------------------------

    def show_text(self, text: str, examples: Sequence[str] = ()) -> None:
        """Show a text in place of rows, or questions to pick from."""
        self.grid.display = False
        self.query_one("#grid-filter").display = False
        self.query_one("#empty").display = True
        self.query_one("#empty-text", Static).update(Content(text))
        self.query_one("#empty-text").display = bool(text)
        options = self.query_one("#examples", OptionList)
        options.display = bool(examples)
        options.clear_options()
        # Content, not str: a question with [brackets] is no markup.
        options.add_options(
            Option(Content.assemble(("› ", "$text-accent"), question)) for question in examples
        )
        self._examples = examples
        self.set_stale(False)
        self.border_title = "Try one of these" if examples else "Results"
        self.border_subtitle = ""

    def show_result(self, result: QueryResult, limit: int, *, keep_view: bool = False) -> None:
        """Show rows, of which at most `limit` were asked for. `keep_view` as of the grid."""
        self.limit = limit
        self.query_one("#empty").display = False
        self.grid.display = True
        if not keep_view:
            self.query_one("#grid-filter").display = False
            with self.prevent(Input.Changed):
                self.query_one("#grid-filter", Input).clear()
        self.grid.show(result, keep_view=keep_view)
        self.set_stale(False)

    def set_stale(self, stale: bool) -> None:
        """Dim rows that belong to an earlier SQL than the one shown above them."""
        self.set_class(stale, "-stale")
        if self.has_rows:
            self.border_title = "Results of the query before" if stale else "Results"

    @on(ResultGrid.ViewChanged)
    def describe(self) -> None:
        """Say in the frame how many rows there are, and how long they took."""
        result, shown = self.grid.result, len(self.grid.order)
        total = len(result.rows)
        count = f"{total:,} row{'' if total == 1 else 's'}"
        if result.truncated == "rows":
            more = "m for more" if self.can_fetch_more else "no more are fetched"
            count = f"first {count} · {more}"
        elif result.truncated == "bytes":
            count = f"first {count}, cut at the memory limit"
        if shown != total:
            count = f"{shown:,} match, of {count}"
        self.border_subtitle = f"{count} · {duration(result.elapsed)}"
        self.refresh_bindings()

    # --- filter, more, examples ---------------------------------------------------

    def open_filter(self) -> None:
        """Show and enter the filter."""
        field = self.query_one("#grid-filter", Input)
        field.display = True
        field.focus()

    def fetch_more(self) -> None:
        """Ask for ten times as many rows."""
        self.post_message(self.MoreRowsRequested(min(self.limit * 10, MAX_ROWS)))

    @on(Input.Changed, "#grid-filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self.grid.filter(event.value)

    @on(Input.Submitted, "#grid-filter")
    def _to_grid(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value:
            event.input.display = False
        self.grid.focus()

    def on_key(self, event: events.Key) -> None:
        """Esc drops the filter; down leaves it for the rows."""
        field = self.query_one("#grid-filter", Input)
        if event.key == "escape" and field.display and (field.has_focus or field.value):
            event.stop()
            field.clear()
            field.display = False
            self.grid.focus()
        elif event.key == "down" and field.has_focus:
            event.stop()
            self.grid.focus()

    @on(OptionList.OptionSelected, "#examples")
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.ExampleChosen(self._examples[event.option_index]))
