"""What a query reads and does, in plain English, without asking a model.

The steps come from sqlglot's tree; the tables, columns and plan from SQLite itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from t2sql_tui.core.answers.wording import (
    condition_in_words,
    in_words,
    listed,
    output_by_number,
    output_in_words,
    sorting_in_words,
    sql_of,
)
from t2sql_tui.core.identifiers import folded, quote_identifier
from t2sql_tui.core.sql.tree import from_clause, parse
from t2sql_tui.core.types import CheckedQuery, Schema

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database


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


def explain(sql: str, schema: Schema | None = None) -> tuple[Step, ...]:
    """The steps of one SELECT, in the order in which to think of them.

    With the schema, "Oslo" in double quotes is known to be text where no column is called
    so, as SQLite itself reads it (https://sqlite.org/quirks.html#dblquote).

    What this has no words for is quoted as SQL, so nothing is left out. SQL that sqlglot
    cannot parse, or that is nested too deeply, gives no steps.
    """
    tree = parse(sql)
    if not isinstance(tree, exp.Query | exp.Values):
        return ()
    try:
        if schema:
            _quoted_texts(tree, schema)
        _name_tables(tree)
        return tuple(_query(tree))
    except (SqlglotError, RecursionError):
        return ()


def columns_read(query: CheckedQuery, database: Database) -> dict[str, tuple[str, ...]]:
    """Each stored table that the query would read, with the columns read of it.

    As SQLite reports them to its authorizer while it compiles the query; so a view gives
    the tables behind it, and `count(*)` a table without columns. Nothing runs.
    Raises: DatabaseError.
    """
    tables: dict[str, dict[str, None]] = {}
    for table, column in database.columns_read(query):
        if not table.startswith("sqlite_"):
            tables.setdefault(table, {}).update({column: None} if column else {})
    views = {table.name for table in database.schema.tables if table.kind == "view"}
    return {table: tuple(columns) for table, columns in tables.items() if table not in views}


def query_plan(query: CheckedQuery, database: Database) -> tuple[tuple[int, str], ...]:
    """SQLite's plan (https://sqlite.org/eqp.html): (depth, what is done), in order.

    Nothing runs. Raises: DatabaseError.
    """
    depths = {0: -1}
    lines = []
    for number, parent, _, detail in database.select(f"EXPLAIN QUERY PLAN {query.sql}"):
        depths[number] = depths.get(parent, -1) + 1
        lines.append((depths[number], detail))
    return tuple(lines)


# --- names ------------------------------------------------------------------------


def _quoted_texts(tree: exp.Expr, schema: Schema) -> None:
    """Make literals of names in double quotes that name nothing."""
    names = {folded(column.name) for table in schema.tables for column in table.columns}
    names |= {"rowid", "oid", "_rowid_"}
    names |= {folded(alias.alias) for alias in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        names |= {folded(name.name) for name in alias.columns}
    for column in list(tree.find_all(exp.Column)):
        quoted = isinstance(column.this, exp.Identifier) and column.this.quoted
        if quoted and not column.table and folded(column.name) not in names:
            column.replace(exp.Literal.string(column.name))


def _name_tables(tree: exp.Expr) -> None:
    """Call tables and columns by their own names where no doubt can arise.

    An alias goes where its table is read only once among the queries that can see it. A
    column of the only table of its own query needs no table name at all.
    """
    selects = list(tree.find_all(exp.Select))
    sources = {id(select): _sources(select) for select in selects}
    names: dict[int, dict[str, str]] = {}  # by the alias that goes
    for select in selects:
        inside = [s for other in select.find_all(exp.Select) for s in sources[id(other)]]
        outside = [s for other in _around(select) for s in sources[id(other)]]
        seen = [name for s in inside + outside for name in {folded(s.name), folded(s.alias)}]
        names[id(select)] = {
            folded(source.alias): source.name
            for source in sources[id(select)]
            if isinstance(source, exp.Table)
            and source.alias
            and seen.count(folded(source.name)) == 1
        }
    for column in list(tree.find_all(exp.Column)):
        name, home = folded(column.table), column.find_ancestor(exp.Select)
        around = [home, *_around(home)] if name and home else []
        for owner in around:
            if name in {folded(source.alias_or_name) for source in sources[id(owner)]}:
                if owner is home and len(sources[id(owner)]) == 1:
                    if not isinstance(column.this, exp.Star):
                        column.set("table", None)
                elif name in names[id(owner)]:
                    column.set("table", exp.to_identifier(names[id(owner)][name]))
                break
    for select in selects:
        for source in sources[id(select)]:
            if folded(source.alias) in names[id(select)]:
                source.set("alias", None)


def _sources(select: exp.Select) -> list[exp.Expr]:
    """What a SELECT reads directly: tables and inner queries."""
    first = from_clause(select)
    joined = [join.this for join in select.args.get("joins") or ()]
    return [first.this, *joined] if first else joined


def _around(select: exp.Select) -> Iterator[exp.Select]:
    """The queries that `select` is inside of."""
    outer = select.find_ancestor(exp.Select)
    while outer:
        yield outer
        outer = outer.find_ancestor(exp.Select)


# --- queries ----------------------------------------------------------------------


def _query(query: exp.Expr) -> list[Step]:
    """The steps of a query, its WITH first."""
    while isinstance(query, exp.Subquery) and not query.args.get("joins"):
        query = query.this
    steps = []
    if with_ := query.args.get("with_") or query.args.get("with"):
        for cte in with_.expressions:
            recursive = with_.args.get("recursive") and _refers(cte)
            how = ", step by step from its own rows" if recursive else ""
            steps.append(Step(f"First works out {cte.alias}{how}:", tuple(_query(cte.this))))
    if isinstance(query, exp.SetOperation):
        steps += _set_operation(query)
    elif isinstance(query, exp.Select):
        steps += _select(query)
    else:
        steps.append(Step(f"Takes {sql_of(query)}."))
    return steps


def _refers(cte: exp.CTE) -> bool:
    return any(folded(table.name) == folded(cte.alias) for table in cte.find_all(exp.Table))


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
    source = from_clause(select)
    if source:
        steps.append(_source("Reads", source.this))
    for join in select.args.get("joins") or ():
        steps.append(_join(join))
    if where := select.args.get("where"):
        steps.append(
            Step(f"Keeps the rows where {condition_in_words(where.this)}.", _inner(where.this))
        )
    if group := select.args.get("group"):
        keys = [in_words(output_by_number(key, select)) for key in group.expressions]
        steps.append(Step(f"Makes one group for each {listed(keys)}.", _inner(group)))
    if having := select.args.get("having"):
        text = f"Keeps the groups where {condition_in_words(having.this)}."
        steps.append(Step(text, _inner(having.this)))
    outputs = [output_in_words(column) for column in select.expressions]
    verb = "Shows, without repeats," if select.args.get("distinct") else "Shows"
    named = [
        Step(f"where {sql_of(window).replace(' OVER ', ' is ', 1)}.")
        for window in select.args.get("windows") or ()
    ]
    steps.append(Step(f"{verb} {listed(outputs)}.", (*named, *_inner(*select.expressions))))
    return steps + _ending(select)


def _ending(query: exp.Query) -> list[Step]:
    """ORDER BY, LIMIT and OFFSET."""
    steps = []
    order = query.args.get("order")
    if order:
        steps.append(Step(f"Sorts by {sorting_in_words(order, query)}.", _inner(order)))
    limit, offset = query.args.get("limit"), query.args.get("offset")
    if limit:
        count = sql_of(limit.expression)
        rows = "row" if count == "1" else "rows"
        skip = f", after skipping {sql_of(offset.expression)}" if offset else ""
        which = "the first" if order else "any"  # without an order, "first" means nothing
        count = "" if count == "1" and order else f" {count}"
        steps.append(Step(f"Stops at {which}{count} {rows}{skip}."))
    return steps


def _source(verb: str, source: exp.Expr) -> Step:
    if isinstance(source, exp.Subquery):
        name = f", called {source.alias}" if source.alias else ""
        return Step(f"{verb} the result of an inner query{name}:", tuple(_query(source.this)))
    return Step(f"{verb} {_table(source)}.")


def _table(source: exp.Expr) -> str:
    if not isinstance(source, exp.Table):
        return sql_of(source)
    alias = source.alias
    plain = isinstance(source.this, exp.Identifier)  # not a function such as json_each()
    name = quote_identifier(source.name) if plain else sql_of(source.this)
    called = alias and folded(alias) != folded(source.name)
    return f"{name} (called {quote_identifier(alias)})" if called else name


def _join(join: exp.Join) -> Step:
    step = _source("Adds", join.this)
    side = (join.side or "").upper()
    text = step.text.rstrip(".:")
    on = join.args.get("on")
    if on and not (isinstance(on, exp.Boolean) and on.this):  # sqlglot's own ON TRUE
        text += f", matching rows where {condition_in_words(on)}"
    elif using := join.args.get("using"):
        text += f", matching rows with the same {listed([u.name for u in using])}"
    elif (join.method or "").upper() == "NATURAL":
        text += ", matching rows that agree in every column of the same name"
    else:
        text += ", pairing every row with every row"
    kept = {
        "LEFT": "; rows without a match stay, with NULLs",
        "RIGHT": "; its rows without a match stay, with NULLs",
        "FULL": "; rows without a match stay on both sides, with NULLs",
    }.get(side, "")
    parts = step.parts + (_inner(on) if on else ())
    return Step(f"{text}{kept}{':' if step.parts else '.'}", parts)


def _inner(*nodes: exp.Expr) -> tuple[Step, ...]:
    """Steps for the subqueries directly below `nodes`, siblings of one query."""
    inner = []
    for node in nodes:
        around = node.find_ancestor(exp.Select, exp.SetOperation)
        for query in node.find_all(exp.Select, exp.SetOperation, bfs=False):
            if query.find_ancestor(exp.Select, exp.SetOperation) is around:
                inner.append(tuple(_query(query)))
    if len(inner) == 1:
        return (Step("where the inner query is:", inner[0]),)
    return tuple(Step(f"where inner query {n} is:", steps) for n, steps in enumerate(inner, 1))
