"""Exact set match by Spider's rules: the same clauses, as sets, whatever the values.

Source: `evaluation.py` in taoyds/test-suite-sql-eval (Yu et al. 2018, section 5). Values
and DISTINCT do not count, columns tied by a foreign key are one, LIMIT is there or not,
and a prediction outside Spider's grammar (see spider_grammar.py) scores 0. What the
official script forgets is forgotten here too: join conditions are not compared, and
inside a subquery of WHERE or FROM DISTINCT and the choice of a key column do count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from benchmarks.metrics.official import prediction_text
from benchmarks.metrics.spider_grammar import (
    ColumnUnit,
    Condition,
    Conditions,
    Output,
    OutsideGrammar,
    Query,
    SpiderSchema,
    ValueUnit,
    connectives,
    parse,
    without_connectives,
)

COMPONENTS = (
    "select",
    "select(no AGG)",
    "where",
    "where(no OP)",
    "group(no Having)",
    "group",
    "order",
    "and/or",
    "IUEN",
    "keywords",
)

_NOTHING = Query(sources=(), join_on=(), distinct=False, outputs=())


class Component(NamedTuple):
    """One clause: is it as in the gold, and how many parts has it in either query?"""

    right: bool
    predicted: int
    gold: int


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """`components` has a Component for each of COMPONENTS. `in_grammar` tells a prediction
    that Spider's grammar can read from one that scores 0 for its form."""

    exact: bool
    components: Mapping[str, Component]
    in_grammar: bool = True


def score(gold: str, predicted: str, schema: SpiderSchema) -> ExactMatch:
    """Compare one prediction with its gold.

    Raises: OutsideGrammar if the gold is; a suite with such golds has no exact match.
    """
    gold_query = _normalised(parse(gold, schema), schema)
    try:
        query = parse(prediction_text(gold, predicted), schema)
    except OutsideGrammar:
        return ExactMatch(False, _compare(_NOTHING, gold_query), in_grammar=False)
    query = _normalised(query, schema)
    return ExactMatch(_equal(query, gold_query), _compare(query, gold_query))


class PartialScore(NamedTuple):
    """Means over the predictions (`accuracy`) and golds (`recall`) that have the clause."""

    accuracy: float
    recall: float
    f1: float


def partial_scores(matches: Iterable[ExactMatch]) -> dict[str, PartialScore]:
    """The official table of partial matches. Where neither side ever has the clause, all
    three are 0; the official script prints an F1 of 1 there, and wherever both are 0."""
    matches = list(matches)
    scores = {}
    for name in COMPONENTS:
        parts = [match.components[name] for match in matches]
        accuracy = _mean(part.right for part in parts if part.predicted)
        recall = _mean(part.right for part in parts if part.gold)
        total = accuracy + recall
        scores[name] = PartialScore(
            accuracy, recall, 2 * accuracy * recall / total if total else 0.0
        )
    return scores


def _mean(values: Iterable[bool]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0


# --- comparing --------------------------------------------------------------------


def _equal(query: Query, gold: Query) -> bool:
    return all(part.right for part in _compare(query, gold).values()) and Counter(
        query.sources
    ) == Counter(gold.sources)


def _compare(query: Query, gold: Query) -> dict[str, Component]:
    """Each clause on its own; the names are the official ones."""
    where, gold_where = without_connectives(query.where), without_connectives(gold.where)
    group = [unit.column.rpartition(".")[2] for unit in query.group]
    gold_group = [unit.column.rpartition(".")[2] for unit in gold.group]
    return {
        "select": _bags(query.outputs, gold.outputs),
        "select(no AGG)": _bags(
            (output.unit for output in query.outputs), (output.unit for output in gold.outputs)
        ),
        "where": _bags(where, gold_where),
        "where(no OP)": _bags(
            (condition.left for condition in where), (condition.left for condition in gold_where)
        ),
        # Names of group columns are compared without their table.
        "group(no Having)": _bags(group, gold_group),
        "group": _presence(
            bool(query.group),
            bool(gold.group),
            [unit.column for unit in query.group] == [unit.column for unit in gold.group]
            and query.having == gold.having,
        ),
        "order": _presence(
            query.order is not None,
            gold.order is not None,
            query.order == gold.order and query.limit == gold.limit,
        ),
        "and/or": _same_connectives(set(connectives(query.where)), set(connectives(gold.where))),
        "IUEN": _set_operations(query, gold),
        "keywords": _bags(_keywords(query), _keywords(gold)),
    }


def _bags(predicted: Iterable[object], gold: Iterable[object]) -> Component:
    predicted, gold = Counter(predicted), Counter(gold)
    return Component(predicted == gold, predicted.total(), gold.total())


def _presence(predicted: bool, gold: bool, same: bool) -> Component:
    return Component(predicted == gold and (same or not gold), int(predicted), int(gold))


def _same_connectives(predicted: set[str], gold: set[str]) -> Component:
    if predicted == gold:
        return Component(True, 1, 1)
    # The official script hands the two counts back in the other order.
    return Component(False, len(gold), len(predicted))


def _set_operations(query: Query, gold: Query) -> Component:
    pairs = [
        (query.intersect, gold.intersect),
        (query.except_, gold.except_),
        (query.union, gold.union),
    ]
    predicted = sum(ours is not None for ours, _ in pairs)
    wanted = sum(theirs is not None for _, theirs in pairs)
    same = sum(
        ours is not None and theirs is not None and _equal(ours, theirs) for ours, theirs in pairs
    )
    return Component(predicted == wanted == same, predicted, wanted)


def _keywords(query: Query) -> set[str]:
    everywhere = query.join_on + query.where + query.having
    conditions = without_connectives(everywhere)
    present = {
        "where": query.where,
        "group": query.group,
        "having": query.having,
        "order": query.order,
        "limit": query.limit,
        "except": query.except_,
        "union": query.union,
        "intersect": query.intersect,
        "or": "or" in connectives(everywhere),
        "not": any(condition.negated for condition in conditions),
        "in": any(condition.operator == "in" for condition in conditions),
        "like": any(condition.operator == "like" for condition in conditions),
    }
    words = {word for word, there in present.items() if there}
    if query.order is not None:
        words.add(query.order[0])
    return words


# --- what does not count ----------------------------------------------------------


def _normalised(query: Query, schema: SpiderSchema) -> Query:
    # Only columns of tables that the outer FROM names are replaced, even in the second
    # half of a set operation.
    visible = {
        f"{source}.{column}"
        for source in query.sources
        if isinstance(source, str)
        for column in schema.columns[source]
    }
    keys = {column: key for column, key in schema.shared_keys.items() if column in visible}
    return _with_shared_keys(_without_values(query), keys)


def _without_values(query: Query) -> Query:
    """Values become None; queries in their place stay, without their values."""

    def strip(conditions: Conditions) -> Conditions:
        return tuple(
            item._replace(value=subquery(item.value), second=subquery(item.second))
            if isinstance(item, Condition)
            else item
            for item in conditions
        )

    def subquery(value: object) -> Query | None:
        return _without_values(value) if isinstance(value, Query) else None

    return replace(
        query,
        join_on=strip(query.join_on),
        where=strip(query.where),
        having=strip(query.having),
        intersect=subquery(query.intersect),
        union=subquery(query.union),
        except_=subquery(query.except_),
    )


def _with_shared_keys(query: Query, keys: Mapping[str, str]) -> Query:
    """Columns by the representative of their foreign keys, and no DISTINCT.

    Subqueries in conditions and in FROM are left as they are; set operations are not.
    """

    def column(unit: ColumnUnit) -> ColumnUnit:
        return ColumnUnit(unit.aggregate, keys.get(unit.column, unit.column))

    def value(unit: ValueUnit) -> ValueUnit:
        return ValueUnit(unit.operator, column(unit.left), unit.right and column(unit.right))

    def conditions(items: Conditions) -> Conditions:
        return tuple(
            item._replace(left=value(item.left)) if isinstance(item, Condition) else item
            for item in items
        )

    def half(query: Query | None) -> Query | None:
        return query and _with_shared_keys(query, keys)

    return replace(
        query,
        distinct=False,
        outputs=tuple(Output(output.aggregate, value(output.unit)) for output in query.outputs),
        join_on=conditions(query.join_on),
        where=conditions(query.where),
        group=tuple(column(unit) for unit in query.group),
        having=conditions(query.having),
        order=query.order and (query.order[0], tuple(value(unit) for unit in query.order[1])),
        intersect=half(query.intersect),
        union=half(query.union),
        except_=half(query.except_),
    )
