"""What a query reads and does, in plain English, without asking a model.

The steps come from sqlglot's tree; the tables, columns and plan from SQLite itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from t2sql_tui.core.answers.rewrites.dates import turned_date
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.tree import from_clause
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
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
        if not isinstance(tree, exp.Query | exp.Values):
            return ()
        if schema:
            _name_texts(tree, schema)
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


# --- names ------------------------------------------------------------------------


def _name_texts(tree: exp.Expression, schema: Schema) -> None:
    names = {column.name.lower() for table in schema.tables for column in table.columns}
    names |= {"rowid", "oid", "_rowid_"}
    names |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        names |= {name.name.lower() for name in alias.columns}
    for column in list(tree.find_all(exp.Column)):
        quoted = isinstance(column.this, exp.Identifier) and column.this.quoted
        if quoted and not column.table and column.name.lower() not in names:
            column.replace(exp.Literal.string(column.name))


def _name_tables(tree: exp.Expression) -> None:
    """Call tables and columns by their own names where no doubt can arise.

    An alias goes where its table is read only once among the queries that can see it. A
    column of the only table of its own query needs no table name at all.
    """
    selects = list(tree.find_all(exp.Select))
    sources = {id(select): _sources(select) for select in selects}
    known_as: dict[int, dict[str, str]] = {}
    for select in selects:
        inside = [s for other in select.find_all(exp.Select) for s in sources[id(other)]]
        around = [s for other in _around(select) for s in sources[id(other)]]
        seen = [name for s in inside + around for name in {s.name.lower(), s.alias.lower()}]
        known_as[id(select)] = {
            source.alias.lower(): source.name
            for source in sources[id(select)]
            if isinstance(source, exp.Table)
            and source.alias
            and seen.count(source.name.lower()) == 1
        }
    for column in list(tree.find_all(exp.Column)):
        home = select = column.find_ancestor(exp.Select)
        name = column.table.lower()
        while name and select:
            if name in {source.alias_or_name.lower() for source in sources[id(select)]}:
                if select is home and len(sources[id(select)]) == 1:
                    if not isinstance(column.this, exp.Star):
                        column.set("table", None)
                elif name in known_as[id(select)]:
                    column.set("table", exp.to_identifier(known_as[id(select)][name]))
                break
            select = select.find_ancestor(exp.Select)
    for select in selects:
        for source in sources[id(select)]:
            if source.alias.lower() in known_as[id(select)]:
                source.set("alias", None)


def _sources(select: exp.Select) -> list[exp.Expression]:
    """What a SELECT reads directly: tables and inner queries."""
    first = from_clause(select)
    joined = [join.this for join in select.args.get("joins") or ()]
    return ([first.this] if first else []) + joined


def _around(select: exp.Select) -> Iterator[exp.Select]:
    """The queries that `select` is inside of."""
    while select := select.find_ancestor(exp.Select):
        yield select


# --- queries ----------------------------------------------------------------------


def _query(query: exp.Expression) -> list[Step]:
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
    source = from_clause(select)
    if source:
        steps.append(_source("Reads", source.this))
    for join in select.args.get("joins") or ():
        steps.append(_join(join))
    if where := select.args.get("where"):
        steps.append(Step(f"Keeps the rows where {_condition(where.this)}.", _inner(where.this)))
    if group := select.args.get("group"):
        keys = [_in_words(_by_number(key, select)) for key in group.expressions]
        steps.append(Step(f"Makes one group for each {_list(keys)}.", _inner(group)))
    if having := select.args.get("having"):
        text = f"Keeps the groups where {_condition(having.this)}."
        steps.append(Step(text, _inner(having.this)))
    shown = [_shown(column) for column in select.expressions]
    verb = "Shows, without repeats," if select.args.get("distinct") else "Shows"
    named = [
        Step(f"where {_sql(window).replace(' OVER ', ' is ', 1)}.")
        for window in select.args.get("windows") or ()
    ]
    steps.append(Step(f"{verb} {_list(shown)}.", (*named, *_inner(*select.expressions))))
    return steps + _ending(select)


def _ending(query: exp.Query) -> list[Step]:
    """ORDER BY, LIMIT and OFFSET."""
    steps = []
    order = query.args.get("order")
    if order:
        steps.append(Step(f"Sorts by {_sorted_by(order, query)}.", _inner(order)))
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
    alias = source.alias
    plain = isinstance(source.this, exp.Identifier)  # not a function such as json_each()
    name = quote_identifier(source.name) if plain else _sql(source.this)
    called = alias and alias.lower() != source.name.lower()
    return f"{name} (called {quote_identifier(alias)})" if called else name


def _join(join: exp.Join) -> Step:
    step = _source("Adds", join.this)
    side = (join.side or "").upper()
    text = step.text.rstrip(".:")
    on = join.args.get("on")
    if on and not (isinstance(on, exp.Boolean) and on.this):  # sqlglot's own ON TRUE
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
    parts = step.parts + (_inner(on) if on else ())
    return Step(f"{text}{kept}{':' if step.parts else '.'}", parts)


def _inner(*nodes: exp.Expression) -> tuple[Step, ...]:
    """Steps for the subqueries directly below `nodes`, siblings of one query."""
    found = []
    for node in nodes:
        around = node.find_ancestor(exp.Select, exp.SetOperation)
        for query in node.find_all(exp.Select, exp.SetOperation, bfs=False):
            if query.find_ancestor(exp.Select, exp.SetOperation) is around:
                found.append(tuple(_query(query)))
    if len(found) == 1:
        return (Step("where the inner query is:", found[0]),)
    return tuple(Step(f"where inner query {n} is:", steps) for n, steps in enumerate(found, 1))


# --- columns ----------------------------------------------------------------------

_AGGREGATES = {
    exp.Sum: "the total of",
    exp.Avg: "the average of",
    exp.Min: "the smallest",
    exp.Max: "the largest",
    exp.GroupConcat: "a list of",
}
_SIGNS = {exp.Add: "+", exp.Sub: "−", exp.Mul: "×", exp.Div: "÷"}
_PARTS_OF_A_DATE = {
    "%Y": "the year of",
    "%m": "the month of",
    "%d": "the day of",
    "%Y-%m": "the year and month of",
    "%w": "the weekday (0 is Sunday) of",
    "%H": "the hour of",
    "%s": "the Unix time of",
}
_PLACES = {
    exp.RowNumber: "the place (ties in any order)",
    exp.Rank: "the rank",
    exp.DenseRank: "the rank (without gaps)",
}
_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not)


def _shown(column: exp.Expression) -> str:
    if isinstance(column, exp.Alias):
        words = _in_words(column.this)
        return words if words == column.alias else f"{words} as {column.alias}"
    if isinstance(column, exp.Star):
        return "every column"
    return _in_words(column)


def _in_words(node: exp.Expression) -> str:
    """An expression as a noun: "the total of amount". SQL where there are no words for it."""
    match node:
        case exp.Column(this=exp.Star()):
            return f"every column of {quote_identifier(node.table)}"
        case exp.Column():
            names = [node.table, node.name] if node.table else [node.name]
            return ".".join(map(quote_identifier, names))
        case exp.Paren():
            inner = node.this
            return f"({_in_words(inner)})" if isinstance(inner, exp.Binary) else _in_words(inner)
        case exp.Subquery() | exp.Select():
            return "the answer of an inner query"
        case exp.Filter():
            return f"{_in_words(node.this)} (only where {_condition(node.expression.this)})"
        case exp.Window():
            return _window(node)
        case exp.Count() | exp.Sum() | exp.Avg() | exp.Min() | exp.Max() | exp.GroupConcat():
            return _aggregate(node)
        case exp.Greatest() | exp.Least():  # max(a, b), which compares within one row
            which = "largest" if isinstance(node, exp.Greatest) else "smallest"
            return f"the {which} of {_list([_in_words(e) for e in (node.this, *node.expressions)])}"
        case exp.Cast():
            return f"{_in_words(node.this)} as {node.to.sql(dialect='sqlite').lower()}"
        case exp.Round():
            places = node.args.get("decimals")
            decimals = f" to {_sql(places)} decimal{'s' * (_sql(places) != '1')}" if places else ""
            return f"{_operand(node.this)} rounded{decimals}"
        case exp.Case() | exp.If():
            return _case(node)
        case exp.Neg() if not isinstance(node.this, exp.Literal):
            return f"minus {_operand(node.this)}"
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            sign = _SIGNS[type(node)]
            return f"{_operand(node.this, node)} {sign} {_operand(node.expression)}"
        case exp.DPipe() if column := turned_date(node):
            return f"the date of {column}"
        case exp.DPipe():
            return f"{_in_words(node.this)} followed by {_in_words(node.expression)}"
        case exp.Coalesce():
            others = [_in_words(e) for e in node.expressions]
            return f"{_in_words(node.this)} (or, where that is missing, {_list(others, 'or')})"
        case exp.Date() if not node.expressions and not node.args.get("zone"):
            return f"the date of {_in_words(node.this)}"
        case exp.Anonymous(expressions=[moment, exp.Literal(this="unixepoch")]):
            kind = {"DATE": "date", "DATETIME": "date and time"}.get(node.name.upper())
            return f"the {kind} of {_in_words(moment)} (Unix time)" if kind else _sql(node)
        case exp.Lower():
            return f"{_in_words(node.this)} in lower case"
        case exp.Upper():
            return f"{_in_words(node.this)} in upper case"
        case exp.Length():
            return f"the length of {_in_words(node.this)}"
        case exp.Substring() if part := _characters(node):
            return f"{part} of {_in_words(node.this)}"
        case exp.Trim() if not node.expression and not node.args.get("position"):
            return f"{_in_words(node.this)} without spaces around it"
        case exp.TimeToStr() if node.text("format") in _PARTS_OF_A_DATE:
            when = node.this.this if isinstance(node.this, exp.TsOrDsToTimestamp) else node.this
            return f"{_PARTS_OF_A_DATE[node.text('format')]} {_in_words(when)}"
    return _sql(node)


def _characters(node: exp.Substring) -> str:
    """ "characters 1 to 4" for substr(x, 1, 4); nothing where the bounds are not plain numbers."""
    start, length = node.args.get("start"), node.args.get("length")
    if not all(isinstance(n, exp.Literal) and n.is_int for n in (start, length or start)):
        return ""
    first = int(start.this)
    if length is None:
        return f"character {first} onwards"
    return f"characters {first} to {first + int(length.this) - 1}"


def _operand(node: exp.Expression, beside: exp.Expression | None = None) -> str:
    """A noun as part of a sum or product: in parentheses where it is more than a name.

    A chain of one sign, or of × and ÷, needs none on its left.
    """
    words = _in_words(node)
    products = (exp.Mul, exp.Div)
    chain = beside is not None and (
        type(node) is type(beside)
        or isinstance(node, products)
        or (isinstance(beside, exp.Add | exp.Sub) and isinstance(node, exp.Add | exp.Sub))
    )
    simple = isinstance(node, exp.Column | exp.Literal | exp.Paren)
    if simple or (isinstance(node, exp.Binary) and chain):
        return words
    return f"({words})" if " " in words else words


def _aggregate(node: exp.Expression) -> str:
    what, distinct = node.this, isinstance(node.this, exp.Distinct)
    if isinstance(node, exp.Count):
        if distinct:
            return f"the number of different {_list([_in_words(e) for e in what.expressions])}"
        if what is None or isinstance(what, exp.Star | exp.Literal):
            return "the number of rows"
        return f"the number of rows where {_in_words(what)} is not missing"
    words = _AGGREGATES[type(node)]
    if distinct:
        if not isinstance(node, exp.Min | exp.Max):  # for which repeats change nothing
            words += " different values of"
        return f"{words} {_in_words(what.expressions[0])}"
    if isinstance(node, exp.Sum) and isinstance(what.unnest(), _CONDITIONS):
        return f"the number of rows where {_condition(what.unnest())}"  # true counts as 1
    separator = node.args.get("separator")
    return f"{words} {_in_words(what)}" + (f" joined by {_sql(separator)}" if separator else "")


def _window(node: exp.Window) -> str:
    """ "the rank by amount, largest first, within each region"."""
    call, order = node.this, node.args.get("order")
    if (
        node.args.get("spec")
        or node.alias
        or not isinstance(call, (*_PLACES, *_AGGREGATES, exp.Count, exp.Lag, exp.Lead))
    ):
        return _sql(node)
    keys = [_in_words(key) for key in node.args.get("partition_by") or ()]
    within = f" within each {_list(keys)}" if keys else ""
    by = f" by {_sorted_by(order)}" if order else ""
    if type(call) in _PLACES:
        return f"{_PLACES[type(call)]}{by}{',' * bool(by and within)}{within}"
    if isinstance(call, exp.Lag | exp.Lead):
        if call.args.get("offset") or call.args.get("default"):
            return _sql(node)
        which = "before" if isinstance(call, exp.Lag) else "after"
        return f"{_in_words(call.this)} of the row {which}, sorted{by}{within}"
    if order:
        return f"{_in_words(call)} so far, sorted{by}{within}"
    return f"{_in_words(call)}{within or ' over all rows'}"


def _case(node: exp.Case | exp.If) -> str:
    """ "1 where status is 'open', 2 where it is 'new', otherwise 0"."""
    if isinstance(node, exp.If):
        branches, default = [node], node.args.get("false")
    else:
        branches, default = node.args["ifs"], node.args.get("default")
    subject = node.this if isinstance(node, exp.Case) else None
    words = []
    for branch in branches:
        condition = _in_words(branch.this) if subject else _condition(branch.this)
        if subject:
            condition = f"{_in_words(subject)} is {condition}"
        words.append(f"{_in_words(branch.args['true'])} where {condition}")
    words.append(f"otherwise {_in_words(default) if default else 'NULL'}")
    return f"({', '.join(words)})"


def _sorted_by(order: exp.Order, query: exp.Query | None = None) -> str:
    return ", then by ".join(_sorting(key, query) for key in order.expressions)


def _sorting(ordered: exp.Expression, query: exp.Query | None = None) -> str:
    what = _ordinal(_by_number(ordered.this, query)) if query else _in_words(ordered.this)
    descending, nulls_first = bool(ordered.args.get("desc")), ordered.args.get("nulls_first")
    # To SQLite, NULL is the smallest value; only an order that says otherwise mentions it.
    if nulls_first == descending:
        return f"{what}{', largest first' * descending}, NULLs {'first' if nulls_first else 'last'}"
    return f"{what}{', largest first' * descending}"


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
    exp.Glob: "looks like",
    exp.Is: "is",
}


def _condition(node: exp.Expression, beside: type[exp.Connector] | None = None) -> str:
    """A condition as a clause: "city is 'Oslo' and total is more than 5".

    `beside` is the connector it is an operand of: AND and OR do not mix without parentheses.
    """
    match node:
        case exp.Paren():
            return _condition(node.this, beside)
        case exp.And() | exp.Or():
            word = "and" if isinstance(node, exp.And) else "or"
            kind = type(node)
            text = f"{_condition(node.this, kind)} {word} {_condition(node.expression, kind)}"
            return text if beside in (None, kind) else f"({text})"
        case exp.Not():
            return _negated(node.this)
        case _ if node.args.get("negate"):  # how sqlglot writes NOT LIKE
            return _negated(node)
        case exp.Between():
            low, high = _in_words(node.args["low"]), _in_words(node.args["high"])
            return f"{_in_words(node.this)} is between {low} and {high}"
        case exp.In():
            return f"{_in_words(node.this)} is {_members(node)}"
        case exp.Exists():
            return "an inner query finds any row"
        case exp.Is(expression=exp.Null()):
            return f"{_in_words(node.this)} is missing"
        case exp.EQ(expression=exp.Null()) | exp.NEQ(expression=exp.Null()):
            return f"{_sql(node)} (never so: only IS NULL finds NULL)"
        case exp.Like():
            return _like(node)
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
    if isinstance(node, exp.Like):
        return _like(node, negated=True)
    if isinstance(node, exp.Between):
        return _condition(node).replace(" is between ", " is not between ", 1)
    return _sql(node) if node.args.get("negate") else f"not ({_condition(node)})"


def _like(node: exp.Like, negated: bool = False) -> str:
    """LIKE in words where its pattern is plain text with % at one end or both."""
    pattern = node.expression.this if isinstance(node.expression, exp.Literal) else ""
    inner = pattern.strip("%")
    front, back = pattern.startswith("%"), pattern.endswith("%")
    verb, denied = {
        (True, True): ("contains", "contain"),
        (False, True): ("starts with", "start with"),
        (True, False): ("ends with", "end with"),
        (False, False): ("looks like", "look like"),
    }[front, back]
    if not inner or set(inner) & set("%_"):
        verb, denied, inner = "looks like", "look like", pattern
    text = _sql(exp.Literal.string(inner)) if pattern else _in_words(node.expression)
    return f"{_in_words(node.this)} {f'does not {denied}' if negated else verb} {text}"


def _members(node: exp.In) -> str:
    if field := node.args.get("field"):  # x IN t, a table
        return f"among the rows of {_in_words(field)}"
    if node.args.get("query"):
        return "among the results of an inner query"
    return f"one of {_list([_in_words(e) for e in node.expressions], 'or')}"


def _list(words: Sequence[str], last: str = "and") -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _sql(node: exp.Expression) -> str:
    return node.sql(dialect="sqlite")
