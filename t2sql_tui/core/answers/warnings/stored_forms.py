"""Warnings from the forms of stored numbers and dates against what a candidate does with them."""

from __future__ import annotations

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.warnings.looks import (
    columns_of,
    is_key,
    look,
    profiled_columns,
    sql_of,
)
from t2sql_tui.core.database.profile import ColumnProfile
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.columns import ColumnResolver

_ARITHMETIC = (exp.Sum, exp.Avg, exp.Cast, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Round, exp.Abs)
_ORDER = (exp.Max, exp.Min, exp.Ordered, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


def text_numbers(execution: Execution, context: AnswerContext) -> str:
    """A warning of numbers stored as text that are sorted as text, or of which only the first
    digits are read."""
    for node, stored, profile in profiled_columns(execution, context):
        form, use = profile.numbers, _use_of(node)
        if form is None or not profile.is_text:
            continue
        if isinstance(use, _ARITHMETIC) and not form.read_by_cast:
            return (
                f"{stored.column.name} is stored as text like '{form.example}', of which "
                "arithmetic reads no more than the digits in front."
            )
        if isinstance(use, _ORDER) and (pair := misordered(profile)):
            return f"{stored.column.name} is stored as text: '{pair[1]}' sorts above '{pair[0]}'."
    return ""


def _use_of(node: exp.Column) -> exp.Expr | None:
    """What a column is directly used for."""
    parent = node.parent
    while isinstance(parent, (exp.Distinct, exp.Paren, exp.Neg)):
        parent = parent.parent
    return parent


def misordered(profile: ColumnProfile) -> tuple[str, str] | None:
    """Two stored texts: the greater number, and a smaller one that sorts above it as text."""
    form = profile.numbers
    if form is None:
        return None
    texts = sorted(text for text in profile.common if isinstance(text, str))
    greatest: tuple[float, str] | None = None
    for text in texts:
        number = form.number(text)
        if number is None:
            continue
        if greatest and number < greatest[0]:
            return greatest[1], text
        greatest = number, text
    return None


def added_up_keys(execution: Execution, context: AnswerContext) -> str:
    """A warning of the sum or the mean of numbers that only number rows, or of dates."""
    for node, stored in columns_of(execution, context):
        if not isinstance(_use_of(node), (exp.Sum, exp.Avg)):
            continue
        if is_key(stored):
            return f"It adds up {stored.column.name}, which only numbers rows."
        profile = context.profile(stored.table.name, stored.column.name)
        if profile and profile.dates and profile.dates.sure and profile.dates.name != "year":
            return f"It adds up {stored.column.name}, which holds dates."
    return ""


_DATE_FUNCTIONS = frozenset("date datetime julianday strftime time unixepoch".split())


def unread_dates(execution: Execution, context: AnswerContext) -> str:
    """A warning of a date function that gives nothing for what is stored, of arithmetic on the
    text of dates, and of dates sorted that do not sort as text."""
    for node, stored, profile in profiled_columns(execution, context):
        form, use = profile.dates, _use_of(node)
        if form is None or not profile.is_text or form.name == "year":
            continue
        name = stored.column.name
        if isinstance(use, (exp.Add, exp.Sub)):
            return (
                f"{name} holds dates as text like '{form.example}', of which arithmetic reads the "
                "first number."
            )
        if isinstance(use, _ORDER) and not form.sorts:
            return f"{name} holds dates like '{form.example}', which do not sort as text."
    return _null_dates(execution, context)


def is_date_function(node: exp.Expr) -> bool:
    """Whether `node` is a call of one of SQLite's date functions."""
    return isinstance(node, exp.Func) and _function_name(node) in _DATE_FUNCTIONS


def _null_dates(execution: Execution, context: AnswerContext) -> str:
    if execution.tree is None:
        return ""
    resolver = ColumnResolver(execution.tree, context.schema)
    for node in execution.tree.find_all(exp.Func):
        if not is_date_function(node) or node.find(exp.Select):
            continue
        columns = list(node.find_all(exp.Column))
        found = resolver.resolve(columns[0]) if len(columns) == 1 else None
        if found is None or found.outer or node.find(exp.AggFunc):
            continue
        column = quote_identifier(found.column.name)
        copy = node.copy()
        for inner in copy.find_all(exp.Column):
            inner.set("table", None)
        source = f"(SELECT {column} FROM {quote_identifier(found.table.name)} LIMIT 500)"
        result = look(
            f"SELECT COUNT({sql_of(copy)}), COUNT(*), MIN({column}) FROM {source} "
            f"WHERE {column} <> ''",
            context,
        )
        if result and result.rows[0][0] == 0 and result.rows[0][1]:
            example = result.rows[0][2]
            return f"{sql_of(node)} gives nothing for stored values such as '{example}'."
    return ""


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    return sql_of(node).partition("(")[0].lower()
