"""The SQL that a person can choose from for one question: readings of it, and their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from t2sql_tui.core.types import Answer, CheckedQuery, Reading
from t2sql_tui.ui.sql_layout import on_one_line
from t2sql_tui.ui.texts import StatusText, Tone

#: For each table that a query reads, the columns read of it.
ColumnsRead = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Version:
    """One SQL to choose: a reading by the model, or (`reading` is None) a person's own.

    `sql` is the text in the editor, `summary` what sets the SQL apart from the other
    versions, `changes` what was rewritten in it, `warnings` what speaks against it.
    """

    sql: str
    summary: str = ""
    changes: str = ""
    warnings: str = ""
    reading: Reading | None = None
    reads: ColumnsRead = field(default_factory=dict)

    @property
    def query(self) -> CheckedQuery | None:
        """The query to run; None for SQL that has not passed the check."""
        verdict = self.reading.candidate.verdict if self.reading else None
        return verdict if isinstance(verdict, CheckedQuery) else None

    def note(self, candidates: int) -> str:
        """How many rows it finds, and how many of the candidates find the same."""
        if self.reading is None:
            return "your own"
        result = self.reading.result
        if result is None:
            rows = "rows unknown"
        else:
            count = f"{len(result.rows):,}{'+' if result.truncated else ''}"
            rows = f"{count} row{'' if count == '1' else 's'}"
        return f"{rows} · {self.reading.votes} of {candidates}" if self.reading.votes else rows


@dataclass(frozen=True)
class Proposal:
    """An answer of the model as a person sees it.

    `versions` are the readings to choose from, that of the answer's candidate first; empty
    where no SQL passed the check. `summary` says how far to trust the first and `tone` how that
    is coloured; `asks_which` says whether the person is asked which reading is meant.
    """

    answer: Answer
    versions: tuple[Version, ...] = ()
    summary: str = ""
    tone: Tone = ""
    asks_which: bool = False


class Versions:
    """The versions of one proposal, one of them current; empty without a proposal.

    `asks_which` says whether the person is to say which version is meant, `undecided` that
    they have not done so yet.
    """

    def __init__(self, proposal: Proposal | None = None) -> None:
        self.proposal = proposal
        self.items: list[Version] = list(proposal.versions) if proposal else []
        self.index = 0
        self.asks_which = bool(proposal and proposal.asks_which and len(self.items) > 1)
        self.undecided = self.asks_which

    def __len__(self) -> int:
        return len(self.items)

    @property
    def current(self) -> Version:
        """The version in the editor. Raises IndexError where there is none."""
        return self.items[self.index]

    @property
    def next_index(self) -> int:
        """The index of the version after the current one; the first comes after the last."""
        return (self.index + 1) % len(self.items)

    @property
    def candidate_count(self) -> int:
        """How many candidates all readings of the answer come from."""
        readings = self.proposal.answer.readings if self.proposal else ()
        return sum(reading.votes for reading in readings)

    def go_to(self, index: int) -> None:
        """Make that version the current one."""
        self.index = index

    def settle(self) -> None:
        """The person has said that the current version is meant."""
        self.undecided = False

    def keep(self, sql: str) -> bool:
        """Make the editor's text a version too, unless it is the current one's. Whether it was
        an edit."""
        if not self.items or not sql or sql == self.current.sql:
            return False
        equal = [index for index, version in enumerate(self.items) if version.sql == sql]
        if equal:
            self.index = equal[0]
        elif self.current.reading is None:
            # Going on with one's own SQL makes no further version of it.
            self.items[self.index] = replace(self.current, sql=sql, summary=on_one_line(sql))
        else:
            self.items.append(Version(sql, on_one_line(sql)))
            self.index = len(self.items) - 1
        self.undecided = False
        return True

    def set_text(self, sql: str) -> None:
        """Set the current version's text: the editor has line breaks of its own."""
        self.items[self.index] = replace(self.current, sql=sql)

    def to_compare_with(self) -> int | None:
        """The index of the best other version whose rows are known."""
        return next(
            (
                index
                for index, version in enumerate(self.items)
                if index != self.index and version.reading and version.reading.result
            ),
            None,
        )

    def describe(self, text: str) -> StatusText:
        """How far to trust the current version, for the line under the SQL.

        Nobody knows how far to trust what a person wrote: `text` is what the editor holds.
        """
        if self.proposal is None or not self.items:
            return StatusText("")
        reading = self.current.reading
        if reading is None or text != self.current.sql:
            return StatusText("Your own SQL.", "o goes back to the model's")
        if self.index or (self.asks_which and not self.undecided):
            return self._describe_reading(reading)
        summary = self.proposal.summary
        if self.undecided:
            return StatusText(f"{summary} Which do you mean?", "", "warning")
        hint = "o compares" if len(self.items) > 1 and summary else ""
        return StatusText(summary, hint, "warning" if reading.warnings else self.proposal.tone)

    def _describe_reading(self, reading: Reading) -> StatusText:
        count = sum(version.reading is not None for version in self.items)
        text = f"Reading {self.index + 1} of {count}"
        # A reading that was rewritten has no votes: no candidate wrote it as it stands.
        text += (
            f" ({reading.votes} of {self.candidate_count} candidates)." if reading.votes else "."
        )
        sentences = filter(None, (text, self.current.changes, self.current.warnings))
        tone: Tone = "warning" if reading.warnings else ""
        return StatusText(" ".join(sentences), "o shows the next", tone)
