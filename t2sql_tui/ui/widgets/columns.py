"""How wide the columns of a grid are, and which of them are in sight."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from rich.cells import cell_len

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.cells import cell_text, kind_of, one_line

# Widths are guessed from this many rows (the first half from the top, the rest spread
# over the result): measuring 100,000 rows of 10 columns would take a second.
_SAMPLE_ROWS = 1000
_MAX_WIDTH = 36  # terminal cells; wider columns get what the screen has left over
_MAX_CONTENT_WIDTH = 400


class ColumnLayout:
    """The columns of one result, in terminal cells.

    `gutter` is the width of the row numbers on the left, `starts` where each column begins
    behind it and, last, where the rightmost ends; each has a blank on either side. A column
    is `numeric` when all its values are numbers or NULL.
    """

    def __init__(self, result: QueryResult) -> None:
        self.headers = [one_line(name) or " " for name in result.columns]
        self.numeric: list[bool] = []
        self.widths: list[int] = []
        self.starts: list[int] = [0]
        self.gutter = len(f"{len(result.rows):,}") + 2
        self._content_widths: list[int] = []
        self._measure(result)

    def __len__(self) -> int:
        return len(self.headers)

    def _measure(self, result: QueryResult) -> None:
        rows = result.rows
        step = max(1, len(rows) // (_SAMPLE_ROWS // 2))
        sample = [*rows[: _SAMPLE_ROWS // 2], *rows[_SAMPLE_ROWS // 2 :: step]]
        for index, header in enumerate(self.headers):
            values = [row[index] for row in sample]
            kinds = {kind_of(value) for value in values} - {"null"}
            self.numeric.append(kinds == {"number"})
            widest = max((cell_len(cell_text(v, _MAX_CONTENT_WIDTH)) for v in values), default=0)
            # Two more for the arrow that marks a sorted column.
            header_width = min(cell_len(header), _MAX_WIDTH) + 2
            self._content_widths.append(max(widest, header_width, 4))

    def fit_to(self, width: int) -> None:
        """Set widths and starts for a screen this wide: capped, then the slack is shared out."""
        self.widths = [min(content, _MAX_WIDTH) for content in self._content_widths]
        slack = width - self.gutter - sum(self.widths) - 2 * len(self.widths)
        for index, content in enumerate(self._content_widths):
            growth = min(max(slack, 0), content - self.widths[index])
            self.widths[index] += growth
            slack -= growth
        self.starts = [0, *accumulate(width + 2 for width in self.widths)]

    @property
    def total_width(self) -> int:
        """Row numbers and all columns."""
        return self.gutter + self.starts[-1]

    def in_sight(self, scroll_x: int, width: int) -> tuple[range, int]:
        """Which columns show, and how many cells of the first are scrolled away."""
        first = max(bisect_right(self.starts, scroll_x) - 1, 0)
        last = bisect_right(self.starts, scroll_x + width - self.gutter)
        return range(first, min(last, len(self.widths))), scroll_x - self.starts[first]

    def at(self, x: int) -> int:
        """The column that covers `x`, counted from the right edge of the gutter."""
        return max(bisect_right(self.starts, max(x, 0)) - 1, 0)
