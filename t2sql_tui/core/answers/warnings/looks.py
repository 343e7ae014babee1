"""Short looks into the rows, and the stored columns that a candidate uses."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.database.profile import ColumnProfile
from t2sql_tui.core.english import plain_words
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.columns import ColumnResolver, StoredColumn
from t2sql_tui.core.types import CheckedQuery, Limits, QueryResult

#: A look costs no more; what takes longer stays unknown.
LOOK_LIMITS = Limits(rows=2, seconds=0.1, bytes=64 * 1024)


def look(sql: str, context: AnswerContext) -> QueryResult | None:
    """The first two rows of a SELECT; None where it fails or takes too long."""
    query = check(sql, context.database)
    if not isinstance(query, CheckedQuery):
        return None
    try:
        return context.database.run(query, LOOK_LIMITS, context.should_stop)
    except (QueryStopped, DatabaseError):
        return None


def columns_of(
    execution: Execution, context: AnswerContext
) -> Iterator[tuple[exp.Column, StoredColumn]]:
    """Each place where a candidate that was run names a stored column."""
    if execution.tree is None:
        return
    resolver = ColumnResolver(execution.tree, context.schema)
    for node in execution.tree.find_all(exp.Column):
        if stored := resolver.resolve(node):
            yield node, stored


def profiled_columns(
    execution: Execution, context: AnswerContext
) -> Iterator[tuple[exp.Column, StoredColumn, ColumnProfile]]:
    """The same, with what the column holds."""
    for node, stored in columns_of(execution, context):
        if profile := context.profile(stored.table.name, stored.column.name):
            yield node, stored, profile


def sql_of(node: exp.Expr) -> str:
    """`node` as SQL."""
    return node.sql(dialect="sqlite")


def is_key(stored: StoredColumn) -> bool:
    """Whether a column is, or points at, what numbers the rows of a table: by its keys, or by its
    name (seller_id) in files that declare none."""
    name = folded(stored.column.name)
    keys = [column for column in stored.table.columns if column.primary_key]
    if keys == [stored.column] or plain_words(name.replace("_", " "))[-1:] == ["id"]:
        return True
    return any(name in map(folded, key.columns) for key in stored.table.foreign_keys)
