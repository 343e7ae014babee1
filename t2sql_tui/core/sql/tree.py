"""SQL as sqlglot's tree: parsing it, and what several modules ask of one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.dialects.sqlite import SQLite
    from sqlglot.optimizer.scope import Scope


# sqlglot goes back and tries again where a clause could be read in several ways, which takes time
# exponential in their number (`FROM a JOIN b JOIN c ...` without ON doubles with each JOIN). The
# 3,886 gold queries tried of Spider's and BIRD's training sets took at most 4 steps a word.
# A step takes about 65 microseconds, so an answer of 300 tokens ends within 0.3 s.
_STEPS_PER_TOKEN, _MORE_STEPS, _MOST_STEPS = 10, 1000, 100_000


@functools.cache
def _bounded_sqlite() -> type[SQLite]:
    """sqlglot's SQLite dialect, whose parser gives up after steps linear in its input's length."""
    from sqlglot.dialects.sqlite import SQLite
    from sqlglot.errors import ParseError

    class BoundedSQLite(SQLite):
        class Parser(SQLite.Parser):
            steps = 0

            def reset(self) -> None:
                super().reset()
                self.steps = 0

            def _advance(self, times: int = 1) -> None:
                self.steps += 1
                linear = _STEPS_PER_TOKEN * self._tokens_size + _MORE_STEPS
                if self.steps > min(linear, _MOST_STEPS):
                    raise ParseError("too many ways to read it")
                super()._advance(times)

    return BoundedSQLite


def parse(statement: str) -> exp.Expression | None:
    """sqlglot's tree of one statement, or None where its grammar is narrower than SQLite's.

    Takes time linear in the length of the statement, whatever it holds. For SQL that was not
    checked yet; of a CheckedQuery take `query.tree`.
    """
    import sqlglot  # 0.1 s: not for `--help`
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(statement, read=_bounded_sqlite())
    except (SqlglotError, RecursionError, ValueError, AttributeError, TypeError, KeyError):
        return None  # the last four: what sqlglot's parser raises on some malformed input


def from_clause(select: exp.Expression) -> exp.From | None:
    """The FROM of a SELECT, None where it has none. (sqlglot 28 renamed the argument.)"""
    return select.args.get("from_") or select.args.get("from")


def scopes(tree: exp.Expression | None) -> list[Scope]:
    """Every SELECT of a statement with its sources, innermost first; none if in doubt."""
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    try:
        return list(traverse_scope(tree)) if tree is not None else []
    except (SqlglotError, RecursionError):
        return []
