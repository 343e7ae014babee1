"""Runs candidates to compare them: read-only, briefly, and within a time for all together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.sql.lexer import normalized_spelling
from t2sql_tui.core.types import Candidate, CheckedQuery, Limits, QueryResult

#: What one candidate may take while candidates are compared, and all of them together.
LIMITS = Limits(rows=1000, seconds=1.0, bytes=8 * 1024 * 1024)
TOTAL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Execution:
    """A candidate and its first rows; where it has none, `failure` says why: "error" where the
    check rejected it or SQLite gave up, "timeout" where its time or all time was over."""

    candidate: Candidate
    result: QueryResult | None = None
    failure: Literal["", "error", "timeout"] = ""

    @property
    def tree(self) -> exp.Expr | None:
        """The tree of SQL that was run; None where sqlglot cannot parse it. Shared: read only."""
        query = self.candidate.verdict
        return query.tree if self.result and isinstance(query, CheckedQuery) else None

    @property
    def selects(self) -> list[exp.Select]:
        """Every SELECT of that tree, subqueries included."""
        return list(self.tree.find_all(exp.Select)) if self.tree else []


def execute(
    candidate: Candidate, context: AnswerContext, seconds: float | None = None
) -> Execution:
    """Runs one judged candidate, for `seconds` at most (default: LIMITS.seconds)."""
    query = candidate.verdict
    seconds = LIMITS.seconds if seconds is None else seconds
    if not isinstance(query, CheckedQuery):
        return Execution(candidate, failure="error")
    if seconds <= 0:
        return Execution(candidate, failure="timeout")
    limits = replace(LIMITS, seconds=seconds)
    try:
        return Execution(candidate, context.database.run(query, limits, context.should_stop))
    except QueryStopped:
        return Execution(candidate, failure="timeout")
    except DatabaseError:
        return Execution(candidate, failure="error")


def executions(
    candidates: Sequence[Candidate], context: AnswerContext
) -> Iterator[tuple[str, Execution]]:
    """Runs the candidates one by one, as they are asked for: (spelling, execution) of every
    first one of a spelling. What there is no time for, TOTAL_SECONDS after the first was asked
    for, has the failure "timeout"."""
    deadline = time.monotonic() + TOTAL_SECONDS
    seen = set()
    for candidate in candidates:
        spelling = normalized_spelling(candidate.sql)
        if spelling not in seen:
            seen.add(spelling)
            seconds = min(LIMITS.seconds, deadline - time.monotonic())
            yield spelling, execute(candidate, context, seconds)


def rows_key(result: QueryResult) -> object:
    """Equal for results with the same rows, whatever the order of rows and columns."""
    rows = sorted(tuple(sorted(map(_cell_key, row))) for row in result.rows)
    return len(result.columns) if rows else 0, result.truncated, tuple(rows)


def _cell_key(value: object) -> str:
    # 1 and 1.0 are equal to SQLite and to the official scorer.
    if isinstance(value, int | float):
        return f"{value:.9g}"
    return repr(value)
