"""Several readings of one question: how far they agree, which is meant, where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.ui.cells import cell_text, one_line
from t2sql_tui.ui.texts import Tone
from t2sql_tui.ui.versions import Versions
from t2sql_tui.ui.widgets.status import TONES

if TYPE_CHECKING:  # see jobs.py
    from t2sql_tui.core.answers.describe import Difference

_MAX_ROWS = 50  # of each side of a comparison
_MAX_CELL = 40  # characters of a cell in it


class AgreementLine(Static):
    """One line under the SQL on how far to trust it. Hidden where nothing is known."""

    def __init__(self) -> None:
        super().__init__(id="agreement")
        self.auto_links = False
        self.text = ""

    def show(self, text: str, hint: str = "", tone: Tone = "") -> None:
        """Show a text; `hint` is what the key, or a click, does."""
        self.text = text
        self.display = bool(text)
        mark, color = TONES[tone]
        link = Content.styled(hint and f"  {hint}", "$text-primary")
        self.update(
            Content.assemble(
                (f"{mark} ", color),
                (one_line(text), color if tone == "warning" else ""),
                link.stylize(Style.from_meta({"@click": "screen.readings"})),
            )
        )


class ReadingsPane(Vertical):
    """The versions of the SQL, one of them current, and its rows against another's.

    Stands in place of the results while a person compares. Moving in the list makes another
    version current at once; nothing runs by that.
    """

    BORDER_TITLE = "Readings"

    class Moved(Message):
        """The person has moved to another version: the one that the list highlights now."""

    class Picked(Message):
        """The person says that the current version is what they meant."""

    def __init__(self) -> None:
        super().__init__(id="readings", classes="pane")
        self.display = False
        self.versions = Versions()

    def compose(self) -> ComposeResult:
        """The list over the comparison."""
        yield OptionList(id="versions", compact=True)
        with VerticalScroll(id="difference"):
            yield Static(id="difference-text")
            with Horizontal():
                yield Static(id="only-here", classes="side")
                yield Static(id="only-there", classes="side")

    @property
    def options(self) -> OptionList:
        """The list of versions."""
        return self.query_one(OptionList)

    # --- painting ------------------------------------------------------------------

    def show(self, versions: Versions) -> None:
        """Show what there is to choose, and the current version's rows against another's."""
        self.versions = versions
        self.display = True
        self.border_title = "Which do you mean?" if versions.undecided else "Readings"
        self.border_subtitle = "↑ ↓ or a number, Enter picks, Esc closes"
        options = self.options
        with options.prevent(OptionList.OptionHighlighted):
            options.clear_options()
            options.add_options(self._option_lines())
            options.highlighted = versions.index
        self._show_comparison()
        self.query_one("#difference").scroll_home(animate=False)

    def _option_lines(self) -> list[Option]:
        versions = self.versions
        notes = [version.note(versions.candidate_count) for version in versions.items]
        width, digits = max(map(len, notes)), len(str(len(notes)))
        return [
            Option(
                Content.assemble(
                    (f"{number:>{digits}}  ", "$text-accent"),
                    (f"{note:<{width}}  ", "bold"),
                    one_line(version.summary[:300]),
                )
            )
            for number, (version, note) in enumerate(zip(versions.items, notes, strict=True), 1)
        ]

    def _show_comparison(self) -> None:
        """The rows of the current version against the best other one's."""
        text, only_here, only_there = self._compare()
        described = Content.styled(text, "$foreground-muted")
        line = self.options.get_option_at_index(self.versions.index).prompt
        if isinstance(line, Content) and 0 < self.content_size.width < line.cell_length:
            # The list cuts it off.
            summary = one_line(self.versions.current.summary)
            described = Content.assemble(summary, "\n", described)
        self.query_one("#difference-text", Static).update(described)
        for name, side in (("#only-here", only_here), ("#only-there", only_there)):
            self.query_one(name, Static).update(side)
            self.query_one(name).display = bool(side.plain)

    def _compare(self) -> tuple[str, Content, Content]:
        """How far the rows are the same; those only here; those only there."""
        from t2sql_tui.core.answers.describe import difference  # see jobs.py

        nothing = Content("")
        version, reading = self.versions.current, self.versions.current.reading
        if reading is None:
            return "Your own SQL; it has not been compared.", nothing, nothing
        if reading.result is None:
            text = version.warnings or "It was not run, so there are no rows to compare."
            return text, nothing, nothing
        other_index = self.versions.to_compare_with()
        other = None if other_index is None else self.versions.items[other_index].reading
        if other_index is None or other is None or other.result is None:
            return "No other reading has rows to compare with.", nothing, nothing
        rows = difference(reading.result, other.result)
        here, there = self.versions.index + 1, other_index + 1
        return (
            _describe(rows, here, there),
            _side(f"Only in {here}", "+", rows.only_first, "$text-success"),
            _side(f"Only in {there}", "−", rows.only_second, "$text-error"),
        )

    # --- choosing ------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index != self.versions.index:
            self.post_message(self.Moved())

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Picked())

    def on_key(self, event: events.Key) -> None:
        """A number goes to the version of that number."""
        if event.key.isdecimal() and 0 < int(event.key) <= len(self.versions):
            event.stop()
            self.options.highlighted = int(event.key) - 1

    def on_resize(self) -> None:
        """Show the summary again where the list has come to cut it, or no longer does."""
        if self.display and self.versions:
            self.call_after_refresh(self._show_comparison)


def _describe(difference: Difference, here: int, there: int) -> str:
    """How far the rows of two versions are the same; `here` and `there` are their numbers."""
    only_here, only_there = len(difference.only_first), len(difference.only_second)
    if not only_here and not only_there:
        text = f"The same rows as {there}, in another order or under other names."
    else:
        rows = "row" if difference.both == 1 else "rows"
        text = (
            f"{difference.both:,} {rows} in both, {only_here:,} only in {here},"
            f" {only_there:,} only in {there}."
        )
    if difference.compared is not None:
        text += f" Compared: the first {difference.compared:,} rows."
    return text


def _side(title: str, mark: str, rows: Sequence[tuple[Any, ...]], color: str) -> Content:
    """Rows under a title, or nothing where there are none."""
    if not rows:
        return Content("")
    lines = [Content.styled(title, "$foreground-muted")]
    for row in rows[:_MAX_ROWS]:
        text = " │ ".join(cell_text(value, _MAX_CELL) for value in row)
        lines.append(Content.assemble((f"{mark} ", color), text))
    if len(rows) > _MAX_ROWS:
        lines.append(Content.styled(f"and {len(rows) - _MAX_ROWS:,} more", "$foreground-muted"))
    return Content("\n").join(lines)
