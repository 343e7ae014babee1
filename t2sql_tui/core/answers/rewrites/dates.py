"""SQL that reads dates as SQLite does, rewritten where they are stored in another way.

SQLite has no type for dates: its functions, and comparisons with '2024-12-31', know ISO text
alone. Files hold 31.12.2024, 12/31/2024, 20241231, a year or the seconds since 1970 just as well.
There STRFTIME gives NULL or nonsense, and WHERE finds nothing, without any error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.expressions import alias_

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.rewrites.types import Rewrite
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Candidate, CheckedQuery, Limits, Schema

#: Rows that show how a column stores its dates, and what looking at them may take.
_LIMITS = Limits(rows=1000, seconds=0.3, bytes=1024 * 1024)

#: The ISO text of a date {c} in each form; where a time stands behind the date, with the time.
_ISO = {
    "dmy": "substr({c}, 7, 4) || '-' || substr({c}, 4, 2) || '-' || substr({c}, 1, 2)",
    "mdy": "substr({c}, 7, 4) || '-' || substr({c}, 1, 2) || '-' || substr({c}, 4, 2)",
    "dmy and time": "substr({c}, 7, 4) || '-' || substr({c}, 4, 2) || '-' || substr({c}, 1, 2) "
    "|| substr({c}, 11)",
    "mdy and time": "substr({c}, 7, 4) || '-' || substr({c}, 1, 2) || '-' || substr({c}, 4, 2) "
    "|| substr({c}, 11)",
    "ymd": "replace(replace({c}, '/', '-'), '.', '-')",
    "compact": "substr({c}, 1, 4) || '-' || substr({c}, 5, 2) || '-' || substr({c}, 7, 2)",
    "year": "{c} || '-01-01'",
    "midnights": "date({c}, 'unixepoch')",
    "seconds": "datetime({c}, 'unixepoch')",
    "milliseconds": "datetime({c} / 1000, 'unixepoch')",
}
_FORMS = frozenset(_ISO)
#: Forms in which a later date is not always a greater text.
_UNSORTED = frozenset(["dmy", "mdy", "dmy and time", "mdy and time"])
#: Forms for which LIKE '2024%' is wrong.
_YEAR_NOT_FIRST = _FORMS - {"ymd", "compact", "year"}

_FUNCTIONS = ("date", "datetime", "julianday", "strftime", "time", "unixepoch")
_MODIFIERS = ("unixepoch", "julianday", "auto")  # whoever writes these knows the form
_ISO_TEXT = re.compile(r"(\d{4})(-\d\d?)?(-\d\d?.*)?[%*]?")


def rewrite_dates(candidate: Candidate, context: AnswerContext) -> Rewrite | None:
    """The SQL with the ISO text of a stored date in place of each column whose dates it would
    misread. None where there is none, or where it cannot be told which of 03/04/2024 is the
    month."""
    query = candidate.verdict
    if not isinstance(query, CheckedQuery) or query.tree is None:
        return None
    tree = query.tree.copy()
    outputs = [(node, node.sql(dialect="sqlite")) for node in tree.args.get("expressions") or ()]
    forms: dict[tuple[str, str], tuple[str, str]] = {}  # and an example, by table and column
    sentences: dict[str, None] = {}
    for column, wrong_forms in list(_uses(tree)):
        stored = _stored_column(column, tree, context.schema)
        if stored is None:
            continue
        if stored not in forms:
            forms[stored] = form_of(_first_values(*stored, context))
        form, example = forms[stored]
        if form in wrong_forms:
            text = _ISO[form].format(c=column.sql(dialect="sqlite"))
            column.replace(parse_one(text, read="sqlite"))
            sentences[
                f"Dates in {stored[1]} are stored like {example}: "
                "the SQL turns them into ISO dates."
            ] = None
    if not sentences:
        return None
    for node, text in outputs:  # what heads a column of the result stays short
        if not node.alias and node.sql(dialect="sqlite") != text:
            node.replace(alias_(node.copy(), text, quoted=True))
    return Rewrite(tree.sql(dialect="sqlite"), tuple(sentences))


def turned_date(node: exp.Expr) -> str:
    """The column whose stored date `node` turns into ISO text, as written; "" for others."""
    columns = {column.sql(dialect="sqlite") for column in node.find_all(exp.Column)}
    if not isinstance(node, exp.DPipe) or len(columns) != 1:
        return ""
    name = columns.pop()
    turned = (parse_one(t.format(c=name), read="sqlite") for t in _ISO.values() if "||" in t)
    return name if node in turned else ""


def form_of(values: Sequence[Any]) -> tuple[str, str]:
    """How all of these (but NULL and '') store dates, a key of _ISO, and one of them; ("", "")
    where they are ISO dates, of several forms, or no dates."""
    dates = [value for value in values if value not in (None, "")]
    if not dates:
        return "", ""
    example = str(dates[0])
    if all(type(value) is int for value in dates):
        low, high = min(dates), max(dates)
        if low >= 1700 and high <= 2200:
            return "year", example
        if low >= 17000101 and high <= 22001231 and _all(dates, _COMPACT):
            return "compact", example
        if low >= 10**8 and high < 10**10:
            return "seconds" if any(value % 86_400 for value in dates) else "midnights", example
        return ("milliseconds", example) if low >= 10**11 and high < 10**13 else ("", "")
    if not all(isinstance(value, str) for value in dates):
        return "", ""
    if _all(dates, _COMPACT):
        return "compact", example
    if _all(dates, _YEAR):
        return "year", example
    if _all(dates, _YMD):
        return "ymd", example
    if not _all(dates, _DAY_OR_MONTH_FIRST):
        return "", ""
    first = max(int(value[:2]) for value in dates)
    second = max(int(value[3:5]) for value in dates)
    time = " and time" if any(len(value) > 10 for value in dates) else ""
    if first > 12 >= second:
        return f"dmy{time}", example
    return (f"mdy{time}", example) if second > 12 >= first else ("", "")


_TIME = r"( \d.*)?"
_COMPACT = re.compile(r"(1[7-9]|2[01])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_YEAR = re.compile(r"(1[7-9]|2[01])\d\d")
_YMD = re.compile(r"\d{4}([/.])[01]\d\1[0-3]\d" + _TIME)
_DAY_OR_MONTH_FIRST = re.compile(r"[0-3]\d([./-])[0-3]\d\1\d{4}" + _TIME)


def _all(values: Sequence[object], pattern: re.Pattern[str]) -> bool:
    return all(pattern.fullmatch(str(value)) for value in values)


def _first_values(table: str, column: str, context: AnswerContext) -> list[Any]:
    """What the first rows of a column hold."""
    sql = f"SELECT {quote_identifier(column)} FROM {quote_identifier(table)}"
    query = check(sql, context.database)
    if not isinstance(query, CheckedQuery):
        return []
    try:
        result = context.database.run(query, _LIMITS, context.should_stop)
    except (DatabaseError, QueryStopped):
        return []
    return [row[0] for row in result.rows]


# --- what a statement takes for dates -------------------------------------------------


_COMPARISONS = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Like,
    exp.Glob,
    exp.Between,
    exp.In,
)


def _uses(tree: exp.Expr) -> Iterator[tuple[exp.Column, frozenset[str]]]:
    """The columns that a statement takes for ISO dates, each with the forms for which that is
    wrong."""
    for node in tree.find_all(exp.Column):
        parent = node.parent
        if isinstance(parent, exp.TsOrDsToTimestamp):  # so sqlglot reads STRFTIME of two
            yield node, _FORMS
        elif isinstance(parent, (exp.Func, exp.Anonymous)) and _is_date(parent):
            texts = [e.name.lower() for e in parent.find_all(exp.Literal)]
            if not any(text in _MODIFIERS for text in texts):
                yield node, _FORMS
        elif isinstance(parent, exp.Substring):
            if parent.text("start") == "1" and parent.text("length") in ("4", "7"):
                yield node, _YEAR_NOT_FIRST
        elif isinstance(parent, _COMPARISONS):
            operands: list[exp.Expr] = list(parent.iter_expressions())
            others = [operand for operand in operands if operand is not node]
            if others and all(map(_is_moment, others)):
                whole = any("-" in other.name for other in others) or any(map(_is_date, others))
                yield node, _FORMS if whole else _YEAR_NOT_FIRST
        elif isinstance(parent, exp.Ordered):
            # ORDER BY of a UNION may only name what the union gives.
            order = parent.parent
            if not isinstance(order and order.parent, exp.SetOperation):
                yield node, _UNSORTED


def _is_date(node: exp.Expr) -> bool:
    """Whether `node` is a call of one of SQLite's date functions."""
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _FUNCTIONS
    return isinstance(node, (exp.TimeToStr, exp.CurrentDate, exp.CurrentTimestamp, exp.Date))


def _is_moment(node: exp.Expr) -> bool:
    """Whether `node` is an ISO date or its beginning, as text, or a date function."""
    if isinstance(node, exp.Literal):
        match = _ISO_TEXT.fullmatch(node.name) if node.is_string else None
        # '2024' alone is a year; it is a date's beginning with a pattern's % behind it
        return match is not None and (bool(match[2]) or node.name[-1] in "%*")
    return _is_date(node)


def _stored_column(column: exp.Column, tree: exp.Expr, schema: Schema) -> tuple[str, str] | None:
    """The table and column, as stored, that `column` stands for; None where that is not sure."""
    name = column.name.lower()
    if any(alias.alias.lower() == name for alias in tree.find_all(exp.Alias)):
        return None  # it may be what the statement itself has made
    owner = column.table.lower()
    stored = set()
    for source in tree.find_all(exp.Table):
        table = schema.table(source.name)
        if table and (not owner or source.alias_or_name.lower() == owner):
            stored |= {(table.name, c.name) for c in table.columns if c.name.lower() == name}
    return stored.pop() if len(stored) == 1 else None
