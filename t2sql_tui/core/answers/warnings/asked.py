"""Warnings from what the question asks for and a candidate does not do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.coverage import EXACT_SCORE
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.warnings.looks import columns_of, look, profiled_columns, sql_of
from t2sql_tui.core.answers.warnings.stored_forms import is_date_function
from t2sql_tui.core.english import (
    MIDDLE_VALUES,
    RELATIVE_TIMES,
    SHARE_NAME_WORDS,
    SHARES,
    UNITS,
    name_words,
    plain_words,
)
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.types import ValueMatch


def unused_value(execution: Execution, context: AnswerContext) -> str:
    """A warning of a stored value that the question names and that no constant of the SQL
    holds. A word in lower case may be no name: it counts where the column holds few values."""
    if execution.tree is None:
        return ""
    constants = [literal.name.casefold() for literal in execution.tree.find_all(exp.Literal)]
    # SQLite takes "Japan" for a text where no column is called so.
    constants += [
        name.name.casefold() for name in execution.tree.find_all(exp.Identifier) if name.quoted
    ]
    for match in context.values:
        value = match.value.casefold()
        if match.score < EXACT_SCORE or any(value in constant for constant in constants):
            continue
        is_name = match.value in context.question.text and not match.value.islower()
        if is_name and match.value.istitle() and context.question.text.startswith(match.value):
            is_name = False  # every question begins with a capital
        if is_name or _is_category(match, context):
            return f"It does not use '{match.value}', which {match.table}.{match.column} holds."
    return ""


_CATEGORIES = 50  # different values, at most


def _is_category(match: ValueMatch, context: AnswerContext) -> bool:
    """Whether the column of a value holds few different ones."""
    profile = context.profile(match.table, match.column)
    return profile is not None and profile.distinct <= _CATEGORIES


def relative_time(execution: Execution, context: AnswerContext) -> str:
    """A warning of "last month" without today's date, a date, or the last stored one."""
    asked = RELATIVE_TIMES.search(context.question.text)
    if asked is None or execution.tree is None:
        return ""
    sql = sql_of(execution.tree)
    if re.search(r"'now'|current_|\bmax\(|\border by\b|'\d{4}-\d\d|\b(19|20)\d\d\b", sql, re.I):
        return ""
    return f'It has no date for "{asked.group().lower()}".'


def tie_at_cut(execution: Execution, context: AnswerContext) -> str:
    """A warning of rows left out by LIMIT that are equal to the last one shown."""
    tree = execution.tree
    if not isinstance(tree, exp.Select) or tree.args.get("offset") or tree.args.get("distinct"):
        return ""
    limit, order = tree.args.get("limit"), tree.args.get("order")
    if not isinstance(limit, exp.Limit) or not isinstance(order, exp.Order):
        return ""
    if not isinstance(limit.expression, exp.Literal) or not limit.expression.name.isdigit():
        return ""
    keys = [ordered.this for ordered in order.expressions]
    aliases = {folded(node.alias): node.this for node in tree.expressions if node.alias}
    if any(isinstance(key, exp.Literal) for key in keys):
        return ""
    shown = [
        aliases.get(folded(key.name), key) if isinstance(key, exp.Column) else key for key in keys
    ]
    cut = tree.copy()
    cut.set("expressions", [node.copy() for node in shown])
    cut.set(
        "order",
        exp.Order(
            expressions=[
                exp.Ordered(this=key.copy(), desc=ordered.args.get("desc"))
                for key, ordered in zip(shown, order.expressions, strict=True)
            ]
        ),
    )
    count = int(limit.expression.name)
    cut = cut.limit(2).offset(max(count - 1, 0))
    result = look(sql_of(cut), context)
    if result is None or len(result.rows) < 2 or result.rows[0] != result.rows[1]:
        return ""
    return f"The row behind the last one shown is equal to it in {sql_of(keys[0])}."


def integer_division(execution: Execution, context: AnswerContext) -> str:
    """A warning of a division of whole numbers, which drops the fraction."""
    if execution.tree is None:
        return ""
    whole = {
        id(node)
        for node, _, profile in profiled_columns(execution, context)
        if not set(profile.classes) - {"integer", "null"} and profile.affinity != "REAL"
    }
    for division in execution.tree.find_all(exp.Div):
        if any(is_date_function(around) for around in _ancestors(division)):
            continue  # a unit of time that becomes whole seconds
        if _is_whole(division.this, whole) and _is_whole(division.expression, whole):
            return f"{sql_of(division)} divides whole numbers: the fraction is dropped."
    return ""


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    while node.parent is not None:
        node = node.parent
        yield node


def _is_whole(node: exp.Expr, columns: set[int]) -> bool:
    """Whether an expression gives integers alone."""
    if isinstance(node, exp.Literal):
        return not node.is_string and node.name.isdigit()
    if isinstance(node, exp.Column):
        return id(node) in columns
    if isinstance(node, exp.Count):
        return True
    if isinstance(node, (exp.Paren, exp.Sum, exp.Max, exp.Min, exp.Distinct, exp.Abs)):
        inner = node.this if node.this is not None else node.expressions[0]
        return _is_whole(inner, columns)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        return _is_whole(node.this, columns) and _is_whole(node.expression, columns)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
        return all(_is_whole(e, columns) for e in node.this.expressions)
    return False


def no_share(execution: Execution, context: AnswerContext) -> str:
    """A warning of a ratio or a percentage that was asked for and no division."""
    asked = SHARES.search(context.question.text)
    if asked is None or execution.tree is None or execution.tree.find(exp.Div, exp.Avg):
        return ""
    for node, _ in columns_of(execution, context):
        if not SHARE_NAME_WORDS.isdisjoint(name_words(node.name)):
            return ""
    return f'It divides nothing, though the question says "{asked.group().lower()}".'


def mean_for_median(execution: Execution, context: AnswerContext) -> str:
    """A warning of the mean where the median or a percentile was asked for."""
    asked = MIDDLE_VALUES.search(context.question.text)
    if asked is None or execution.tree is None:
        return ""
    if execution.tree.find(exp.Limit, exp.Window):
        return ""
    return f"It does not compute the {asked.group().lower()}."


def other_unit(execution: Execution, context: AnswerContext) -> str:
    """A warning of a column in another unit than the question's, which nothing converts."""
    if execution.tree is None or execution.tree.find(exp.Div, exp.Mul):
        return ""
    asked = set(plain_words(context.question.text))
    for node, _ in columns_of(execution, context):
        name = set(plain_words(node.name.replace("_", " ")))
        for dimension in UNITS:
            for stored in dimension:
                wanted = [u for u in dimension if u is not stored and u & asked]
                if stored & name and wanted and not stored & asked:
                    return f"{node.name} is not in {sorted(wanted[0] & asked)[0]}s, as was asked."
    return ""


def dropped_filter(execution: Execution, context: AnswerContext) -> str:
    """A warning of a stored text that the question before was restricted to and that a follow-up
    has no condition for."""
    if execution.tree is None or not context.question.history:
        return ""
    before = re.findall(r"'((?:[^']|'')*)'", context.question.history[-1].sql)
    sql = sql_of(execution.tree)
    left_out = [text for text in before if f"'{text}'" not in sql]
    if not left_out:
        return ""
    return f"It no longer has '{left_out[0]}', which the question before was about."
