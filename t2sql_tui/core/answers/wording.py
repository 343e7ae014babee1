"""Expressions and conditions of a query in plain English; SQL where there are no words for them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from t2sql_tui.core.answers.rewrites.dates import turned_date
from t2sql_tui.core.identifiers import quote_identifier

# --- columns ----------------------------------------------------------------------

_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "the total of",
    exp.Avg: "the average of",
    exp.Min: "the smallest",
    exp.Max: "the largest",
    exp.GroupConcat: "a list of",
}
_OPERATORS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "−", exp.Mul: "×", exp.Div: "÷"}
_PARTS_OF_A_DATE = {
    "%Y": "the year of",
    "%m": "the month of",
    "%d": "the day of",
    "%Y-%m": "the year and month of",
    "%w": "the weekday (0 is Sunday) of",
    "%H": "the hour of",
    "%s": "the Unix time of",
}
_RANKS: dict[type[exp.Expr], str] = {
    exp.RowNumber: "the place (ties in any order)",
    exp.Rank: "the rank",
    exp.DenseRank: "the rank (without gaps)",
}
_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not)


def output_in_words(column: exp.Expr) -> str:
    """A column of the result: "the total of amount as turnover"."""
    if isinstance(column, exp.Alias):
        words = in_words(column.this)
        return words if words == column.alias else f"{words} as {column.alias}"
    if isinstance(column, exp.Star):
        return "every column"
    return in_words(column)


def in_words(node: exp.Expr) -> str:
    """An expression as a noun: "the total of amount". SQL where there are no words for it."""
    match node:
        case exp.Column(this=exp.Star()):
            return f"every column of {quote_identifier(node.table)}"
        case exp.Column():
            names = [node.table, node.name] if node.table else [node.name]
            return ".".join(map(quote_identifier, names))
        case exp.Paren():
            inner = node.this
            return f"({in_words(inner)})" if isinstance(inner, exp.Binary) else in_words(inner)
        case exp.Subquery() | exp.Select():
            return "the answer of an inner query"
        case exp.Filter():
            return f"{in_words(node.this)} (only where {condition_in_words(node.expression.this)})"
        case exp.Window():
            return _window(node)
        case exp.Count() | exp.Sum() | exp.Avg() | exp.Min() | exp.Max() | exp.GroupConcat():
            return _aggregate(node)
        case exp.Greatest() | exp.Least():  # max(a, b), which compares within one row
            which = "largest" if isinstance(node, exp.Greatest) else "smallest"
            return f"the {which} of {listed([in_words(e) for e in (node.this, *node.expressions)])}"
        case exp.Cast():
            return f"{in_words(node.this)} as {node.to.sql(dialect='sqlite').lower()}"
        case exp.Round():
            decimals = node.args.get("decimals")
            count = sql_of(decimals) if decimals else ""
            to = f" to {count} decimal{'s' * (count != '1')}" if count else ""
            return f"{_operand(node.this)} rounded{to}"
        case exp.Case() | exp.If():
            return _case(node)
        case exp.Neg() if not isinstance(node.this, exp.Literal):
            return f"minus {_operand(node.this)}"
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            operator = _OPERATORS[type(node)]
            return f"{_operand(node.this, node)} {operator} {_operand(node.expression)}"
        case exp.DPipe() if column := turned_date(node):
            return f"the date of {column}"
        case exp.DPipe():
            return f"{in_words(node.this)} followed by {in_words(node.expression)}"
    return _call_in_words(node)


def _call_in_words(node: exp.Expr) -> str:
    """A call of a function as a noun. SQL where there are no words for it."""
    match node:
        case exp.Coalesce():
            others = [in_words(e) for e in node.expressions]
            return f"{in_words(node.this)} (or, where that is missing, {listed(others, 'or')})"
        case exp.Date() if not node.expressions and not node.args.get("zone"):
            return f"the date of {in_words(node.this)}"
        case exp.Anonymous(expressions=[moment, exp.Literal(this="unixepoch")]):
            kind = {"DATE": "date", "DATETIME": "date and time"}.get(node.name.upper())
            return f"the {kind} of {in_words(moment)} (Unix time)" if kind else sql_of(node)
        case exp.Lower():
            return f"{in_words(node.this)} in lower case"
        case exp.Upper():
            return f"{in_words(node.this)} in upper case"
        case exp.Length():
            return f"the length of {in_words(node.this)}"
        case exp.Substring() if part := _characters(node):
            return f"{part} of {in_words(node.this)}"
        case exp.Trim() if not node.expression and not node.args.get("position"):
            return f"{in_words(node.this)} without spaces around it"
        case exp.TimeToStr() if node.text("format") in _PARTS_OF_A_DATE:
            when = node.this.this if isinstance(node.this, exp.TsOrDsToTimestamp) else node.this
            return f"{_PARTS_OF_A_DATE[node.text('format')]} {in_words(when)}"
    return sql_of(node)


def _characters(node: exp.Substring) -> str:
    """ "characters 1 to 4" for substr(x, 1, 4); nothing where the bounds are not plain numbers."""
    start, length = node.args.get("start"), node.args.get("length")
    if start is None:
        return ""
    if not all(isinstance(n, exp.Literal) and n.is_int for n in (start, length or start)):
        return ""
    first = int(start.this)
    if length is None:
        return f"character {first} onwards"
    return f"characters {first} to {first + int(length.this) - 1}"


def _operand(node: exp.Expr, beside: exp.Expr | None = None) -> str:
    """A noun as part of a sum or product: in parentheses where it is more than a name.

    A chain of one operator, or of × and ÷, needs none on its left.
    """
    words = in_words(node)
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


def _aggregate(node: exp.Expr) -> str:
    what, distinct = node.this, isinstance(node.this, exp.Distinct)
    if isinstance(node, exp.Count):
        if distinct:
            return f"the number of different {listed([in_words(e) for e in what.expressions])}"
        if what is None or isinstance(what, exp.Star | exp.Literal):
            return "the number of rows"
        return f"the number of rows where {in_words(what)} is not missing"
    words = _AGGREGATES[type(node)]
    if distinct:
        if not isinstance(node, exp.Min | exp.Max):  # for which repeats change nothing
            words += " different values of"
        return f"{words} {in_words(what.expressions[0])}"
    if isinstance(node, exp.Sum) and isinstance(what.unnest(), _CONDITIONS):
        return f"the number of rows where {condition_in_words(what.unnest())}"  # true counts as 1
    separator = node.args.get("separator")
    return f"{words} {in_words(what)}" + (f" joined by {sql_of(separator)}" if separator else "")


def _window(node: exp.Window) -> str:
    """ "the rank by amount, largest first, within each region"."""
    call: exp.Expr = node.this
    order = node.args.get("order")
    described = (*_RANKS, *_AGGREGATES, exp.Count, exp.Lag, exp.Lead)
    if node.args.get("spec") or node.alias or not isinstance(call, described):
        return sql_of(node)
    keys = [in_words(key) for key in node.args.get("partition_by") or ()]
    within = f" within each {listed(keys)}" if keys else ""
    by = f" by {sorting_in_words(order)}" if order else ""
    if type(call) in _RANKS:
        return f"{_RANKS[type(call)]}{by}{',' * bool(by and within)}{within}"
    if isinstance(call, exp.Lag | exp.Lead):
        if call.args.get("offset") or call.args.get("default"):
            return sql_of(node)
        which = "before" if isinstance(call, exp.Lag) else "after"
        return f"{in_words(call.this)} of the row {which}, sorted{by}{within}"
    if order:
        return f"{in_words(call)} so far, sorted{by}{within}"
    return f"{in_words(call)}{within or ' over all rows'}"


def _case(node: exp.Case | exp.If) -> str:
    """ "1 where status is 'open', 2 where it is 'new', otherwise 0"."""
    if isinstance(node, exp.If):
        branches, default = [node], node.args.get("false")
    else:
        branches, default = node.args["ifs"], node.args.get("default")
    subject = node.this if isinstance(node, exp.Case) else None
    words = []
    for branch in branches:
        condition = in_words(branch.this) if subject else condition_in_words(branch.this)
        if subject:
            condition = f"{in_words(subject)} is {condition}"
        words.append(f"{in_words(branch.args['true'])} where {condition}")
    words.append(f"otherwise {in_words(default) if default else 'NULL'}")
    return f"({', '.join(words)})"


def sorting_in_words(order: exp.Order, query: exp.Query | None = None) -> str:
    """An ORDER BY: "city, then by total, largest first". `query` gives numbers a meaning."""
    return ", then by ".join(_sorting(key, query) for key in order.expressions)


def _sorting(ordered: exp.Expr, query: exp.Query | None = None) -> str:
    what = _ordinal(output_by_number(ordered.this, query)) if query else in_words(ordered.this)
    descending, nulls_first = bool(ordered.args.get("desc")), ordered.args.get("nulls_first")
    # To SQLite, NULL is the smallest value; only an order that says otherwise mentions it.
    if nulls_first == descending:
        return f"{what}{', largest first' * descending}, NULLs {'first' if nulls_first else 'last'}"
    return f"{what}{', largest first' * descending}"


def output_by_number(node: exp.Expr, query: exp.Query) -> exp.Expr:
    """What an item of GROUP BY or ORDER BY means: `ORDER BY 2` is the second column shown."""
    if isinstance(node, exp.Literal) and node.is_int and isinstance(query, exp.Select):
        number = int(node.this)
        if 1 <= number <= len(query.expressions):
            output: exp.Expr = query.expressions[number - 1]
            return output.unalias()
    return node


def _ordinal(node: exp.Expr) -> str:
    number = int(node.this) if isinstance(node, exp.Literal) and node.is_int else 0
    return f"column {number}" if number else in_words(node)


# --- conditions -------------------------------------------------------------------

_COMPARISONS: dict[type[exp.Expr], str] = {
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


def condition_in_words(node: exp.Expr, beside: type[exp.Connector] | None = None) -> str:
    """A condition as a clause: "city is 'Oslo' and total is more than 5".

    `beside` is the connector it is an operand of: AND and OR do not mix without parentheses.
    """
    match node:
        case exp.Paren():
            return condition_in_words(node.this, beside)
        case exp.And() | exp.Or():
            word = "and" if isinstance(node, exp.And) else "or"
            kind = type(node)
            left = condition_in_words(node.this, kind)
            text = f"{left} {word} {condition_in_words(node.expression, kind)}"
            return text if beside in (None, kind) else f"({text})"
        case exp.Not():
            return _negated(node.this)
        case _ if node.args.get("negate"):  # how sqlglot writes NOT LIKE
            return _negated(node)
        case exp.Between():
            low, high = in_words(node.args["low"]), in_words(node.args["high"])
            return f"{in_words(node.this)} is between {low} and {high}"
        case exp.In():
            return f"{in_words(node.this)} is {_members(node)}"
        case exp.Exists():
            return "an inner query finds any row"
        case exp.Is(expression=exp.Null()):
            return f"{in_words(node.this)} is missing"
        case exp.EQ(expression=exp.Null()) | exp.NEQ(expression=exp.Null()):
            return f"{sql_of(node)} (never so: only IS NULL finds NULL)"
        case exp.Like():
            return _like(node)
    if type(node) in _COMPARISONS:
        words = _COMPARISONS[type(node)]
        return f"{in_words(node.this)} {words} {in_words(node.expression)}"
    return in_words(node)


def _negated(node: exp.Expr) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.In):
        return f"{in_words(node.this)} is not {_members(node)}"
    if isinstance(node, exp.Exists):
        return "an inner query finds no row"
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return f"{in_words(node.this)} is not missing"
    if isinstance(node, exp.Like):
        return _like(node, negated=True)
    if isinstance(node, exp.Between):
        return condition_in_words(node).replace(" is between ", " is not between ", 1)
    return sql_of(node) if node.args.get("negate") else f"not ({condition_in_words(node)})"


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
    text = sql_of(exp.Literal.string(inner)) if pattern else in_words(node.expression)
    return f"{in_words(node.this)} {f'does not {denied}' if negated else verb} {text}"


def _members(node: exp.In) -> str:
    if field := node.args.get("field"):  # x IN t, a table
        return f"among the rows of {in_words(field)}"
    if node.args.get("query"):
        return "among the results of an inner query"
    return f"one of {listed([in_words(e) for e in node.expressions], 'or')}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def sql_of(node: exp.Expr) -> str:
    """The expression as SQL."""
    return node.sql(dialect="sqlite")
