"""What a query reads and does, in plain English, without asking a model.

The steps come from sqlglot's tree; the tables, columns and plan from SQLite itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from t2sql_tui.core.types import CheckedQuery

if TYPE_CHECKING:
    from t2sql_tui.core.database import Database


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the query does; `parts` are the steps of a query inside it."""

    text: str
    parts: tuple[Step, ...] = field(default=())

    def lines(self, depth: int = 0) -> Iterable[tuple[int, str]]:
        """(depth, text) of this step and all below it, in order."""
        yield depth, self.text
        for part in self.parts:
            yield from part.lines(depth + 1)


def explain(sql: str) -> tuple[Step, ...]:
    """The steps of one SELECT, in the order in which to think of them.

    What this has no words for is quoted as SQL, so nothing is left out. SQL that sqlglot
    cannot parse gives no steps.
    """
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except SqlglotError:
        return ()
    return tuple(_query(tree)) if isinstance(tree, exp.Query) else ()


def columns_read(query: CheckedQuery, database: Database) -> dict[str, tuple[str, ...]]:
    """Each stored table that the query would read, with the columns read of it.

    As SQLite reports them to its authorizer while it compiles the query; so a view gives
    the tables behind it, and `count(*)` a table without columns. Nothing runs.
    Raises: DatabaseError.
    """
    found: dict[str, dict[str, None]] = {}

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table and not table.startswith("sqlite_"):
            found.setdefault(table, {}).update({column: None} if column else {})
        return sqlite3.SQLITE_OK

    with database.reading() as connection:
        connection.set_authorizer(note)
        connection.execute(f"EXPLAIN {query.sql}").close()
    views = {table.name for table in database.schema.tables if table.kind == "view"}
    return {table: tuple(columns) for table, columns in found.items() if table not in views}


def query_plan(query: CheckedQuery, database: Database) -> tuple[tuple[int, str], ...]:
    """SQLite's plan (https://sqlite.org/eqp.html): (depth, what is done), in order.

    Nothing runs. Raises: DatabaseError.
    """
    depths = {0: -1}
    lines = []
    with database.reading() as connection:
        for number, parent, _, detail in connection.execute(f"EXPLAIN QUERY PLAN {query.sql}"):
            depths[number] = depths.get(parent, -1) + 1
            lines.append((depths[number], detail))
    return tuple(lines)


# --- queries ----------------------------------------------------------------------


def _query(query: exp.Expression) -> list[Step]:
    while isinstance(query, exp.Subquery) and not query.args.get("joins"):
        query = query.this
    steps = []
    if with_ := query.args.get("with_") or query.args.get("with"):
        for cte in with_.expressions:
            how = "again and again, " if with_.args.get("recursive") and _refers(cte) else ""
            steps.append(
                Step(f"First works out {cte.alias}, {how}for use below:", tuple(_query(cte.this)))
            )
    if isinstance(query, exp.SetOperation):
        steps += _set_operation(query)
    elif isinstance(query, exp.Select):
        steps += _select(query)
    else:
        steps.append(Step(f"Takes {_sql(query)}."))
    return steps


def _refers(cte: exp.CTE) -> bool:
    return any(table.name.lower() == cte.alias.lower() for table in cte.find_all(exp.Table))


def _set_operation(query: exp.SetOperation) -> list[Step]:
    everything = not query.args.get("distinct", True)
    verb = {
        exp.Union: "Adds the rows of",
        exp.Except: "Takes away every row that is also in",
        exp.Intersect: "Keeps only the rows that are also in",
    }[type(query)]
    repeats = "" if everything else ", and drops repeated rows"
    return [
        Step("Takes the rows of a first query:", tuple(_query(query.left))),
        Step(f"{verb} a second query{repeats}:", tuple(_query(query.right))),
        *_ending(query),
    ]


def _select(select: exp.Select) -> list[Step]:
    steps = []
    source = select.args.get("from_") or select.args.get("from")
    if source:
        steps.append(_source("Reads", source.this))
    for join in select.args.get("joins") or ():
        steps.append(_join(join))
    if where := select.args.get("where"):
        steps.append(Step(f"Keeps the rows where {_condition(where.this)}.", _inner(where.this)))
    if group := select.args.get("group"):
        keys = [_in_words(_by_number(key, select)) for key in group.expressions]
        steps.append(Step(f"Makes one group for each {_list(keys)}."))
    if having := select.args.get("having"):
        text = f"Keeps the groups where {_condition(having.this)}."
        steps.append(Step(text, _inner(having.this)))
    shown = [_shown(column) for column in select.expressions]
    verb = "Shows, without repeats," if select.args.get("distinct") else "Shows"
    inner = tuple(step for column in select.expressions for step in _inner(column))
    steps.append(Step(f"{verb} {_list(shown)}.", inner))
    return steps + _ending(select)


def _ending(query: exp.Query) -> list[Step]:
    """ORDER BY, LIMIT and OFFSET."""
    steps = []
    order = query.args.get("order")
    if order:
        steps.append(Step(f"Sorts by {_list([_sorting(o, query) for o in order.expressions])}."))
    limit, offset = query.args.get("limit"), query.args.get("offset")
    if limit:
        count = _sql(limit.expression)
        rows = "row" if count == "1" else "rows"
        skip = f", after skipping {_sql(offset.expression)}" if offset else ""
        which = "the first" if order else "any"  # without an order, "first" means nothing
        count = "" if count == "1" and order else f" {count}"
        steps.append(Step(f"Stops at {which}{count} {rows}{skip}."))
    return steps


def _source(verb: str, source: exp.Expression) -> Step:
    if isinstance(source, exp.Subquery):
        name = f", called {source.alias}" if source.alias else ""
        return Step(f"{verb} the result of an inner query{name}:", tuple(_query(source.this)))
    return Step(f"{verb} {_table(source)}.")


def _table(source: exp.Expression) -> str:
    if not isinstance(source, exp.Table):
        return _sql(source)
    name = source.name or _sql(source)
    alias = source.alias
    return f"{name} (called {alias})" if alias and alias.lower() != name.lower() else name


def _join(join: exp.Join) -> Step:
    step = _source("Adds", join.this)
    side = (join.side or "").upper()
    text = step.text.rstrip(".:")
    if on := join.args.get("on"):
        text += f", matching rows where {_condition(on)}"
    elif using := join.args.get("using"):
        text += f", matching rows with the same {_list([u.name for u in using])}"
    elif (join.method or "").upper() == "NATURAL":
        text += ", matching rows that agree in every column of the same name"
    else:
        text += ", pairing every row with every row"
    kept = {
        "LEFT": "; rows without a match stay, with NULLs",
        "RIGHT": "; its rows without a match stay, with NULLs",
        "FULL": "; rows without a match stay on both sides, with NULLs",
    }.get(side, "")
    return Step(f"{text}{kept}{':' if step.parts else '.'}", step.parts)


def _inner(node: exp.Expression) -> tuple[Step, ...]:
    """Steps for the subqueries directly below `node`."""
    found = []
    for query in node.find_all(exp.Select, exp.SetOperation):
        parent = query.find_ancestor(exp.Select, exp.SetOperation)
        if parent is None or parent is node.find_ancestor(exp.Select, exp.SetOperation):
            found.append(Step("where the inner query is:", tuple(_query(query))))
    return tuple(found)


# --- columns ----------------------------------------------------------------------

_AGGREGATES = {
    exp.Sum: "the total of",
    exp.Avg: "the average of",
    exp.Min: "the smallest",
    exp.Max: "the largest",
    exp.GroupConcat: "a list of the",
}


def _shown(column: exp.Expression) -> str:
    if isinstance(column, exp.Alias):
        words = _in_words(column.this)
        return words if words == column.alias else f"{words} as {column.alias}"
    if isinstance(column, exp.Star):
        return "every column"
    return _in_words(column)


def _in_words(node: exp.Expression) -> str:
    """An expression as a noun: "the total of amount"."""
    if isinstance(node, exp.Column):
        if isinstance(node.this, exp.Star):
            return f"every column of {node.table}"
        return f"{node.table}.{node.name}" if node.table else node.name
    if isinstance(node, exp.Paren):
        inner = node.this
        return _in_words(inner) if not isinstance(inner, exp.Binary) else f"({_in_words(inner)})"
    if isinstance(node, exp.Subquery | exp.Select):
        return "the answer of an inner query"
    if isinstance(node, exp.Filter):
        return f"{_in_words(node.this)} (only where {_condition(node.expression.this)})"
    if isinstance(node, exp.Count):
        what = node.this
        if isinstance(what, exp.Distinct):
            return f"the number of different {_list([_in_words(e) for e in what.expressions])}"
        if what is None or isinstance(what, exp.Star | exp.Literal):
            return "the number of rows"
        return f"the number of rows with a {_in_words(what)}"
    for kind, words in _AGGREGATES.items():
        if type(node) is kind:
            what, distinct = node.this, ""
            if isinstance(what, exp.Distinct):
                what, distinct = what.expressions[0], "different values of "
            if node.expressions:  # min(a, b) compares two values of one row
                return f"{words} of {_list([_in_words(e) for e in (what, *node.expressions)])}"
            return f"{words} {distinct}{_in_words(what)}"
    if isinstance(node, exp.Cast):
        return f"{_in_words(node.this)} as {node.to.sql(dialect='sqlite').lower()}"
    if isinstance(node, exp.Round):
        places = node.args.get("decimals")
        return f"{_in_words(node.this)}, rounded" + (f" to {_sql(places)} places" if places else "")
    if isinstance(node, exp.Case):
        return f"a value chosen by cases ({_sql(node)})"
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
        sign = {exp.Add: "+", exp.Sub: "−", exp.Mul: "×", exp.Div: "÷"}[type(node)]
        return f"{_in_words(node.this)} {sign} {_in_words(node.expression)}"
    return _sql(node)


def _sorting(ordered: exp.Expression, query: exp.Query) -> str:
    what = _ordinal(_by_number(ordered.this, query))
    return f"{what}, largest first" if ordered.args.get("desc") else what


def _by_number(node: exp.Expression, query: exp.Query) -> exp.Expression:
    """`ORDER BY 2` means the second column shown."""
    if isinstance(node, exp.Literal) and node.is_int and isinstance(query, exp.Select):
        place = int(node.this)
        if 1 <= place <= len(query.expressions):
            return query.expressions[place - 1].unalias()
    return node


def _ordinal(node: exp.Expression) -> str:
    place = int(node.this) if isinstance(node, exp.Literal) and node.is_int else 0
    return f"column {place}" if place else _in_words(node)


# --- conditions -------------------------------------------------------------------

_COMPARISONS = {
    exp.EQ: "is",
    exp.NEQ: "is not",
    exp.NullSafeNEQ: "is not",
    exp.GT: "is more than",
    exp.GTE: "is at least",
    exp.LT: "is less than",
    exp.LTE: "is at most",
    exp.Like: "looks like",
    exp.Glob: "looks like",
    exp.Is: "is",
}


def _condition(node: exp.Expression, inside_and: bool = False) -> str:
    """A condition as a clause: "city is 'Oslo' and total is more than 5"."""
    if isinstance(node, exp.Paren):
        return _condition(node.this, inside_and)
    if node.args.get("negate"):  # how sqlglot writes NOT LIKE
        return _negated(node)
    if isinstance(node, exp.And):
        return f"{_condition(node.this, True)} and {_condition(node.expression, True)}"
    if isinstance(node, exp.Or):
        text = f"{_condition(node.this)} or {_condition(node.expression)}"
        return f"({text})" if inside_and else text
    if isinstance(node, exp.Not):
        return _negated(node.this)
    if isinstance(node, exp.Between):
        low, high = _in_words(node.args["low"]), _in_words(node.args["high"])
        return f"{_in_words(node.this)} is between {low} and {high}"
    if isinstance(node, exp.In):
        return f"{_in_words(node.this)} is {_members(node)}"
    if isinstance(node, exp.Exists):
        return "an inner query finds any row"
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return f"{_in_words(node.this)} is missing"
    if type(node) in _COMPARISONS:
        words = _COMPARISONS[type(node)]
        return f"{_in_words(node.this)} {words} {_in_words(node.expression)}"
    return _in_words(node)


def _negated(node: exp.Expression) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.In):
        return f"{_in_words(node.this)} is not {_members(node)}"
    if isinstance(node, exp.Exists):
        return "an inner query finds no row"
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return f"{_in_words(node.this)} is not missing"
    if isinstance(node, exp.Like | exp.Glob):
        return f"{_in_words(node.this)} does not look like {_in_words(node.expression)}"
    if isinstance(node, exp.Between):
        return _condition(node).replace(" is between ", " is not between ", 1)
    return f"it is not so that {_condition(node)}"


def _members(node: exp.In) -> str:
    if node.args.get("query") or node.args.get("field"):
        return "among the results of an inner query"
    return f"one of {_list([_in_words(e) for e in node.expressions], 'or')}"


def _list(words: Sequence[str], last: str = "and") -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _sql(node: exp.Expression) -> str:
    return re.sub(r"\s+", " ", node.sql(dialect="sqlite"))
