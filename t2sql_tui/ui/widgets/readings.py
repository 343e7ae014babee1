"""Several readings of one question: how far they agree, which is meant, where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from t2sql_tui.core.answers.describe import (
    asks_which,
    changes,
    choices,
    difference,
    is_unsure,
    summary,
    tell_apart,
    warnings_text,
)
from t2sql_tui.core.database.database import Database
from t2sql_tui.core.types import Answer, CheckedQuery, Reading
from t2sql_tui.ui.cells import cell_text, one_line
from t2sql_tui.ui.widgets.sql import lay_out
from t2sql_tui.ui.widgets.status import StatusLine
from t2sql_tui.ui.words import reads

_MOST_ROWS = 50  # of each side of a comparison
_CELL = 40  # characters of a cell in it


@dataclass(frozen=True)
class Version:
    """One SQL to choose: a reading by the model, or (`reading` is None) a person's own.

    `sql` is as it stands in the editor, `words` what sets it apart from the others, `reads`
    the columns of each table that it reads.
    """

    sql: str
    words: str = ""
    reading: Reading | None = None
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def query(self) -> CheckedQuery | None:
        verdict = self.reading.candidate.verdict if self.reading else None
        return verdict if isinstance(verdict, CheckedQuery) else None

    def note(self, candidates: int) -> str:
        """How many rows it finds, and how many of the candidates say so."""
        if self.reading is None:
            return "your own"
        result = self.reading.result
        if result is None:
            found = "rows unknown"
        else:
            count = f"{len(result.rows):,}{'+' if result.truncated else ''}"
            found = f"{count} row{'' if count == '1' else 's'}"
        return f"{found} · {self.reading.votes} of {candidates}" if self.reading.votes else found


def versions(answer: Answer, database: Database) -> tuple[Version, ...]:
    """What there is to choose from: the answer's own candidate first; nothing where no SQL
    passed the check. For workers."""
    if not answer.query:
        return ()
    readings = choices(answer) or [Reading(answer.candidate)]
    sqls = [reading.candidate.sql for reading in readings]
    words = tell_apart(sqls, database.schema) if len(sqls) > 1 else sqls
    for place, reading in enumerate(readings):
        if place and not reading.votes:  # made from the first: what was changed says more
            made = [text for text in changes(reading) if text not in changes(readings[0])]
            words[place] = " ".join(made) or words[place]
    return tuple(
        Version(lay_out(sql), said, reading, reads(reading.candidate.verdict, database))
        for sql, said, reading in zip(sqls, words, readings, strict=True)
    )


class AgreementLine(Static):
    """One line under the SQL on how far to trust it. Hidden where nothing is known."""

    def __init__(self) -> None:
        super().__init__(id="agreement")
        self.auto_links = False
        self.words = ""

    def show(self, words: str, hint: str = "", tone: str = "") -> None:
        """`hint` is what the key, or a click, does. `tone` as of the status line."""
        self.words = words
        self.display = bool(words)
        mark, color = StatusLine.TONES[tone]
        body = color if tone == "warning" else ""
        link = Content.styled(hint and f"  {hint}", "$text-primary")
        self.update(
            Content.assemble(
                (f"{mark} ", color),
                (one_line(words), body),
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
        self.answer: Answer | None = None
        self.versions: list[Version] = []
        self.place = 0
        self.asks = False  # whether the person is to say which version is meant,
        self.asking = False  # and has not done so yet

    def compose(self) -> ComposeResult:
        yield OptionList(id="versions", compact=True)
        with VerticalScroll(id="difference"):
            yield Static(id="difference-words")
            with Horizontal():
                yield Static(id="only-here", classes="side")
                yield Static(id="only-there", classes="side")

    @property
    def options(self) -> OptionList:
        return self.query_one(OptionList)

    # --- what there is to choose ---------------------------------------------------

    def take(self, answer: Answer | None, versions: Sequence[Version] = ()) -> None:
        """Begin anew with these versions; the first is the one in the editor."""
        self.answer, self.versions, self.place = answer, list(versions), 0
        self.asks = self.asking = bool(answer and len(versions) > 1 and asks_which(answer))
        self.display = False

    def keep(self, sql: str) -> None:
        """`sql` is what the editor holds now: if that is an edit, make it a version too."""
        if not self.versions or not sql or sql == self.versions[self.place].sql:
            return
        same = [place for place, version in enumerate(self.versions) if version.sql == sql]
        if same:
            self.place = same[0]
        elif self.versions[self.place].reading is None:
            # Going on with one's own SQL makes no further version of it.
            self.versions[self.place] = replace(
                self.versions[self.place], sql=sql, words=_flat(sql)
            )
        else:
            self.versions.append(Version(sql, _flat(sql)))
            self.place = len(self.versions) - 1
        self.asking = False
        if self.display:
            self._paint()

    def shown_as(self, sql: str) -> None:
        """How the editor gives the current version back: it has its own line breaks."""
        self.versions[self.place] = replace(self.versions[self.place], sql=sql)

    @property
    def next(self) -> int:
        return (self.place + 1) % len(self.versions)

    def show(self, place: int) -> Version:
        """Make that version the current one, and compare it with another."""
        self.place = place
        self.display = True
        self._paint()
        return self.versions[place]

    def answered(self) -> None:
        """The person has said that the current version is meant."""
        self.asking = False
        self._paint()

    def describe(self) -> tuple[str, str, str]:
        """Words, hint and tone for the agreement line."""
        if self.answer is None or not self.versions:
            return "", "", ""
        readings = sum(version.reading is not None for version in self.versions)
        several = len(self.versions) > 1
        version = self.versions[self.place]
        if version.reading is None:
            return "Your own SQL.", "o goes back to the model's", ""
        warned = "warning" if version.reading.warnings else ""
        if self.place or (self.asks and not self.asking):
            total = sum(reading.votes for reading in self.answer.readings)
            words = f"Reading {self.place + 1} of {readings}"
            votes = version.reading.votes  # none where no candidate says so as it stands
            words += f" ({votes} of {total} candidates). " if votes else ". "
            words += " ".join([*changes(version.reading), warnings_text(version.reading)])
            return words.strip(), "o shows the next", warned
        words = summary(self.answer)
        if self.asking:
            return f"{words} Which do you mean?", "", "warning"
        hint = "o compares" if several and words else ""
        return words, hint, "warning" if is_unsure(self.answer) else warned or "good"

    # --- painting ------------------------------------------------------------------

    def _paint(self) -> None:
        self.border_title = "Which do you mean?" if self.asking else "Readings"
        self.border_subtitle = "↑ ↓ or a number, Enter picks, Esc closes"
        options = self.options
        with options.prevent(OptionList.OptionHighlighted):
            options.clear_options()
            options.add_options(self._options())
            options.highlighted = self.place
        self._compare()
        self.query_one("#difference").scroll_home(animate=False)

    def _options(self) -> list[Option]:
        readings = self.answer.readings if self.answer else ()
        candidates = sum(reading.votes for reading in readings)
        notes = [version.note(candidates) for version in self.versions]
        width, digits = max(map(len, notes)), len(str(len(notes)))
        return [
            Option(
                Content.assemble(
                    (f"{place:>{digits}}  ", "$text-accent"),
                    (f"{note:<{width}}  ", "bold"),
                    one_line(version.words[:300]),
                )
            )
            for place, (version, note) in enumerate(zip(self.versions, notes, strict=True), 1)
        ]

    def _compare(self) -> None:
        """The rows of the current version against the best other one's."""
        version = self.versions[self.place]
        here = version.reading
        other = next(
            (
                place
                for place, candidate in enumerate(self.versions)
                if place != self.place and candidate.reading and candidate.reading.result
            ),
            None,
        )
        only_here = only_there = Content("")
        if here is None:
            words = "Your own SQL; it has not been compared."
        elif here.result is None:
            words = warnings_text(here) or "It was not run, so there are no rows to compare."
        elif other is None:
            words = "No other reading has rows to compare with."
        else:
            there = self.versions[other].reading
            assert there and there.result
            found = difference(here.result, there.result)
            a, b = self.place + 1, other + 1
            words = _describe(found.both, len(found.only_first), len(found.only_second), a, b)
            if found.compared is not None:
                words += f" Compared: the first {found.compared:,} rows."
            only_here = _rows(f"Only in {a}", "+", found.only_first, "$text-success")
            only_there = _rows(f"Only in {b}", "−", found.only_second, "$text-error")
        described = Content.styled(words, "$foreground-muted")
        line = self.options.get_option_at_index(self.place).prompt
        if isinstance(line, Content) and 0 < self.content_size.width < line.cell_length:
            described = Content.assemble(one_line(version.words), "\n", described)
        self.query_one("#difference-words", Static).update(described)
        for name, side in (("#only-here", only_here), ("#only-there", only_there)):
            self.query_one(name, Static).update(side)
            self.query_one(name).display = bool(side.plain)

    # --- choosing ------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index != self.place:
            self.post_message(self.Moved())

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Picked())

    def on_key(self, event: events.Key) -> None:
        if event.key.isdecimal() and 0 < int(event.key) <= len(self.versions):
            event.stop()
            self.options.highlighted = int(event.key) - 1

    def on_resize(self) -> None:
        if self.display and self.versions:
            # Whether the list cuts the words depends on the width.
            self.call_after_refresh(self._compare)


def _flat(sql: str) -> str:
    return " ".join(sql.split())


def _describe(both: int, here: int, there: int, a: int, b: int) -> str:
    """In how far two bags of rows, of readings `a` and `b`, are the same."""
    if not here and not there:
        return f"The same rows as {b}, in another order or under other names."
    rows = "row" if both == 1 else "rows"
    return f"{both:,} {rows} in both, {here:,} only in {a}, {there:,} only in {b}."


def _rows(title: str, mark: str, rows: Sequence[tuple[Any, ...]], color: str) -> Content:
    """The rows under a title, or nothing where there are none."""
    if not rows:
        return Content("")
    lines = [Content.styled(title, "$foreground-muted")]
    for row in rows[:_MOST_ROWS]:
        text = " │ ".join(cell_text(value, _CELL) for value in row)
        lines.append(Content.assemble((f"{mark} ", color), text))
    if len(rows) > _MOST_ROWS:
        lines.append(Content.styled(f"and {len(rows) - _MOST_ROWS:,} more", "$foreground-muted"))
    return Content("\n").join(lines)
