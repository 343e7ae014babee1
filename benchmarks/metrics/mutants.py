"""Mutants of a gold SQL: near misses, such as a model writes that has almost understood.

A mutant changes one thing: an aggregate, a comparison, a constant, a column, a direction,
a limit; or drops one: a condition, HAVING, an order, a join, a NOT. DISTINCT is left
alone, for the official verdict drops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sqlglot import exp

from benchmarks.metrics.trees import owner, parsed
from t2sql_tui.core.types import Schema

_INSTEAD: dict[type[exp.Expr], tuple[type[exp.Expr], ...]] = {
    exp.Max: (exp.Min, exp.Avg),
    exp.Min: (exp.Max, exp.Avg),
    exp.Avg: (exp.Sum, exp.Max),
    exp.Sum: (exp.Avg, exp.Max),
    exp.GT: (exp.GTE, exp.LT),
    exp.GTE: (exp.GT, exp.LTE),
    exp.LT: (exp.LTE, exp.GT),
    exp.LTE: (exp.LT, exp.GTE),
    exp.NEQ: (exp.EQ,),
    exp.And: (exp.Or,),
    exp.Or: (exp.And,),
    exp.Intersect: (exp.Union, exp.Except),
    exp.Except: (exp.Intersect, exp.Union),
    exp.Union: (exp.Intersect,),
}
_DROPPED = (exp.Where, exp.Having, exp.Group, exp.Order, exp.Limit, exp.Join)
_COLUMNS = 2  # other columns tried in the place of one


def mutants(gold: str, schema: Schema, random: Random, limit: int = 40) -> list[str]:
    """At most `limit` mutants, drawn from all there are; none if sqlglot cannot read the
    gold. Some do not run: an aggregate without its GROUP BY, a dropped join."""
    tree = parsed(gold)
    if not isinstance(tree, exp.Query):
        return []
    found: dict[str, None] = {}
    for index, node in enumerate(tree.walk()):
        for variant in _variants(node, schema, random):
            found[_mutated(tree, index, variant).sql(dialect="sqlite")] = None
    found.pop(tree.sql(dialect="sqlite"), None)
    return random.sample(list(found), min(limit, len(found)))


def _mutated(tree: exp.Expr, index: int, variant: exp.Expr | None) -> exp.Expr:
    """A copy of `tree` with its node number `index` replaced, or dropped for None."""
    copy = tree.copy()
    target = next(node for i, node in enumerate(copy.walk()) if i == index)
    if variant is None:
        target.pop()
    elif target is copy:
        return variant
    else:
        target.replace(variant)
    return copy


def _variants(node: exp.Expr, schema: Schema, random: Random) -> Iterator[exp.Expr | None]:
    """What may stand in the place of a node; None to drop it."""
    for other in _INSTEAD.get(type(node), ()):
        yield other(**{name: _copied(value) for name, value in node.args.items()})
    if isinstance(node, _DROPPED):
        yield None
    if isinstance(node, (exp.And, exp.Or, exp.SetOperation)):
        yield from (node.left.copy(), node.right.copy())
    elif isinstance(node, exp.Not):
        yield node.this.copy()
    elif isinstance(node, exp.EQ):
        if not isinstance(node.right, exp.Column):
            yield exp.NEQ(this=node.left.copy(), expression=node.right.copy())
    elif isinstance(node, exp.Ordered):
        upwards = bool(node.args.get("desc"))
        # Where SQLite puts NULL anyway, so that no NULLS LAST is written.
        yield exp.Ordered(this=node.this.copy(), desc=not upwards, nulls_first=upwards)
    elif isinstance(node, exp.Join) and not node.side:
        left = node.copy()
        left.set("side", "LEFT")
        yield left
    elif isinstance(node, exp.Literal):
        yield from _other_constants(node)
    elif isinstance(node, exp.Column):
        yield from _other_columns(node, schema, random)


def _copied(value: object) -> object:
    if isinstance(value, exp.Expr):
        return value.copy()
    return [item.copy() for item in value] if isinstance(value, list) else value


def _other_constants(literal: exp.Literal) -> Iterator[exp.Expr]:
    text = literal.name
    if not literal.is_string:
        if text.isdigit():
            yield exp.Literal.number(int(text) + 1)
            yield exp.Literal.number(max(0, int(text) - 1))
    elif "%" in text:
        yield exp.Literal.string(text.lstrip("%"))
        yield exp.Literal.string(text.rstrip("%"))
    elif text.lower() != text:
        yield exp.Literal.string(text.lower())


def _other_columns(column: exp.Column, schema: Schema, random: Random) -> Iterator[exp.Expr]:
    table = schema.table(owner(column, schema) or "")
    if table is None:
        return
    this = next(c for c in table.columns if c.name.lower() == column.name.lower())
    others = [
        other.name
        for other in table.columns
        if other is not this and other.type.lower() == this.type.lower()
    ]
    for name in random.sample(others, min(_COLUMNS, len(others))):
        copy = column.copy()
        copy.set("this", exp.to_identifier(name))
        yield copy
