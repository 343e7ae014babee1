"""Spider's four levels of hardness, counted from the gold SQL alone.

Source: `eval_hardness` in taoyds/test-suite-sql-eval, `evaluation.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from benchmarks.metrics.spider_grammar import (
    Condition,
    Query,
    SpiderSchema,
    connectives,
    parse,
    without_connectives,
)

Hardness = Literal["easy", "medium", "hard", "extra"]
LEVELS: tuple[Hardness, ...] = ("easy", "medium", "hard", "extra")


def hardness(gold: str, schema: SpiderSchema) -> Hardness:
    """The level of hardness of a gold SQL.

    Raises: OutsideGrammar if Spider's grammar cannot read it.
    """
    query = parse(gold, schema)
    clauses, nested, others = _clauses(query), _nested(query), _others(query)
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((others <= 2 and clauses <= 1) or (others < 2 and clauses <= 2)):
        return "medium"
    if nested == 0 and ((others > 2 and clauses <= 2) or (others <= 2 and clauses == 3)):
        return "hard"
    if clauses <= 1 and others == 0 and nested <= 1:
        return "hard"
    return "extra"


def _conditions(query: Query) -> tuple[Condition, ...]:
    return without_connectives(query.join_on + query.where + query.having)


def _clauses(query: Query) -> int:
    """The number of clauses: WHERE, GROUP BY, ORDER BY, LIMIT, each join, each OR, each LIKE."""
    between = connectives(query.join_on + query.where + query.having)
    return (
        bool(query.where)
        + bool(query.group)
        + (query.order is not None)
        + query.limit
        + max(len(query.sources) - 1, 0)
        + between.count("or")
        + sum(condition.operator == "like" for condition in _conditions(query))
    )


def _nested(query: Query) -> int:
    """The number of subqueries in conditions and of second halves of set operations."""
    values: list[object] = [query.intersect, query.except_, query.union]
    for condition in _conditions(query):
        values += [condition.value, condition.second]
    return sum(isinstance(value, Query) for value in values)


def _others(query: Query) -> int:
    """One point each for several aggregates, outputs, entries in WHERE, group columns."""
    order = query.order[1] if query.order else ()
    aggregates = (
        _count(output.aggregate for output in query.outputs)
        # What the official script takes for the aggregate of a condition is its NOT, and
        # in HAVING each AND or OR counts as one too.
        + _count(item.negated for item in without_connectives(query.where))
        + _count(unit.aggregate for unit in query.group)
        + _count(unit.left.aggregate for unit in order)
        + _count(unit.right.aggregate for unit in order if unit.right)
        + _count(item.negated if isinstance(item, Condition) else item for item in query.having)
    )
    return (
        (aggregates > 1)
        + (len(query.outputs) > 1)
        # The list holds the connectives too: "a AND b" has three entries.
        + (len(query.where) > 1)
        + (len(query.group) > 1)
    )


def _count(items: Iterable[object]) -> int:
    return sum(map(bool, items))
