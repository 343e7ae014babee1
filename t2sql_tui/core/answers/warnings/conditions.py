"""Warnings from the conditions of a candidate against what the columns hold."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.warnings.looks import is_key, look, profiled_columns, sql_of
from t2sql_tui.core.english import NUMBER_WORDS, split_words
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.columns import ColumnResolver, StoredColumn

_CONDITIONS = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Like,
    exp.Glob,
    exp.In,
    exp.Between,
)


def unmet_condition(execution: Execution, context: AnswerContext) -> str:
    """A warning of a condition on stored values that no row fulfils, wherever it stands: inside
    COUNT, NOT IN, EXCEPT and subqueries, nothing else shows it."""
    for node, stored in _stored_conditions(execution, context):
        if _is_stored(node, stored, context):
            continue
        tested = exp.EQ(this=node.this, expression=node.expression) if _is_unequal(node) else node
        sql = sql_of(tested)
        source = quote_identifier(stored.table.name)
        result = look(
            f"SELECT 1 FROM {source} AS {quote_identifier(stored.source)} WHERE {sql} LIMIT 1",
            context,
        )
        if result and not result.rows:
            return f"No row of {stored.table.name} has {sql}."
    return ""


def _is_stored(node: exp.Expr, stored: StoredColumn, context: AnswerContext) -> bool:
    """Whether the profile of a column shows that it holds the text that it is compared with."""
    if not isinstance(node, (exp.EQ, exp.NEQ)) or not isinstance(node.this, exp.Column):
        return False
    profile = context.profile(stored.table.name, stored.column.name)
    return profile is not None and node.expression.name in profile.common


def _is_unequal(node: exp.Expr) -> bool:
    return isinstance(node, exp.NEQ)


def _stored_conditions(
    execution: Execution, context: AnswerContext
) -> Iterator[tuple[exp.Expr, StoredColumn]]:
    """The conditions that compare columns of one stored table with constants."""
    if execution.tree is None:
        return
    resolver = ColumnResolver(execution.tree, context.schema)
    for node in execution.tree.find_all(*_CONDITIONS):
        if node.find(exp.Select, exp.AggFunc, exp.Window) or not node.find(exp.Literal):
            continue
        stored = [resolver.resolve(column) for column in node.find_all(exp.Column)]
        first = stored[0] if stored else None
        if first and all(s and s.source == first.source and not s.outer for s in stored):
            yield node, first


def zero_count(execution: Execution, context: AnswerContext) -> str:
    """A warning of an answer that is nothing but zero."""
    rows = execution.result.rows if execution.result else ()
    if len(rows) != 1 or execution.tree is None or not execution.tree.find(exp.Count):
        return ""
    return "It counts 0 rows." if set(rows[0]) <= {0, None} and 0 in rows[0] else ""


def missing_form(execution: Execution, context: AnswerContext) -> str:
    """A warning of IS NULL where what is missing is stored as '' or 'N/A', and the reverse."""
    if execution.tree is None:
        return ""
    constants = {literal.name for literal in execution.tree.find_all(exp.Literal)}
    for node, stored, profile in profiled_columns(execution, context):
        parent = node.parent
        name = stored.column.name
        if isinstance(parent, exp.Is) and isinstance(parent.expression, exp.Null):
            texts = [*profile.placeholders, *([""] if profile.empty else [])]
            if texts and profile.nulls == 0 and constants.isdisjoint(texts):
                return f"{name} is never NULL: what is missing is stored as '{texts[0]}'."
        elif isinstance(parent, (exp.EQ, exp.NEQ)) and profile.nulls and not profile.empty:
            other = parent.expression if parent.this is node else parent.this
            if isinstance(other, exp.Literal) and other.is_string and not other.name.strip():
                return f"{name} is never '': what is missing is NULL."
    return ""


def nulls_first(execution: Execution, context: AnswerContext) -> str:
    """A warning of the first rows in ascending order that begin with a missing value."""
    for node, stored, profile in profiled_columns(execution, context):
        ordered = node.parent
        select = ordered.find_ancestor(exp.Select) if isinstance(ordered, exp.Ordered) else None
        if select is None or not isinstance(ordered, exp.Ordered) or ordered.args.get("desc"):
            continue
        if not select.args.get("limit") or select.args.get("group"):
            continue
        if not (profile.nulls or profile.empty) or select.args.get("distinct"):
            continue
        first = select.copy()
        first.set("expressions", [node.copy()])
        result = look(sql_of(first), context)
        if result and result.rows and result.rows[0][0] in (None, ""):
            return f"Where {stored.column.name} is missing comes first in its order."
    return ""


def text_as_key(execution: Execution, context: AnswerContext) -> str:
    """A warning of a text compared with a column that holds numbers alone."""
    for node, stored, profile in profiled_columns(execution, context):
        parent = node.parent
        if not isinstance(parent, (exp.EQ, exp.NEQ, exp.In, exp.Like)) or not profile.classes:
            continue
        if set(profile.classes) - {"integer", "real", "null"} or not profile.distinct:
            continue
        for other in parent.iter_expressions():
            is_text = isinstance(other, exp.Literal) and other.is_string
            if is_text and any(character.isalpha() for character in other.name):
                return f"{stored.column.name} holds numbers: none is '{other.name}'."
    return ""


def unnamed_id(execution: Execution, context: AnswerContext) -> str:
    """A warning of the number of a row that the question does not give."""
    asked = context.question.text + " " + context.question.evidence
    words = {word.plain for word in split_words(asked)}
    numbers = words | {NUMBER_WORDS[word] for word in words & set(NUMBER_WORDS)}
    for node, stored, _ in profiled_columns(execution, context):
        parent = node.parent
        if not isinstance(parent, (exp.EQ, exp.NEQ, exp.In)) or not is_key(stored):
            continue
        for other in parent.iter_expressions():
            if isinstance(other, exp.Literal) and not other.is_string and other.name not in numbers:
                return f"The question names no {stored.column.name} {other.name}."
    return ""


def other_spellings(execution: Execution, context: AnswerContext) -> str:
    """A warning of a value that is stored in further spellings, which the SQL leaves out."""
    if execution.tree is None:
        return ""
    used = {literal.name for literal in execution.tree.find_all(exp.Literal) if literal.is_string}
    for node, stored, profile in profiled_columns(execution, context):
        if not isinstance(node.parent, (exp.EQ, exp.NEQ, exp.In)):
            continue
        literals = [e.name for e in node.parent.iter_expressions() if isinstance(e, exp.Literal)]
        for group in profile.spellings:
            left_out = [text for text in group if text not in used]
            if left_out and any(literal in group for literal in literals):
                return f"{stored.column.name} is also spelled '{left_out[0]}'."
    return ""
