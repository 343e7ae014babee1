"""SQL that reads dates as SQLite does, rewritten where they are stored in another way.

SQLite has no type for dates: its functions, and comparisons with '2024-12-31', know ISO text
alone. Files hold 31.12.2024, 12/31/2024, 20241231, a year or the seconds since 1970 just as well.
There STRFTIME gives NULL or nonsense, and WHERE finds nothing, without any error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sqlglot import exp, parse_one
from sqlglot.expressions import alias_

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.rewrites.types import Rewrite
from t2sql_tui.core.database.forms import FIXED_ISO, PRINTED_DATE, DateForm
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.types import Candidate, CheckedQuery, Schema

#: What a statement takes a column for, and the forms that it then misreads.
_Misread = Callable[[DateForm], bool]


def _not_iso(form: DateForm) -> bool:
    return bool(form.iso)


def _misread_by_functions(form: DateForm) -> bool:
    """What SQLite's date functions misread: they know Julian days."""
    return bool(form.iso) and form.name != "julian day"


def _year_not_first(form: DateForm) -> bool:
    return bool(form.iso) and not form.year_first


def _not_sorted(form: DateForm) -> bool:
    return bool(form.iso) and not form.sorts


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
    sentences: dict[str, None] = {}
    for column, misreads in list(_uses(tree)):
        stored = _stored_column(column, tree, context.schema)
        profile = context.profile(*stored) if stored else None
        form = profile.dates if profile else None
        if stored and form and misreads(form):
            text = form.iso.format(c=column.sql(dialect="sqlite"))
            column.replace(parse_one(text, read="sqlite"))
            sentences[
                f"Dates in {stored[1]} are stored like {form.example}: "
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
    if len(columns) != 1:
        return ""
    (name,) = columns
    if PRINTED_DATE in next((e.name for e in node.find_all(exp.Literal)), ""):
        return name
    if not isinstance(node, exp.DPipe):
        return ""
    turned = (parse_one(t.format(c=name), read="sqlite") for t in FIXED_ISO.values() if "||" in t)
    return name if node in turned else ""


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


def _uses(tree: exp.Expr) -> Iterator[tuple[exp.Column, _Misread]]:
    """The columns that a statement takes for ISO dates, each with what tells the forms for which
    that is wrong."""
    for node in tree.find_all(exp.Column):
        parent = node.parent
        if isinstance(parent, exp.TsOrDsToTimestamp):  # so sqlglot reads STRFTIME of two
            yield node, _misread_by_functions
        elif isinstance(parent, (exp.Func, exp.Anonymous)) and _is_date(parent):
            texts = [e.name.lower() for e in parent.find_all(exp.Literal)]
            if not any(text in _MODIFIERS for text in texts):
                yield node, _misread_by_functions
        elif isinstance(parent, exp.Substring):
            if parent.text("start") == "1" and parent.text("length") in ("4", "7"):
                yield node, _year_not_first
        elif isinstance(parent, _COMPARISONS):
            operands: list[exp.Expr] = list(parent.iter_expressions())
            others = [operand for operand in operands if operand is not node]
            if others and all(map(_is_moment, others)):
                whole = any("-" in other.name for other in others) or any(map(_is_date, others))
                yield node, _not_iso if whole else _year_not_first
        elif isinstance(parent, exp.Ordered):
            # ORDER BY of a UNION may only name what the union gives.
            order = parent.parent
            if not isinstance(order and order.parent, exp.SetOperation):
                yield node, _not_sorted


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
    name = folded(column.name)
    if any(folded(alias.alias) == name for alias in tree.find_all(exp.Alias)):
        return None  # it may be what the statement itself has made
    owner = folded(column.table)
    stored = set()
    for source in tree.find_all(exp.Table):
        table = schema.table(source.name)
        if table and (not owner or folded(source.alias_or_name) == owner):
            stored |= {(table.name, c.name) for c in table.columns if folded(c.name) == name}
    return stored.pop() if len(stored) == 1 else None
