"""Features of a gold SQL, to report accuracy slice by slice."""

from __future__ import annotations

from typing import TypedDict

from sqlglot import exp

from benchmarks.metrics.trees import parsed


class Features(TypedDict):
    """The features of a gold SQL.

    `tables` counts mentions of stored tables, so a self-join is two. `nesting` is
    how deep SELECTs lie in one another (0: none). `readable` is False where sqlglot
    cannot parse the SQL; the rest is then 0 and False."""

    tables: int
    aggregation: bool
    nesting: int
    set_operation: bool
    readable: bool


def features(gold: str) -> Features:
    """The features of a gold SQL. Never raises, whatever the text."""
    if (tree := parsed(gold)) is None:
        return Features(tables=0, aggregation=False, nesting=0, set_operation=False, readable=False)
    defined = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    return Features(
        tables=sum(table.name.lower() not in defined for table in tree.find_all(exp.Table)),
        aggregation=tree.find(exp.AggFunc) is not None,
        nesting=_nesting(tree),
        set_operation=tree.find(exp.SetOperation) is not None,
        readable=True,
    )


def _nesting(tree: exp.Expr) -> int:
    """The halves of a set operation are no deeper than the whole."""
    return max(map(_depth, tree.find_all(exp.Select)), default=0)


def _depth(select: exp.Select) -> int:
    depth = 0
    outer = select.find_ancestor(exp.Select)
    while outer is not None:
        depth += 1
        outer = outer.find_ancestor(exp.Select)
    return depth
