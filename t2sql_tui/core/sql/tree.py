"""SQL as sqlglot's tree: parsing it, and what several modules ask of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope


def parse(statement: str) -> exp.Expression | None:
    """sqlglot's tree of one statement, or None where its grammar is narrower than SQLite's.

    For SQL that was not checked yet; of a CheckedQuery take `query.tree`.
    """
    import sqlglot  # 0.1 s: not for `--help`
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(statement, read="sqlite")
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
