"""Warnings from how a candidate joins its tables."""

from __future__ import annotations

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.joins import repeats_rows, unlinked_joins
from t2sql_tui.core.answers.warnings.looks import sql_of
from t2sql_tui.core.english import name_words
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.tree import from_clause


def cross_product(execution: Execution, context: AnswerContext) -> str:
    """A warning of tables that stand side by side without a condition that links them."""
    if not any(map(_is_cross_product, execution.selects)):
        return ""
    return "It pairs every row of one table with every row of another."


def unused_join(execution: Execution, context: AnswerContext) -> str:
    """A warning of a joined table of which nothing is used and which the question does not name.
    Of a cross product, that is what is said."""
    if cross_product(execution, context):
        return ""
    asked = set(name_words(context.question.text))
    unused = [
        name
        for select in execution.selects
        if not _is_filter(select)
        for name in _unused_tables(select)
        if not asked.issuperset(name_words(name))
    ]
    return f"It joins {unused[0]}, of which it then makes no use." if unused else ""


def unlinked_join(execution: Execution, context: AnswerContext) -> str:
    """A warning of tables that are joined on columns that no key links. (Gold SQL of the held-out
    questions does so twice in 999.)"""
    for select in execution.selects:
        for _, left, right in unlinked_joins(select, context.schema):
            return f"It joins tables on {sql_of(left)} = {sql_of(right)}, which no key links."
    return ""


def fan_out(execution: Execution, context: AnswerContext) -> str:
    """A warning of rows that are added up several times, because a join repeats them."""
    if not any(repeats_rows(select, context) for select in execution.selects):
        return ""
    return "It adds up some rows more than once, because a join repeats them."


def _is_cross_product(select: exp.Select) -> bool:
    # sqlglot writes ON TRUE into a join that has no condition.
    loose = [
        join
        for join in select.args.get("joins") or ()
        if isinstance(join.args.get("on"), (exp.Boolean, type(None)))
        and not (join.args.get("using") or join.method)
    ]
    if not loose:
        return False
    where = select.args.get("where")
    links = [
        condition
        for condition in (where.find_all(exp.EQ) if where else ())
        if isinstance(condition.left, exp.Column) and isinstance(condition.right, exp.Column)
    ]
    return len(links) < len(loose)


def _unused_tables(select: exp.Select) -> list[str]:
    """The tables at the end of a chain of joins that give neither a column nor a condition.
    (They still drop rows without a partner, which few questions mean.)"""
    joins = select.args.get("joins") or []
    source = from_clause(select)
    if not joins or source is None or any(join.side for join in joins):
        return []
    tables = [source.this, *(join.this for join in joins)]
    if not all(isinstance(table, exp.Table) for table in tables):
        return []
    names = {folded(table.alias_or_name): table.name for table in tables}
    used: set[str] = set()
    links = dict.fromkeys(names, 0)
    for node in select.walk():
        if isinstance(node, exp.Star):
            return []  # SELECT *, count(*): every table counts
        if not isinstance(node, exp.Column):
            continue
        name = folded(node.table)
        if not name:
            return []  # nobody here knows whose it is
        join = node.find_ancestor(exp.Join)
        if join is not None and join.parent is select:
            links[name] = links.get(name, 0) + 1
        else:
            used.add(name)
    return [table for name, table in names.items() if name not in used and links[name] < 2]


def _is_filter(select: exp.Select) -> bool:
    """Whether other rows are kept or dropped by the rows of `select`: then a table that is merely
    joined does what was asked ("services that were never used")."""
    child: exp.Expr = select
    parent = select.parent
    if isinstance(parent, exp.Subquery):
        child, parent = parent, parent.parent
    if isinstance(parent, exp.Except):
        return parent.expression is child
    return isinstance(parent, (exp.Intersect, exp.In, exp.Exists))
