"""A grid of rows that draws only the cells in sight, however many rows there are."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.cells import cell_text, copy_text, fit, kind_of, one_line

# Widths are guessed from this many rows (the first half from the top, the rest spread
# over the result): measuring 100,000 rows of 10 columns would take a second.
_SAMPLE = 1000
_COLUMN_WIDTH = 36  # cells; wider columns get what the screen has left over
_WIDEST = 400


class ResultGrid(ScrollView, can_focus=True):
    """Rows of a `QueryResult`, sorted and filtered without touching it.

    `order` holds the indexes of the rows shown, in the order shown: 4 bytes a row.
    Sorting and filtering run in a thread and come back as `Arranged`.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {
        "grid--header",
        "grid--header-cursor",
        "grid--gutter",
        "grid--row-cursor",
        "grid--cursor",
        "grid--null",
        "grid--number",
        "grid--blob",
    }
    DEFAULT_CSS = """
    ResultGrid {
        background: $background;
        height: 1fr;

        .grid--header { color: $foreground-muted; background: $background; text-style: bold; }
        .grid--header-cursor { color: $text-primary; background: $background; text-style: bold; }
        .grid--gutter { color: $foreground 35%; background: $background; }
        .grid--row-cursor { background: $boost; color: $foreground; }
        .grid--cursor { background: $primary 30%; color: $foreground; }
        &:focus .grid--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
        }
        .grid--null { color: $foreground 40%; text-style: italic; background: $background; }
        .grid--number { color: $foreground; background: $background; }
        .grid--blob { color: $text-accent; background: $background; }
    }
    """
    BINDINGS = [
        Binding("enter,space", "view_cell", "View cell"),
        Binding("s", "sort", "Sort"),
        Binding("c", "copy('cell')", "Copy cell"),
        Binding("C", "copy('row')", "Copy row", show=False),
        Binding("A", "copy('all')", "Copy all rows shown", show=False),
        Binding("up,k", "move(-1, 0)", "Up", show=False),
        Binding("down,j", "move(1, 0)", "Down", show=False),
        Binding("left,h", "move(0, -1)", "Left", show=False),
        Binding("right,l", "move(0, 1)", "Right", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home", "jump(None, 0)", "First column", show=False),
        Binding("end", "jump(None, -1)", "Last column", show=False),
        Binding("ctrl+home,g", "jump(0, None)", "First row", show=False),
        Binding("ctrl+end,G", "jump(-1, None)", "Last row", show=False),
    ]

    cursor_row: reactive[int] = reactive(0, repaint=False)
    cursor_column: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Arranged(Message):
        """A sort or filter is done: `order` is what `needle` left, `serial` the request."""

        serial: int
        order: array[int]
        needle: str

    @dataclass
    class Shown(Message):
        """What the grid shows has changed (rows, sort or filter)."""

        grid: ResultGrid

    @dataclass
    class CellOpened(Message):
        """A person asked to see one whole value."""

        column: str
        row: int
        value: Any

    @dataclass
    class CellsCopied(Message):
        text: str
        what: str

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.result = QueryResult((), ())
        self.order: array[int] = array("I")
        self.sort_column: int | None = None
        self.sort_descending = False
        self.needle = ""
        self._shown_needle = ""
        self._serial = 0
        self._styles: dict[str, Style] = {}
        self._natural: list[int] = []
        self._widths: list[int] = []
        self._starts: list[int] = [0]
        self._numeric: list[bool] = []
        self._headers: list[str] = []
        self._gutter = 0

    # --- what is shown ------------------------------------------------------------

    def show(self, result: QueryResult, *, keep_view: bool = False) -> None:
        """Show a result from its first row; with `keep_view`, sort, filter and cursor stay."""
        self.result = result
        self._serial += 1
        self.order, self._shown_needle = array("I", range(len(result.rows))), ""
        self._headers = [one_line(name) or " " for name in result.columns]
        self._measure()
        if not (keep_view and self.cursor_column < len(result.columns)):
            keep_view = False
            self.sort_column, self.sort_descending, self.needle = None, False, ""
            self.set_reactive(ResultGrid.cursor_row, 0)
            self.set_reactive(ResultGrid.cursor_column, 0)
            self.scroll_to(0, 0, animate=False)
        if keep_view and (self.sort_column is not None or self.needle):
            self._arrange()
        self._lay_out()
        self.post_message(self.Shown(self))

    @property
    def rows_shown(self) -> list[tuple[Any, ...]]:
        """The rows as sorted and filtered. A new list: meant for export and copying."""
        rows = self.result.rows
        return [rows[index] for index in self.order]

    @property
    def cursor_value(self) -> Any:
        """The value under the cursor. Raises IndexError on an empty grid."""
        return self.result.rows[self.order[self.cursor_row]][self.cursor_column]

    def _measure(self) -> None:
        rows = self.result.rows
        step = max(1, len(rows) // (_SAMPLE // 2))
        sample = [*rows[: _SAMPLE // 2], *rows[_SAMPLE // 2 :: step]]
        self._natural, self._numeric = [], []
        for place, header in enumerate(self._headers):
            values = [row[place] for row in sample]
            kinds = {kind_of(value) for value in values} - {"null"}
            self._numeric.append(kinds == {"number"})
            widest = max((cell_len(cell_text(v, _WIDEST)) for v in values), default=0)
            # Two more for the arrow that marks a sorted column.
            self._natural.append(max(widest, min(cell_len(header), _COLUMN_WIDTH) + 2, 4))
        self._gutter = len(f"{len(rows):,}") + 2

    def _lay_out(self) -> None:
        """Column widths for the present width: capped, then the slack is shared out."""
        self._widths = [min(width, _COLUMN_WIDTH) for width in self._natural]
        slack = self.size.width - self._gutter - sum(self._widths) - 2 * len(self._widths)
        for place, natural in enumerate(self._natural):
            grown = min(max(slack, 0), natural - self._widths[place])
            self._widths[place] += grown
            slack -= grown
        self._starts = [0, *accumulate(width + 2 for width in self._widths)]
        self.virtual_size = Size(self._gutter + self._starts[-1], len(self.order) + 1)
        self.refresh()

    def on_resize(self) -> None:
        self._lay_out()

    # --- sorting and filtering ----------------------------------------------------

    def sort_by(self, column: int) -> None:
        """Ascending, then descending, then as the query returned them."""
        if self.sort_column != column:
            self.sort_column, self.sort_descending = column, False
        elif not self.sort_descending:
            self.sort_descending = True
        else:
            self.sort_column, self.sort_descending = None, False
        self._arrange()

    def filter(self, needle: str) -> None:
        """Keep the rows in which any cell contains `needle`, whatever its case."""
        self.needle = needle.casefold()
        self._arrange()

    def _arrange(self) -> None:
        self._serial += 1
        serial, rows, needle = self._serial, self.result.rows, self.needle
        column, descending = self.sort_column, self.sort_descending
        # A longer needle can only remove rows, so look no further than those in sight.
        narrowing = bool(self._shown_needle) and self._shown_needle in needle
        order = self.order if narrowing else array("I", range(len(rows)))

        def arrange() -> None:
            worker = get_current_worker()
            kept: Sequence[int] = order
            if needle:
                kept = list(_matching(rows, order, needle, lambda: worker.is_cancelled))
            if narrowing or column is None:
                kept = sorted(kept)  # as the query returned them; also the base of ties
            if column is not None:
                kept = sorted_rows(rows, kept, column, descending)
            if not worker.is_cancelled:
                self.post_message(self.Arranged(serial, array("I", kept), needle))

        self.run_worker(arrange, group="arrange", exclusive=True, thread=True)

    def on_result_grid_arranged(self, message: Arranged) -> None:
        message.stop()
        if message.serial != self._serial:
            return
        self.order, self._shown_needle = message.order, message.needle
        self._lay_out()
        self._move_to(min(self.cursor_row, max(len(self.order) - 1, 0)), self.cursor_column)
        self.post_message(self.Shown(self))

    # --- the cursor ---------------------------------------------------------------

    def _move_to(self, row: int, column: int) -> None:
        self.cursor_row = max(0, min(row, len(self.order) - 1))
        self.cursor_column = max(0, min(column, len(self._widths) - 1))
        self._scroll_to_cursor()
        self.refresh()

    def _scroll_to_cursor(self) -> None:
        x, y = round(self.scroll_x), round(self.scroll_y)
        height = max(self.scrollable_content_region.height - 1, 1)
        width = max(self.scrollable_content_region.width - self._gutter, 1)
        y = min(max(y, self.cursor_row - height + 1), self.cursor_row)
        if self._widths:
            left, right = self._starts[self.cursor_column], self._starts[self.cursor_column + 1]
            x = min(max(x, right - width), left)
        self.scroll_to(x, y, animate=False)

    def action_move(self, rows: int, columns: int) -> None:
        self._move_to(self.cursor_row + rows, self.cursor_column + columns)

    def action_page(self, pages: int) -> None:
        height = max(self.scrollable_content_region.height - 2, 1)
        self._move_to(self.cursor_row + pages * height, self.cursor_column)

    def action_jump(self, row: int | None, column: int | None) -> None:
        rows, columns = len(self.order), len(self._widths)
        self._move_to(
            self.cursor_row if row is None else row % max(rows, 1),
            self.cursor_column if column is None else column % max(columns, 1),
        )

    def action_view_cell(self) -> None:
        if self.order:
            name = self.result.columns[self.cursor_column]
            self.post_message(self.CellOpened(name, self.cursor_row, self.cursor_value))

    def action_sort(self) -> None:
        if self._widths:
            self.sort_by(self.cursor_column)

    def action_copy(self, what: str) -> None:
        if not self.order:
            return
        if what == "cell":
            text = copy_text(self.cursor_value)
        elif what == "row":
            text = _tsv([self.result.rows[self.order[self.cursor_row]]])
        else:
            text = _tsv([self.result.columns, *self.rows_shown])
        self.post_message(self.CellsCopied(text, what))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self._widths:
            return
        x = offset.x - self._gutter + round(self.scroll_x)
        if offset.x >= self._gutter and x >= self._starts[-1]:
            return  # right of the last column
        column = max(bisect_right(self._starts, max(x, 0)) - 1, 0)
        if offset.y == 0:
            self.cursor_column = column
            self.sort_by(column)
            return
        row = offset.y - 1 + round(self.scroll_y)
        if row < len(self.order):
            self._move_to(row, column if offset.x >= self._gutter else self.cursor_column)
            if event.chain == 2:
                self.action_view_cell()

    # --- drawing ------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        row = y - 1 + round(self.scroll_y)
        if y == 0:
            segments = self._header_segments(width)
        elif row < len(self.order):
            segments = self._row_segments(row, width)
        else:
            return Strip.blank(width, self.rich_style)
        return Strip(segments).adjust_cell_length(width, segments[-1].style)

    def _columns_in_sight(self, width: int) -> tuple[range, int]:
        """Which columns show, and how many cells of the first are scrolled away."""
        x = round(self.scroll_x)
        first = max(bisect_right(self._starts, x) - 1, 0)
        last = bisect_right(self._starts, x + width - self._gutter)
        return range(first, min(last, len(self._widths))), x - self._starts[first]

    def notify_style_update(self) -> None:
        self._styles.clear()  # the theme has changed
        super().notify_style_update()

    def _style(self, name: str) -> Style:
        """A component's style. Kept, because working one out costs 0.1 ms a cell."""
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(f"grid--{name}")
        return self._styles[name]

    def _header_segments(self, width: int) -> list[Segment]:
        style, at_cursor = self._style("header"), self._style("header-cursor")
        columns, hidden = self._columns_in_sight(width)
        segments = []
        for column in columns:
            name = self._headers[column]
            if column == self.sort_column:
                name = f"{name} {'↓' if self.sort_descending else '↑'}"
            text = f" {fit(name, self._widths[column], self._numeric[column])} "
            segments.append(Segment(text, at_cursor if column == self.cursor_column else style))
        return self._join(Segment(" " * self._gutter, style), segments, hidden, style)

    def _row_segments(self, row: int, width: int) -> list[Segment]:
        index = self.order[row]
        values = self.result.rows[index]
        on_row = row == self.cursor_row
        base = self._style("row-cursor") if on_row else self.rich_style
        columns, hidden = self._columns_in_sight(width)
        segments = []
        for column in columns:
            value = values[column]
            kind = kind_of(value)
            size = self._widths[column]
            right = self._numeric[column] and kind in ("number", "null")
            text = f" {fit(cell_text(value, size + 1), size, right)} "
            style = base if kind == "text" else base + _foreground(self._style(kind))
            if on_row and column == self.cursor_column:
                style = self._style("cursor")
            segments.append(Segment(text, style))
        gutter = base + _foreground(self._style("gutter"))
        number = Segment(f"{index + 1:,}".rjust(self._gutter - 1) + " ", gutter)
        return self._join(number, segments, hidden, base)

    def _join(
        self, gutter: Segment, segments: Sequence[Segment], hidden: int, fill: Style
    ) -> list[Segment]:
        if hidden and segments:
            segments = list(Strip(segments).crop(hidden))
        return [gutter, *segments, Segment("", fill)]


def sorted_rows(
    rows: Sequence[tuple[Any, ...]], order: Iterable[int], column: int, descending: bool
) -> list[int]:
    """Row indexes sorted by a column: SQLite's order of types (NULL, numbers, text, blobs),
    text without regard to case, equals in the order in which they came.

    Each type is sorted by itself: comparing plain values is four times as fast as
    comparing (type, value) pairs, and the sort holds Python's lock while it runs.
    """
    groups: dict[str, list[int]] = {"null": [], "number": [], "text": [], "blob": []}
    for index in order:
        groups[kind_of(rows[index][column])].append(index)
    groups["number"].sort(key=lambda index: rows[index][column], reverse=descending)
    groups["text"].sort(key=lambda index: rows[index][column].casefold(), reverse=descending)
    groups["blob"].sort(key=lambda index: rows[index][column], reverse=descending)
    parts = reversed(groups.values()) if descending else groups.values()
    return [index for part in parts for index in part]


def _matching(
    rows: Sequence[tuple[Any, ...]], order: array[int], needle: str, stopped: Any
) -> Iterator[int]:
    for place, index in enumerate(order):
        if place % 1000 == 0 and stopped():
            return
        for value in rows[index]:
            if value is None:
                text = "null"
            elif isinstance(value, bytes):
                text = value[:12].hex()  # what the grid shows of it
            else:
                text = str(value).casefold()
            if needle in text:
                yield index
                break


def _foreground(style: Style) -> Style:
    return Style(color=style.color, italic=style.italic, dim=style.dim)


def _tsv(rows: Sequence[Sequence[Any]]) -> str:
    """Tab-separated, as spreadsheets paste it: a tab or line break in a cell becomes a space."""
    table = str.maketrans("\t\n\r", "   ")
    return "\n".join("\t".join(copy_text(v).translate(table) for v in row) for row in rows)
