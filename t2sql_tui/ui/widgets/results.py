"""The rows of the last query, or what to do to get some."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.widgets.grid import ResultGrid

MAX_ROWS = 100_000


class Results(Vertical):
    """One of: words and example questions; or the grid with its filter."""

    BORDER_TITLE = "Results"

    @dataclass
    class ExampleChosen(Message):
        question: str

    @dataclass
    class MoreWanted(Message):
        """A person wants the same query with at most `rows` rows."""

        rows: int

    def __init__(self) -> None:
        super().__init__(id="results", classes="pane")
        self.limit = 0  # rows asked for in the result shown

    def compose(self) -> ComposeResult:
        with Vertical(id="empty"):
            yield Static(id="empty-words")
            yield OptionList(id="examples", compact=True)
        yield ResultGrid(id="grid")
        yield Input(placeholder="Keep rows that contain…", id="grid-filter", compact=True)

    def on_mount(self) -> None:
        self.query_one(ResultGrid).display = False
        self.query_one("#grid-filter").display = False
        self.query_one("#examples").display = False

    @property
    def grid(self) -> ResultGrid:
        return self.query_one(ResultGrid)

    @property
    def has_rows(self) -> bool:
        return self.grid.display

    @property
    def can_fetch_more(self) -> bool:
        return self.grid.result.truncated == "rows" and self.limit < MAX_ROWS

    # --- what is shown ------------------------------------------------------------

    def show_words(self, words: str, examples: list[str] | None = None) -> None:
        """Show words in place of rows, or questions to pick from."""
        self.grid.display = False
        self.query_one("#grid-filter").display = False
        self.query_one("#empty").display = True
        self.query_one("#empty-words", Static).update(Content(words))
        self.query_one("#empty-words").display = bool(words)
        options = self.query_one("#examples", OptionList)
        options.display = bool(examples)
        options.clear_options()
        # Content, not str: a question with [brackets] is no markup.
        options.add_options(
            Option(Content.assemble(("› ", "$text-accent"), question))
            for question in examples or ()
        )
        self._examples = examples or []
        self.set_stale(False)
        self.border_title = "Try one of these" if examples else "Results"
        self.border_subtitle = ""

    def show_result(self, result: QueryResult, limit: int, *, keep_view: bool = False) -> None:
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

    @on(ResultGrid.Shown)
    def describe(self) -> None:
        """What the frame says of the rows."""
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
        self.border_subtitle = f"{count} · {seconds(result.elapsed)}"
        self.refresh_bindings()

    # --- filter, more, examples ---------------------------------------------------

    def open_filter(self) -> None:
        field = self.query_one("#grid-filter", Input)
        field.display = True
        field.focus()

    def fetch_more(self) -> None:
        self.post_message(self.MoreWanted(min(self.limit * 10, MAX_ROWS)))

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


def seconds(time: float) -> str:
    """3 ms, 1.2 s."""
    return f"{time * 1000:.0f} ms" if time < 1 else f"{time:.1f} s"
