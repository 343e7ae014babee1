"""What suggests that a SQL is wrong: in the rows that it gives, and in how it joins tables.

To add a warning: one function, one entry in WARNINGS, and a row in the table of what each is
worth. Every one is also a feature of the confidence ("warning NAME"), so the confidence is to
be fitted anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.joins import repeats_rows, unlinked_joins
from t2sql_tui.core.english import name_words
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.tree import from_clause


@dataclass(frozen=True, slots=True)
class WarningRule:
    """`cost` is in units of log-probability: a reading with the warning must be exp(cost) times
    likelier to be preferred. `sentence` tells a person; `applies` finds it in an execution."""

    name: str
    cost: float
    sentence: str
    applies: Callable[[Execution, AnswerContext], bool]


def find_warnings(execution: Execution, context: AnswerContext) -> tuple[str, ...]:
    """The names of the warnings that apply to a candidate that was run, in the table's order."""
    return tuple(rule.name for rule in WARNINGS.values() if rule.applies(execution, context))


# --- in the rows ------------------------------------------------------------------------


def _fails(execution: Execution, context: AnswerContext) -> bool:
    return execution.failure == "error"


def _times_out(execution: Execution, context: AnswerContext) -> bool:
    return execution.failure == "timeout"


def _is_empty(execution: Execution, context: AnswerContext) -> bool:
    return execution.result is not None and not execution.result.rows


def _is_all_null(execution: Execution, context: AnswerContext) -> bool:
    rows = execution.result.rows if execution.result else ()
    return bool(rows) and all(value is None for row in rows for value in row)


# --- in how tables are joined -------------------------------------------------------------


def _has_cross_product(execution: Execution, context: AnswerContext) -> bool:
    """Whether tables stand side by side without a condition that links them."""
    return any(map(_is_cross_product, execution.selects))


def _has_unused_join(execution: Execution, context: AnswerContext) -> bool:
    """Whether a table is joined of which nothing is used and which the question does not name.
    Of a cross product, that is what is said."""
    if _has_cross_product(execution, context):
        return False
    asked = set(name_words(context.question.text))
    return any(
        not asked.issuperset(name_words(name))
        for select in execution.selects
        if not _is_filter(select)
        for name in _unused_tables(select)
    )


def _has_unlinked_join(execution: Execution, context: AnswerContext) -> bool:
    """Whether tables are joined on columns that no key links. (Gold SQL of the held-out
    questions does so twice in 999.)"""
    return any(
        next(unlinked_joins(select, context.schema), None) is not None
        for select in execution.selects
    )


def _has_fan_out(execution: Execution, context: AnswerContext) -> bool:
    """Whether some rows are added up several times, because a join repeats them."""
    return any(repeats_rows(select, context) for select in execution.selects)


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


# --- the table ----------------------------------------------------------------------------

#: In the order in which they are found and told. The costs were chosen on spider-train-holdout.
WARNINGS: dict[str, WarningRule] = {
    rule.name: rule
    for rule in (
        WarningRule("error", 100.0, "It fails when it runs.", _fails),
        WarningRule(
            "timeout", 4.0, "It did not finish in the short time given to compare.", _times_out
        ),
        WarningRule("empty", 3.0, "It finds no rows.", _is_empty),
        WarningRule("all-null", 2.0, "It finds nothing but empty values (NULL).", _is_all_null),
        WarningRule(
            "cross-product",
            2.0,
            "It pairs every row of one table with every row of another.",
            _has_cross_product,
        ),
        WarningRule(
            "unused-join",
            1.5,
            "It joins a table that it then makes no use of.",
            _has_unused_join,
        ),
        WarningRule(
            "unlinked-join",
            1.5,
            "It joins tables on columns that no key links.",
            _has_unlinked_join,
        ),
        WarningRule(
            "fan-out",
            1.0,
            "It adds up some rows more than once, because a join repeats them.",
            _has_fan_out,
        ),
    )
}
