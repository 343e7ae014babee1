"""sqlglot's tree of a SQL text that anyone may have written."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# Beside its own errors sqlglot's parser lets a few others out on malformed input.
_FAILURES = (SqlglotError, RecursionError, ValueError, AttributeError, TypeError, KeyError)


def parsed(sql: str) -> exp.Expression | None:
    """The tree of the only statement in `sql`; None if there is no tree for it."""
    try:
        trees = sqlglot.parse(sql, read="sqlite")
    except _FAILURES:
        return None
    return trees[0] if len(trees) == 1 else None
