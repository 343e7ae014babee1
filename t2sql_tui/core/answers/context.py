"""What is known of a question while its candidates are run, judged and rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.database.profile import ColumnProfile, column_profile
from t2sql_tui.core.types import Question, Schema, ShouldStop, ValueMatch


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """The question, the open file, and the stored values that the question mentions.
    `should_stop` ends whatever runs."""

    database: Database
    question: Question
    values: Sequence[ValueMatch] = ()
    should_stop: ShouldStop | None = None
    _profiles: dict[tuple[str, str], ColumnProfile | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def schema(self) -> Schema:
        """The schema of the file."""
        return self.database.schema

    def profile(self, table: str, column: str) -> ColumnProfile | None:
        """What a stored column holds; None where there is no such column, or once the work is
        to stop."""
        if self.should_stop is not None and self.should_stop():
            return None
        if (table, column) not in self._profiles:
            self._profiles[table, column] = column_profile(self.database, table, column)
        return self._profiles[table, column]
