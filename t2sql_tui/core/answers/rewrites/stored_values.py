"""Texts that nothing stored equals, rewritten to the nearest stored value: 'NYC' to
'New York City'."""

from __future__ import annotations

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.rewrites.types import Rewrite
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import Candidate, CheckedQuery


def rewrite_texts(candidate: Candidate, context: AnswerContext) -> Rewrite | None:
    """The SQL with the nearest stored value in place of each text that is compared with a column
    which does not hold it. None where there is none."""
    query = candidate.verdict
    if not isinstance(query, CheckedQuery) or query.tree is None:
        return None
    tree = query.tree.copy()
    replaced: list[tuple[str, str]] = []
    tables = {folded(table.alias_or_name): folded(table.name) for table in tree.find_all(exp.Table)}
    for node in list(tree.find_all(exp.EQ)):
        column, text = node.left, node.right
        if not (isinstance(column, exp.Column) and isinstance(text, exp.Literal)):
            continue
        if not text.is_string:
            continue
        values = [
            match.value
            for match in find_values(context.database, text.this)
            if folded(match.column) == folded(column.name)
            and (
                tables.get(folded(column.table)) == folded(match.table)
                if column.table
                else folded(match.table) in tables.values()
            )
        ]
        if values and text.this not in values:
            replaced.append((text.this, values[0]))
            text.replace(exp.Literal.string(values[0]))
    if not replaced:
        return None
    return Rewrite(tree.sql(dialect="sqlite"), replaced=tuple(replaced))
