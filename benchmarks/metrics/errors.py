"""The kind of mistake in a wrong prediction.

Both queries are parsed, their columns resolved to `table.column`, and their parts
compared; the first part that differs, from the FROM clause outwards, names the mistake.
A sorting for reading, not a proof: a query may be wrong in more than one way, and two
different parts may mean the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from benchmarks.metrics.execution import ExecutionVerdict
from benchmarks.metrics.trees import comparisons, joined_pairs, parsed, resolve_columns
from t2sql_tui.core.types import Schema

Mistake = Literal[
    "syntax",
    "unknown table",
    "unknown column",
    "missing join",
    "wrong join path",
    "wrong aggregation",
    "wrong filter value",
    "wrong filter column",
    "missing or extra DISTINCT, ORDER or LIMIT",
    "wrong column set",
    "time-out",
    "other",
]

_OF_PROBLEM: Mapping[str, Mistake] = {
    "empty": "syntax",
    "syntax": "syntax",
    "not-a-select": "syntax",
    "several-statements": "syntax",
    "unknown-table": "unknown table",
    "unknown-column": "unknown column",
    # A name that could be two columns is not the name of one.
    "ambiguous": "unknown column",
    # The rest parses ("wrong number of arguments to function avg()"): the trees tell more.
}


def classify(gold: str, predicted: str, verdict: ExecutionVerdict, schema: Schema) -> Mistake:
    """The mistake in a prediction that `verdict` found wrong. Never raises."""
    if verdict.timed_out:
        return "time-out"
    if verdict.problem in _OF_PROBLEM:
        return _OF_PROBLEM[verdict.problem]
    wanted, got = parsed(gold), parsed(predicted)
    if not isinstance(wanted, exp.Query) or not isinstance(got, exp.Query):
        return "other"
    return _first_difference(_parts(wanted, schema), _parts(got, schema))


def _first_difference(gold: _Parts, predicted: _Parts) -> Mistake:
    tables, wanted = set(predicted.tables), set(gold.tables)
    if tables < wanted:
        return "missing join"
    if tables != wanted or gold.joins != predicted.joins:
        return "wrong join path"
    if gold.aggregates != predicted.aggregates:
        return "wrong aggregation"
    if {column for column, *_ in gold.filters} != {column for column, *_ in predicted.filters}:
        return "wrong filter column"
    if gold.filters != predicted.filters:
        return "wrong filter value"
    # An order where the gold has none is no mistake.
    if gold.limits != predicted.limits or (gold.order and gold.order != predicted.order):
        return "missing or extra DISTINCT, ORDER or LIMIT"
    if gold.outputs != predicted.outputs:
        return "wrong column set"
    if gold.groups != predicted.groups or gold.arguments != predicted.arguments:
        return "wrong aggregation"
    if gold.distinct != predicted.distinct:
        return "missing or extra DISTINCT, ORDER or LIMIT"
    if gold.tables != predicted.tables:
        return "wrong join path"
    return "other"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a query is made of, subqueries included; columns as "table.column".

    Columns that the query itself joins are one, except in `joins`. `filters` are (column,
    operator, values). `aggregates` are names, `arguments` whole calls, outside ORDER BY.
    """

    tables: Counter[str]
    joins: frozenset[frozenset[str]]
    aggregates: Counter[str]
    arguments: Counter[str]
    filters: frozenset[tuple[str, str, str]]
    groups: frozenset[str]
    outputs: Counter[str]
    order: tuple[str, ...]
    limits: Counter[str]
    distinct: int


def _parts(tree: exp.Query, schema: Schema) -> _Parts:
    """The parts of a query, the columns of which are renamed in `tree`."""
    ctes = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    tables = Counter(
        table.name.lower() for table in tree.find_all(exp.Table) if table.name.lower() not in ctes
    )
    resolve_columns(tree, schema)
    joins = frozenset(joined_pairs(tree))
    same = _joined_columns(joins)
    for column in tree.find_all(exp.Column):
        if column.name in same:
            column.replace(exp.column(same[column.name]))
    calls = [call for call in tree.find_all(exp.AggFunc) if call.find_ancestor(exp.Order) is None]
    outermost = tree
    while isinstance(outermost, (exp.SetOperation, exp.Subquery)):
        outermost = outermost.this
    return _Parts(
        tables=tables,
        joins=joins,
        aggregates=Counter(call.key for call in calls),
        arguments=Counter(_text(call) for call in calls),
        filters=frozenset(_filters(tree)),
        groups=frozenset(
            _text(item) for group in tree.find_all(exp.Group) for item in group.expressions
        ),
        outputs=Counter(_text(item.unalias()) for item in outermost.selects),
        order=tuple(_text(order) for order in tree.find_all(exp.Order)),
        limits=Counter(_text(limit) for limit in tree.find_all(exp.Limit)),
        distinct=sum(1 for _ in tree.find_all(exp.Distinct)),
    )


def _text(node: exp.Expr) -> str:
    """The SQL of a node without DISTINCT, which is compared apart."""
    copy = node.copy()
    for distinct in list(copy.find_all(exp.Distinct)):
        if distinct.expressions:
            distinct.replace(distinct.expressions[0])
    return copy.sql(dialect="sqlite").lower()


def _joined_columns(joins: frozenset[frozenset[str]]) -> dict[str, str]:
    """One name for all the columns that a chain of joins sets equal."""
    groups: list[frozenset[str]] = []
    for pair in joins:
        touching = [group for group in groups if group & pair]
        groups = [group for group in groups if group not in touching]
        groups.append(pair.union(*touching))
    return {column: min(group) for group in groups for column in group}


def _filters(tree: exp.Expr) -> Iterator[tuple[str, str, str]]:
    """(column, operator, values) of the conditions that compare with constants, or with a
    subquery, whose own text does not count here."""
    for node, this, values in comparisons(tree):
        constants = [_constant(value) for value in values]
        if None not in constants:
            negated = "not " if isinstance(node.parent, exp.Not) else ""
            yield _text(this), negated + node.key, ", ".join(map(str, constants))


def _constant(value: exp.Expr) -> str | None:
    if value.find(exp.Query):
        return "(SELECT)"
    if isinstance(value, exp.Literal):
        return value.name  # '2014' is 2014 beside a column of numbers
    return None if value.find(exp.Column) else value.sql(dialect="sqlite")
