"""Which candidate answers the question? They are run, grouped by their rows, and ranked."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from t2sql_tui.core.answers.coverage import Coverage, coverage
from t2sql_tui.core.answers.rewrites.joins import fans_out, has_unlinked_join, rows_once
from t2sql_tui.core.english import name_words
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.lexer import normalized_spelling
from t2sql_tui.core.sql.tree import from_clause, parse
from t2sql_tui.core.types import (
    Candidate,
    CheckedQuery,
    Limits,
    QueryResult,
    Question,
    Reading,
    ShouldStop,
    ValueMatch,
    WarningKind,
)

if TYPE_CHECKING:
    from sqlglot import exp

    from t2sql_tui.core.database.database import Database

#: What one candidate may take while candidates are compared, and all of them together.
LIMITS = Limits(rows=1000, seconds=1.0, bytes=8 * 1024 * 1024)
SECONDS = 3.0
#: What a warning costs, in units of log-probability: a reading with it must be exp(so much)
#: times likelier to be preferred. Chosen on spider-train-holdout.
COST: dict[WarningKind, float] = {
    "error": 100.0,
    "timeout": 4.0,
    "cross-product": 2.0,
    "all-null": 2.0,
    "empty": 3.0,
    "unused-join": 1.5,
    "unlinked-join": 1.5,
    "fan-out": 1.0,
}
#: What it costs, in the same units, to use nothing that the question names, and to have no
#: construction for one of its phrases.
UNUSED_WORDS_COST = 3.0
UNMET_PHRASE_COST = 2.5


def read(
    candidates: Sequence[Candidate],
    database: Database,
    question: Question,
    values: Sequence[ValueMatch] = (),
    *,
    sampled: bool = False,
    should_stop: ShouldStop | None = None,
) -> tuple[Reading, ...]:
    """The readings of judged `candidates`, best first; candidates of the same rows are one.
    `values` are the stored values that the question mentions.

    A candidate counts by its probability; of `sampled` ones each counts once, because being
    drawn is what probability did for it. Takes SECONDS at most, however long they would run:
    what there was no time for has the warning "timeout".
    """
    if not candidates:
        return ()
    top = max(candidate.logprob or 0.0 for candidate in candidates)
    groups: dict[object, list[tuple[Candidate, float]]] = {}
    shown: dict[object, tuple[tuple[WarningKind, ...], QueryResult | None]] = {}
    known: dict[str, object] = {}
    ends = time.monotonic() + SECONDS
    for number, candidate in enumerate(candidates):
        weight = 1.0 if sampled else math.exp((candidate.logprob or 0.0) - top)
        spelling = normalized_spelling(candidate.sql)
        if spelling not in known:
            left = min(LIMITS.seconds, ends - time.monotonic())
            warnings, result = _try(candidate, database, question, left, should_stop)
            key = _rows_key(result) if result else (number, warnings)
            known[spelling] = key
            shown.setdefault(key, (warnings, result))
        groups.setdefault(known[spelling], []).append((candidate, weight))
    total = sum(weight for group in groups.values() for _, weight in group)
    readings = []
    for key, group in groups.items():
        warnings, result = shown[key]
        share = sum(weight for _, weight in group) / total
        best = group[0][0]
        unused = _coverage(best, database, question, values) if result else Coverage()
        readings.append(
            Reading(
                best,
                len(group),
                share,
                warnings,
                result,
                unused_words=unused.unused_words,
                unused_share=unused.unused_share,
                unmet_phrases=unused.unmet_phrases,
            )
        )
    return tuple(sorted(readings, key=score, reverse=True))


def score(reading: Reading) -> float:
    """What readings are ranked by: the log of their share, less what their warnings, the
    unused words and the unmet phrases of the question cost."""
    cost = sum(COST[kind] for kind in reading.warnings)
    cost += UNUSED_WORDS_COST * reading.unused_share + UNMET_PHRASE_COST * len(
        reading.unmet_phrases
    )
    return math.log(max(reading.share, 1e-30)) - cost


def _coverage(
    candidate: Candidate, database: Database, question: Question, values: Sequence[ValueMatch]
) -> Coverage:
    query = candidate.verdict
    assert isinstance(query, CheckedQuery)  # it was run
    return coverage(query, database.schema, question, values)


def _try(
    candidate: Candidate,
    database: Database,
    question: Question,
    seconds: float,
    should_stop: ShouldStop | None,
) -> tuple[tuple[WarningKind, ...], QueryResult | None]:
    query = candidate.verdict
    if not isinstance(query, CheckedQuery):
        return ("error",), None
    if seconds <= 0:
        return ("timeout",), None
    try:
        result = database.run(query, replace(LIMITS, seconds=seconds), should_stop)
    except QueryStopped:
        return ("timeout",), None
    except DatabaseError:
        return ("error",), None
    warnings = (
        *_warnings_of_rows(result),
        *_warnings_of_sql(query.sql, database, question, should_stop),
    )
    return warnings, result


def _rows_key(result: QueryResult) -> object:
    """Equal for results with the same rows, whatever the order of rows and columns."""
    rows = sorted(tuple(sorted(map(_cell_key, row))) for row in result.rows)
    return len(result.columns) if rows else 0, result.truncated, tuple(rows)


def _cell_key(value: object) -> str:
    # 1 and 1.0 are equal to SQLite and to the official scorer.
    if isinstance(value, (int, float)):
        return f"{value:.9g}"
    return repr(value)


# --- warnings ------------------------------------------------------------------------


def _warnings_of_rows(result: QueryResult) -> Iterator[WarningKind]:
    if not result.rows:
        yield "empty"
    elif all(value is None for row in result.rows for value in row):
        yield "all-null"


def _warnings_of_sql(
    sql: str, database: Database, question: Question, should_stop: ShouldStop | None
) -> tuple[WarningKind, ...]:
    """Warnings about how tables are joined: side by side without a condition that links them, with one
    from which nothing is used and that the question does not name, as no key says, or so that
    what is added up is repeated."""
    tree = parse(sql)
    if tree is None:
        return ()
    from sqlglot import exp

    selects = list(tree.find_all(exp.Select))
    asked = set(name_words(question.text))
    warnings: list[WarningKind] = []
    if any(_is_cross_product(select) for select in selects):
        warnings.append("cross-product")
    elif any(
        not asked.issuperset(name_words(name))
        for select in selects
        if not _is_filter(select)
        for name in _unused_tables(select)
    ):
        warnings.append("unused-join")
    if any(has_unlinked_join(select, database.schema) for select in selects):
        warnings.append("unlinked-join")
    if any(fans_out(select, database, should_stop) for select in selects):
        warnings.append("fan-out")
    return tuple(warnings)


def _is_cross_product(select: exp.Select) -> bool:
    from sqlglot import exp

    # sqlglot writes ON TRUE into a join that has no condition.
    loose = [
        join
        for join in select.args.get("joins") or ()
        if isinstance(join.args.get("on"), (exp.Boolean, type(None)))
        and not (join.args.get("using") or join.method)
    ]
    if not loose:
        return False
    where = select.args.get("where")
    links = [
        condition
        for condition in (where.find_all(exp.EQ) if where else ())
        if isinstance(condition.left, exp.Column) and isinstance(condition.right, exp.Column)
    ]
    return len(links) < len(loose)


def _unused_tables(select: exp.Select) -> list[str]:
    """The tables at the end of a chain of joins that give neither a column nor a condition.
    (They still drop rows without a partner, which few questions mean.)"""
    from sqlglot import exp

    joins = select.args.get("joins") or []
    source = from_clause(select)
    if not joins or source is None or any(join.side for join in joins):
        return []
    tables = [source.this, *(join.this for join in joins)]
    if not all(isinstance(table, exp.Table) for table in tables):
        return []
    names = {table.alias_or_name.lower(): table.name for table in tables}
    used: set[str] = set()
    linked: dict[str, int] = dict.fromkeys(names, 0)
    for node in select.walk():
        if isinstance(node, exp.Star):
            return []  # SELECT *, count(*): every table counts
        if not isinstance(node, exp.Column):
            continue
        name = node.table.lower()
        if not name:
            return []  # nobody here knows whose it is
        join = node.find_ancestor(exp.Join)
        if join is not None and join.parent is select:
            linked[name] = linked.get(name, 0) + 1
        else:
            used.add(name)
    return [table for name, table in names.items() if name not in used and linked[name] < 2]


def _is_filter(select: exp.Select) -> bool:
    """Whether other rows are kept or dropped by the rows of `select`: then a table that is merely
    joined does what was asked ("services that were never used")."""
    from sqlglot import exp

    parent, child = select.parent, select
    if isinstance(parent, exp.Subquery):
        parent, child = parent.parent, parent
    if isinstance(parent, exp.Except):
        return parent.expression is child
    return isinstance(parent, (exp.Intersect, exp.In, exp.Exists))


# --- readings that no candidate has -------------------------------------------------


def with_rows_once(
    readings: tuple[Reading, ...],
    database: Database,
    question: Question,
    values: Sequence[ValueMatch] = (),
    should_stop: ShouldStop | None = None,
) -> tuple[Reading, ...]:
    """`readings`, after the best of which comes one that takes each row once where the best adds
    up rows that a join repeats: nobody but the person knows which is meant. As they are where
    there is no such SQL, or another has the same rows."""
    best, *others = readings
    candidate = rows_once(best.candidate, database) if "fan-out" in best.warnings else None
    if candidate is None:
        return readings
    warnings, result = _try(candidate, database, question, LIMITS.seconds, should_stop)
    known = [_rows_key(reading.result) for reading in readings if reading.result]
    if result is None or _rows_key(result) in known:
        return readings
    unused = _coverage(candidate, database, question, values)
    reading = Reading(
        candidate,
        0,
        0.0,
        warnings,
        result,
        unused_words=unused.unused_words,
        unused_share=unused.unused_share,
        unmet_phrases=unused.unmet_phrases,
    )
    return best, reading, *others


def with_stored_values(
    reading: Reading,
    database: Database,
    question: Question,
    should_stop: ShouldStop | None = None,
) -> Reading | None:
    """`reading` with the nearest stored value in place of each text that its column does not
    hold ('NYC' -> 'New York City'). None where there is none, or where it finds no rows."""
    from sqlglot import exp

    from t2sql_tui.core.prompting.value_matching import find_values

    query = reading.candidate.verdict
    tree = parse(query.sql) if isinstance(query, CheckedQuery) else None
    if tree is None:
        return None
    replaced: list[tuple[str, str]] = []
    tables = {table.alias_or_name.lower(): table.name.lower() for table in tree.find_all(exp.Table)}
    for node in list(tree.find_all(exp.EQ)):
        column, text = node.left, node.right
        if not (isinstance(column, exp.Column) and isinstance(text, exp.Literal)):
            continue
        if not text.is_string:
            continue
        matches = [
            match
            for match in find_values(database, text.this)
            if match.column.lower() == column.name.lower()
            and (
                tables.get(column.table.lower()) == match.table.lower()
                if column.table
                else match.table.lower() in tables.values()
            )
        ]
        if matches and all(match.value != text.this for match in matches):
            replaced.append((text.this, matches[0].value))
            text.replace(exp.Literal.string(matches[0].value))
    if not replaced:
        return None
    sql = tree.sql(dialect="sqlite")
    candidate = replace(reading.candidate, sql=sql, verdict=check(sql, database))
    warnings, result = _try(candidate, database, question, LIMITS.seconds, should_stop)
    if result is None or not result.rows:
        return None
    return replace(
        reading, candidate=candidate, warnings=warnings, result=result, replaced=tuple(replaced)
    )
