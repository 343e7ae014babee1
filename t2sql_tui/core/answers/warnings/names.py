"""Warnings from the columns that a candidate names: from around a subquery, and keys shown."""

from __future__ import annotations

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.warnings.looks import columns_of, is_key
from t2sql_tui.core.english import KEY_WORDS, plain_words
from t2sql_tui.core.sql.columns import ColumnResolver


def outer_column(execution: Execution, context: AnswerContext) -> str:
    """A warning of a column that a subquery names alone and only a SELECT around it has."""
    for node, stored in columns_of(execution, context):
        if stored.outer and not node.table:
            return f"No table of the subquery has {node.name}: it is that of {stored.table.name}."
    return ""


def key_shown(execution: Execution, context: AnswerContext) -> str:
    """A warning of the key to another table in the result where nobody asked for a key and that
    table has a name to show."""
    tree = execution.tree
    if not isinstance(tree, exp.Select):
        return ""
    asked = set(plain_words(context.question.text))
    if not asked.isdisjoint(KEY_WORDS):
        return ""
    resolver = ColumnResolver(tree, context.schema)
    shown = []
    for node in tree.expressions:
        column = node.this if isinstance(node, exp.Alias) else node
        if not isinstance(column, exp.Column):
            continue  # what is computed may be asked for beside a name
        stored = resolver.resolve(column)
        if stored is None or not is_key(stored):
            return ""
        shown.append(stored)
    for stored in shown:
        if asked.issuperset(plain_words(stored.column.name.replace("_", " "))):
            continue
        profile = context.profile(stored.table.name, stored.column.name)
        if profile and set(profile.classes) <= {"integer", "null"}:
            return f"It shows {stored.column.name}, a number that stands for something else."
    return ""
