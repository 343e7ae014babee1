"""Warnings from the rows that a candidate gives."""

from __future__ import annotations

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution


def fails(execution: Execution, context: AnswerContext) -> str:
    """A warning of SQL that SQLite rejects or gives up."""
    return "It fails when it runs." if execution.failure == "error" else ""


def times_out(execution: Execution, context: AnswerContext) -> str:
    """A warning of SQL that was stopped."""
    if execution.failure != "timeout":
        return ""
    return "It did not finish in the short time given to compare."


def is_empty(execution: Execution, context: AnswerContext) -> str:
    """A warning of no rows."""
    found = execution.result is not None and not execution.result.rows
    return "It finds no rows." if found else ""


def is_all_null(execution: Execution, context: AnswerContext) -> str:
    """A warning of rows in which nothing stands."""
    rows = execution.result.rows if execution.result else ()
    if not rows or any(value is not None for row in rows for value in row):
        return ""
    return "It finds nothing but empty values (NULL)."
