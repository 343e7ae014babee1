"""SQL as sqlglot's tree: parsing it, and what several modules ask of one."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.parsers.sqlite import SQLiteParser

#: What sqlglot's parser raises; the last four on some malformed input.
PARSER_ERRORS = (
    SqlglotError,
    RecursionError,
    ValueError,
    AttributeError,
    TypeError,
    KeyError,
)

# sqlglot goes back and tries again where a clause could be read in several ways, which takes time
# exponential in their number (`FROM a JOIN b JOIN c ...` without ON doubles with each JOIN). The
# 3,886 gold queries tried of Spider's and BIRD's training sets took at most 4 steps a word.
# A step takes about 65 microseconds, so an answer of 300 tokens ends within 0.3 s.
_STEPS_PER_TOKEN, _MORE_STEPS, _MOST_STEPS = 10, 1000, 100_000


class _BoundedParser(SQLiteParser):
    """Gives up after steps linear in the length of its input."""

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


class _BoundedSQLite(SQLite):
    Parser = _BoundedParser


def parse(statement: str) -> exp.Expression | None:
    """sqlglot's tree of one statement, or None where its grammar is narrower than SQLite's.

    Takes time linear in the length of the statement, whatever it holds. For SQL that was not
    checked yet; of a CheckedQuery take `query.tree`.
    """
    try:
        tree = sqlglot.parse_one(statement, read=_BoundedSQLite)
    except PARSER_ERRORS:
        return None
    return tree if isinstance(tree, exp.Expression) else None


def from_clause(select: exp.Expression) -> exp.From | None:
    """The FROM of a SELECT, None where it has none. (sqlglot 28 renamed the argument.)"""
    clause = select.args.get("from_") or select.args.get("from")
    return clause if isinstance(clause, exp.From) else None


def scopes(tree: exp.Expression | None) -> list[Scope]:
    """Every SELECT of a statement with its sources, innermost first; none if in doubt."""
    try:
        return list(traverse_scope(tree)) if tree is not None else []
    except (SqlglotError, RecursionError):
        return []
