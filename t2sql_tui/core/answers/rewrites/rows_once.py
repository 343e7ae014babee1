"""SQL that adds up rows which a join repeats, rewritten to take each row once: nobody but the
person knows which is meant."""

from __future__ import annotations

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.joins import (
    SOURCE_PARTS,
    added_up,
    copy_source,
    joined_tables,
    owner_of,
)
from t2sql_tui.core.answers.rewrites.types import Rewrite
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.types import Candidate, CheckedQuery, Schema, Table


def rewrite_repeated_rows(candidate: Candidate, context: AnswerContext) -> Rewrite | None:
    """The SQL where each row of the table that is added up counts once, the joins being no more
    than a filter. None where other tables are shown or grouped by."""
    query = candidate.verdict
    tree = query.tree if isinstance(query, CheckedQuery) else None
    if not isinstance(tree, exp.Select):
        return None
    added = _only_table_used(tree, context.schema)
    if added is None:
        return None
    node, table = added
    keys = [c.name for c in table.columns if c.primary_key]
    names = keys[0] if len(keys) == 1 else "rowid", node.alias_or_name
    key = exp.column(*(exp.to_identifier(n, quoted=quote_identifier(n) != n) for n in names))
    inner, outer = exp.select(key.copy()), tree.copy()
    copy_source(tree, inner)
    for part in SOURCE_PARTS:
        outer.set(part, None)
    outer = outer.from_(node.copy()).where(key.isin(inner))
    sentence = f"Each row of {table.name} counts once, whatever it is joined with."
    return Rewrite(outer.sql(dialect="sqlite"), (sentence,))


def _only_table_used(tree: exp.Select, schema: Schema) -> tuple[exp.Table, Table] | None:
    """The one table of FROM whose columns are added up, where nothing else is shown, grouped or
    sorted by."""
    if any(tree.args.get(part) for part in ("with_", "with", "distinct")) or tree.find(exp.Star):
        return None
    tables = joined_tables(tree, schema)
    aliases = {shown.alias for shown in tree.expressions}
    used = {owner_of(column, tables) for e in tree.expressions for column in e.find_all(exp.Column)}
    for part in filter(None, map(tree.args.get, ("group", "having", "order"))):
        columns = (c for c in part.find_all(exp.Column) if c.table or c.name not in aliases)
        used |= {owner_of(column, tables) for column in columns}
    added = {owner_of(expression, tables) for expression in added_up(tree)}
    if used != added or len(added) != 1 or "" in added:
        return None
    return tables[added.pop()]
