"""A grid of rows that draws only the cells in sight, however many rows there are."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.cells import cell_text, copy_text, fit, kind_of
from t2sql_tui.ui.messages import TextCopied
from t2sql_tui.ui.rows import Row, matching_rows, sorted_rows, to_tsv
from t2sql_tui.ui.widgets.columns import ColumnLayout


class ResultGrid(ScrollView, can_focus=True):
    """Rows of a `QueryResult`, sorted and filtered without touching it.

    `order` holds the indexes of the rows shown, in the order shown: 4 bytes a row.
    Sorting and filtering run in a thread and come back as `Arranged`.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
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
    BINDINGS: ClassVar[list[BindingType]] = [
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
    class RowsArranged(Message):
        """A sort or filter is done: `order` is what `needle` left, `serial` the request."""

        serial: int
        order: array[int]
        needle: str

    @dataclass
    class ViewChanged(Message):
        """What the grid shows has changed (rows, sort or filter)."""

        grid: ResultGrid

    @dataclass
    class CellOpened(Message):
        """A person asked to see one whole value."""

        column: str
        row: int
        value: Any

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
        self._columns = ColumnLayout(self.result)

    # --- what is shown ------------------------------------------------------------

    def show(self, result: QueryResult, *, keep_view: bool = False) -> None:
        """Show a result from its first row; with `keep_view`, sort, filter and cursor stay."""
        self.result = result
        self._serial += 1
        self.order, self._shown_needle = array("I", range(len(result.rows))), ""
        self._columns = ColumnLayout(result)
        if not (keep_view and self.cursor_column < len(result.columns)):
            keep_view = False
            self.sort_column, self.sort_descending, self.needle = None, False, ""
            self.set_reactive(ResultGrid.cursor_row, 0)
            self.set_reactive(ResultGrid.cursor_column, 0)
            self.scroll_to(0, 0, animate=False)
        if keep_view and (self.sort_column is not None or self.needle):
            self._arrange()
        self._lay_out()
        self.post_message(self.ViewChanged(self))

    @property
    def rows_shown(self) -> list[Row]:
        """The rows as sorted and filtered. A new list: meant for export and copying."""
        rows = self.result.rows
        return [rows[index] for index in self.order]

    @property
    def cursor_value(self) -> Any:
        """The value under the cursor. Raises IndexError on an empty grid."""
        return self.result.rows[self.order[self.cursor_row]][self.cursor_column]

    def _lay_out(self) -> None:
        self._columns.fit_to(self.size.width)
        self.virtual_size = Size(self._columns.total_width, len(self.order) + 1)
        self.refresh()

    def on_resize(self) -> None:
        """Share the new width out."""
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
                kept = list(matching_rows(rows, order, needle, lambda: worker.is_cancelled))
            if narrowing or column is None:
                kept = sorted(kept)  # as the query returned them; also the base of ties
            if column is not None:
                kept = sorted_rows(rows, kept, column, descending)
            if not worker.is_cancelled:
                self.post_message(self.RowsArranged(serial, array("I", kept), needle))

        self.run_worker(arrange, group="arrange", exclusive=True, thread=True)

    def on_result_grid_rows_arranged(self, message: RowsArranged) -> None:
        """Show the rows in their new order."""
        message.stop()
        if message.serial != self._serial:
            return
        self.order, self._shown_needle = message.order, message.needle
        self._lay_out()
        self._move_to(min(self.cursor_row, max(len(self.order) - 1, 0)), self.cursor_column)
        self.post_message(self.ViewChanged(self))

    # --- the cursor ---------------------------------------------------------------

    def _move_to(self, row: int, column: int) -> None:
        self.cursor_row = max(0, min(row, len(self.order) - 1))
        self.cursor_column = max(0, min(column, len(self._columns) - 1))
        self._scroll_to_cursor()
        self.refresh()

    def _scroll_to_cursor(self) -> None:
        x, y = round(self.scroll_x), round(self.scroll_y)
        height = max(self.scrollable_content_region.height - 1, 1)
        width = max(self.scrollable_content_region.width - self._columns.gutter, 1)
        y = min(max(y, self.cursor_row - height + 1), self.cursor_row)
        if self._columns:
            left, right = self._columns.starts[self.cursor_column : self.cursor_column + 2]
            x = min(max(x, right - width), left)
        self.scroll_to(x, y, animate=False)

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor by rows and columns."""
        self._move_to(self.cursor_row + rows, self.cursor_column + columns)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        height = max(self.scrollable_content_region.height - 2, 1)
        self._move_to(self.cursor_row + pages * height, self.cursor_column)

    def action_jump(self, row: int | None, column: int | None) -> None:
        """Move the cursor to a row or a column; negative ones count from the end."""
        rows, columns = len(self.order), len(self._columns)
        self._move_to(
            self.cursor_row if row is None else row % max(rows, 1),
            self.cursor_column if column is None else column % max(columns, 1),
        )

    def action_view_cell(self) -> None:
        """Show the whole value under the cursor."""
        if self.order:
            name = self.result.columns[self.cursor_column]
            self.post_message(self.CellOpened(name, self.cursor_row, self.cursor_value))

    def action_sort(self) -> None:
        """Sort by the column of the cursor."""
        if self._columns:
            self.sort_by(self.cursor_column)

    def action_copy(self, extent: Literal["cell", "row", "all"]) -> None:
        """Put the cell, the row, or all rows shown (under their names) on the clipboard."""
        if not self.order:
            return
        if extent == "cell":
            text = copy_text(self.cursor_value)
        elif extent == "row":
            text = to_tsv([self.result.rows[self.order[self.cursor_row]]])
        else:
            text = to_tsv([self.result.columns, *self.rows_shown])
        self.post_message(TextCopied(text, extent))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there; on a header sort by it; a double click opens the cell."""
        offset = event.get_content_offset(self)
        if offset is None or not self._columns:
            return
        in_gutter = offset.x < self._columns.gutter
        x = offset.x - self._columns.gutter + round(self.scroll_x)
        if not in_gutter and x >= self._columns.starts[-1]:
            return  # right of the last column
        column = self._columns.at(x)
        if offset.y == 0:
            self.cursor_column = column
            self.sort_by(column)
            return
        row = offset.y - 1 + round(self.scroll_y)
        if row < len(self.order):
            self._move_to(row, self.cursor_column if in_gutter else column)
            if event.chain == 2:
                self.action_view_cell()

    # --- drawing ------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """A line of the screen: the header or a row."""
        width = self.size.width
        row = y - 1 + round(self.scroll_y)
        if y == 0:
            segments = self._header_segments(width)
        elif row < len(self.order):
            segments = self._row_segments(row, width)
        else:
            return Strip.blank(width, self.rich_style)
        return Strip(segments).adjust_cell_length(width, segments[-1].style)

    def notify_style_update(self) -> None:
        """Forget the styles: the theme has changed."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, name: str) -> Style:
        """A component's style. Kept, because working one out costs 0.1 ms a cell."""
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(f"grid--{name}")
        return self._styles[name]

    def _header_segments(self, width: int) -> list[Segment]:
        style, at_cursor = self._style("header"), self._style("header-cursor")
        columns = self._columns
        in_sight, hidden = columns.in_sight(round(self.scroll_x), width)
        segments = []
        for column in in_sight:
            name = columns.headers[column]
            if column == self.sort_column:
                name = f"{name} {'↓' if self.sort_descending else '↑'}"
            text = f" {fit(name, columns.widths[column], columns.numeric[column])} "
            segments.append(Segment(text, at_cursor if column == self.cursor_column else style))
        return self._join(Segment(" " * columns.gutter, style), segments, hidden, style)

    def _row_segments(self, row: int, width: int) -> list[Segment]:
        index = self.order[row]
        values = self.result.rows[index]
        on_row = row == self.cursor_row
        base = self._style("row-cursor") if on_row else self.rich_style
        columns = self._columns
        in_sight, hidden = columns.in_sight(round(self.scroll_x), width)
        segments = []
        for column in in_sight:
            value = values[column]
            kind = kind_of(value)
            size = columns.widths[column]
            right = columns.numeric[column] and kind in ("number", "null")
            text = f" {fit(cell_text(value, size + 1), size, right)} "
            style = base if kind == "text" else base + _foreground(self._style(kind))
            if on_row and column == self.cursor_column:
                style = self._style("cursor")
            segments.append(Segment(text, style))
        gutter = base + _foreground(self._style("gutter"))
        number = Segment(f"{index + 1:,}".rjust(columns.gutter - 1) + " ", gutter)
        return self._join(number, segments, hidden, base)

    def _join(
        self, gutter: Segment, segments: Sequence[Segment], hidden: int, fill: Style
    ) -> list[Segment]:
        if hidden and segments:
            segments = list(Strip(segments).crop(hidden))
        return [gutter, *segments, Segment("", fill)]


def _foreground(style: Style) -> Style:
    return Style(color=style.color, italic=style.italic, dim=style.dim)
