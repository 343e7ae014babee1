"""Execution accuracy: does the prediction give the rows of the gold?

The verdict is that of `exec_eval.py` in taoyds/test-suite-sql-eval (Zhong et al. 2020),
flag for flag: the order of rows matters only where the gold contains "order by",
otherwise rows are a bag; any permutation of columns passes; two empty results are equal;
DISTINCT is dropped from both sides unless `keep_distinct`; values compare as in Python
(1 == 1.0). Beside it stands a stricter verdict on the SQL as it was written.

Both sides run through the app's own locked `Database.run()`, so the time limit stops a
query for good. Two differences are on purpose: what is no SELECT does not run, while the
official script would run a PRAGMA or a DELETE and call it right where the gold is empty;
and bytes that are not UTF-8 become U+FFFD on both sides, where it drops them.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.metrics import official
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Limits, Rejection

Row = tuple[Any, ...]
Rows = Sequence[Row]

# The official limit of 60 seconds, and room for any gold. A prediction is cut one row
# after the gold's last, which proves it wrong; so no limit but time changes a verdict.
GENEROUS = Limits(rows=10_000_000, seconds=60.0, bytes=4 * 1024**3)
# Sets hide duplicates, so here a prediction may be much longer than its gold.
BIRDS_LIMITS = Limits(rows=1_000_000, seconds=30.0, bytes=4 * 1024**3)


@dataclass(frozen=True, slots=True)
class ExecutionVerdict:
    """`correct` is official, but that `more_columns` tells an answer that is right once columns
    beyond the gold's are dropped (where the caller allows that). `strict` judges the SQL as
    written: DISTINCT kept, the same types, columns in the gold's order, and as many of them even
    where there are no rows.

    `predicted_runs` is about the SQL as written. `gold_fails` tells a broken gold, which
    nothing can match. `error` says why a side did not run, `problem` which kind of
    rejection it was (the `kind` of a core Problem, "" where the check found none).
    """

    correct: bool
    strict: bool
    predicted_runs: bool
    gold_fails: bool = False
    error: str = ""
    timed_out: bool = False
    problem: str = ""
    more_columns: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one SQL gave on one database. `rows` is None if it did not run to its end; `cut`
    says that there are more of them."""

    rows: Rows | None
    width: int = 0
    cut: bool = False
    error: str = ""
    timed_out: bool = False
    problem: str = ""


def verdict_of_any(
    golds: Sequence[str],
    predicted: str,
    databases: Sequence[Path],
    *,
    keep_distinct: bool = False,
    more_columns: bool = False,
) -> ExecutionVerdict:
    """The verdict by that of the accepted `golds` which is kindest to the prediction. The first
    of them stands where none is met.

    Raises: DatabaseError if a database does not open.
    """
    best: ExecutionVerdict | None = None
    for gold in golds:
        found = verdict(
            gold, predicted, databases, keep_distinct=keep_distinct, more_columns=more_columns
        )
        if best is None or _kindness(found) > _kindness(best):
            best = found
        # What has not ended for one gold would take its minute for each of the others.
        if (best.correct and not best.more_columns) or found.timed_out:
            break
    assert best is not None, "an example has a gold"
    return best


def _kindness(found: ExecutionVerdict) -> tuple[bool, bool, bool]:
    return found.correct, not found.more_columns, found.strict


def verdict(
    gold: str,
    predicted: str,
    databases: Sequence[Path],
    *,
    keep_distinct: bool = False,
    more_columns: bool = False,
    limits: Limits = GENEROUS,
) -> ExecutionVerdict:
    """Judge one prediction. With several databases it must be right on every one, which
    is test-suite accuracy; the first that neither accuracy survives ends the search. With
    `more_columns`, more columns than the gold has are no fault.

    Raises: DatabaseError if a database does not open.
    """
    texts = _texts(gold, predicted, keep_distinct)
    found: list[ExecutionVerdict] = []
    for path in databases:
        found.append(_verdict_on(path, texts, more_columns, limits))
        if found[-1].gold_fails:
            return found[-1]
        if not all(v.correct for v in found) and not all(v.strict for v in found):
            break
    trouble = next((v for v in found if v.error), ExecutionVerdict(False, False, False))
    correct = all(v.correct for v in found)
    return ExecutionVerdict(
        correct,
        strict=all(v.strict for v in found),
        predicted_runs=all(v.predicted_runs for v in found),
        error=trouble.error,
        timed_out=trouble.timed_out,
        problem=trouble.problem,
        more_columns=correct and any(v.more_columns for v in found),
    )


def _verdict_on(path: Path, texts: _Texts, more_columns: bool, limits: Limits) -> ExecutionVerdict:
    """The verdict on a single database."""
    wanted, wanted_as_written = (
        _gold_outcome(_stamped(path), sql, limits) for sql in (texts.judged_gold, texts.gold)
    )
    for outcome in (wanted, wanted_as_written):
        if outcome.rows is None:
            return _gold_fails(outcome)
    as_written = _execute(path, texts.predicted, _just_beyond(wanted_as_written, limits))
    if texts.several_statements:
        as_judged = _Outcome(None, error="there is more than one statement")
    elif texts.judged_as_written:
        as_judged = as_written
    else:
        as_judged = _execute(path, texts.judged, _just_beyond(wanted, limits))
    correct = _correct(wanted, as_judged, texts.ordered)
    wider = more_columns and not correct and _correct_in_columns(wanted, as_judged, texts.ordered)
    trouble = next((o for o in (as_written, as_judged) if o.rows is None), _Outcome(()))
    return ExecutionVerdict(
        correct or wider,
        strict=_strict(wanted_as_written, as_written, texts.ordered),
        predicted_runs=as_written.rows is not None,
        error=trouble.error,
        timed_out=trouble.timed_out,
        problem=trouble.problem,
        more_columns=wider,
    )


@dataclass(frozen=True, slots=True)
class _Texts:
    """Both queries, as they were written and as the official script judges them. With
    `several_statements` it does not run the prediction."""

    gold: str
    predicted: str
    judged_gold: str
    judged: str
    several_statements: bool

    @property
    def ordered(self) -> bool:
        """Whether the order of rows counts."""
        return "order by" in self.judged_gold.lower()

    @property
    def judged_as_written(self) -> bool:
        """Whether one execution serves both verdicts."""
        return (self.judged, self.judged_gold) == (self.predicted, self.gold)


def _texts(gold: str, predicted: str, keep_distinct: bool) -> _Texts:
    written_gold = official.joined_operators(gold)
    written = official.joined_operators(predicted)
    judged_gold, judged = written_gold, official.prediction_text(gold, written)
    if not keep_distinct:
        judged_gold = official.without_distinct(judged_gold)
        judged = official.without_distinct(judged)
    several = keep_distinct and not official.is_one_statement(judged)
    return _Texts(written_gold, written, judged_gold, judged, several)


def _correct(wanted: _Outcome, got: _Outcome, ordered: bool) -> bool:
    """The official verdict on two results."""
    return (
        wanted.rows is not None
        and got.rows is not None
        and same_result(wanted.rows, got.rows, ordered)
    )


def _correct_in_columns(wanted: _Outcome, got: _Outcome, ordered: bool) -> bool:
    """The official verdict on two results, where columns beyond the gold's are dropped."""
    return (
        wanted.rows is not None
        and got.rows is not None
        and same_in_columns(wanted.rows, got.rows, ordered)
    )


def _strict(wanted: _Outcome, got: _Outcome, ordered: bool) -> bool:
    """The strict verdict on two results."""
    return (
        wanted.rows is not None
        and got.rows is not None
        and got.width == wanted.width
        and same_exactly(wanted.rows, got.rows, ordered)
    )


def bird_verdict(
    gold: str, predicted: str, database: Path, *, limits: Limits = BIRDS_LIMITS
) -> ExecutionVerdict:
    """BIRD's execution accuracy: the results are equal as sets of rows, so duplicates and
    the order of rows never count, and the order of columns does.

    Source: `evaluation.py` of AlibabaResearch/DAMO-ConvAI/bird (Li et al. 2023). `strict`
    is as in verdict(). A result of more than `limits.rows` rows is wrong, or a gold that
    fails. Raises: DatabaseError as there.
    """
    wanted = _gold_outcome(_stamped(database), gold, limits)
    if wanted.rows is None:
        return _gold_fails(wanted)
    got = _execute(database, predicted, limits)
    return ExecutionVerdict(
        correct=got.rows is not None and not got.cut and set(got.rows) == set(wanted.rows),
        strict=not got.cut and _strict(wanted, got, "order by" in gold.lower()),
        predicted_runs=got.rows is not None,
        error=got.error,
        timed_out=got.timed_out,
        problem=got.problem,
    )


def _gold_fails(outcome: _Outcome) -> ExecutionVerdict:
    return ExecutionVerdict(
        correct=False,
        strict=False,
        predicted_runs=False,
        gold_fails=True,
        error=outcome.error,
        timed_out=outcome.timed_out,
    )


# --- comparing results ------------------------------------------------------------


def same_result(gold: Rows, predicted: Rows, ordered: bool) -> bool:
    """The official `result_eq()`: is there a permutation of the predicted columns that
    gives the gold rows, as a list if `ordered`, else as a bag?

    The official script tries permutations one by one; matching column by column gives
    the same answer without the factorial.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    if not _same_ignoring_columns(gold, predicted, ordered):
        return False
    gold_columns, columns = list(zip(*gold, strict=True)), list(zip(*predicted, strict=True))
    if ordered:
        return Counter(gold_columns) == Counter(columns)
    return _columns_match(gold_columns, columns)


def same_in_columns(gold: Rows, predicted: Rows, ordered: bool) -> bool:
    """Are there columns among the predicted that give the gold rows, as same_result() has it?"""
    if not gold or len(gold) != len(predicted) or len(gold[0]) >= len(predicted[0]):
        return False
    gold_columns, columns = list(zip(*gold, strict=True)), list(zip(*predicted, strict=True))
    if ordered:
        return not Counter(gold_columns) - Counter(columns)
    return _columns_match(gold_columns, columns)


def _same_ignoring_columns(gold: Rows, predicted: Rows, ordered: bool) -> bool:
    """The official `quick_rej()`. More than a short cut: it sorts the cells of a row by
    their text, so (1, 10) and (1.0, 10) differ here although 1 == 1.0."""
    gold, predicted = (
        [tuple(sorted(row, key=lambda cell: f"{cell}{type(cell)}")) for row in rows]
        for rows in (gold, predicted)
    )
    return gold == predicted if ordered else set(gold) == set(predicted)


def _columns_match(gold: list[Row], columns: list[Row]) -> bool:
    """Can `columns` be arranged so that the bags of rows agree?

    Depth first: column i of the gold takes each free column in turn, and the rows cut
    off after column i must already agree. `gold_ids` and `ids` number those beginnings
    of rows, equal ones equally, so a step costs one pass over the rows.
    """

    def extend(at: int, gold_ids: list[int], ids: list[int], free: list[Row]) -> bool:
        if at == len(gold):
            return True
        tried: set[Row] = set()
        for index, column in enumerate(free):
            if column in tried:
                continue
            tried.add(column)
            numbers: dict[tuple[int, Any], int] = {}
            longer_gold = _number(zip(gold_ids, gold[at], strict=True), numbers)
            longer = _number(zip(ids, column, strict=True), numbers)
            if Counter(longer_gold) == Counter(longer) and extend(
                at + 1, longer_gold, longer, free[:index] + free[index + 1 :]
            ):
                return True
        return False

    rows = len(gold[0])
    return extend(0, [0] * rows, [0] * rows, columns)


def _number(
    beginnings: Iterable[tuple[int, Any]], numbers: dict[tuple[int, Any], int]
) -> list[int]:
    return [numbers.setdefault(beginning, len(numbers)) for beginning in beginnings]


def same_exactly(gold: Rows, predicted: Rows, ordered: bool) -> bool:
    """The same rows with the same types (1 is not 1.0), columns in the same order."""

    def typed(rows: Rows) -> list[Row]:
        return [tuple((type(cell), cell) for cell in row) for row in rows]

    if len(gold) != len(predicted):
        return False
    if ordered:
        return typed(gold) == typed(predicted)
    return Counter(typed(gold)) == Counter(typed(predicted))


# --- running ----------------------------------------------------------------------

# A path with size and time of its last change, so that a cache never serves an old file.
_Stamped = tuple[Path, int, int]


def _stamped(path: Path) -> _Stamped:
    try:
        found = path.stat()
    except OSError as error:
        raise DatabaseError(f"{path} cannot be opened: {error.strerror}.") from error
    return path, found.st_size, found.st_mtime_ns


class _OpenDatabases:
    """The `most` databases that were used last, open. One that another takes the place of is
    closed, for an open database has processes of its own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._opened: OrderedDict[_Stamped, Database] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, stamped: _Stamped) -> Database:
        """The database, opened now or before. Raises: DatabaseError."""
        with self._lock:
            if stamped not in self._opened:
                self._opened[stamped] = open_database(stamped[0])
            self._opened.move_to_end(stamped)
            if len(self._opened) > self._most:
                self._opened.popitem(last=False)[1].close()
            return self._opened[stamped]


# Examples come sorted by database, so few need to stay open or at hand: a database and its
# neighbours.
_DATABASES = _OpenDatabases(16)


@lru_cache(maxsize=256)
def _gold_outcome(stamped: _Stamped, sql: str, limits: Limits) -> _Outcome:
    outcome = _execute(stamped[0], sql, limits)
    if outcome.cut:
        return _Outcome(None, error=f"the gold has more than {limits.rows} rows")
    return outcome


def _just_beyond(gold: _Outcome, limits: Limits) -> Limits:
    return replace(limits, rows=len(gold.rows or ()) + 1)


def _execute(path: Path, sql: str, limits: Limits) -> _Outcome:
    database = _DATABASES.get(_stamped(path))
    sql = official.current_year(sql)
    checked = check(sql, database)
    if isinstance(checked, Rejection):
        return _Outcome(None, error=checked.message, problem=checked.problems[0].kind)
    try:
        result = database.run(checked, limits)
    except QueryStopped as error:
        return _Outcome(None, error=error.message, timed_out=error.reason == "time")
    except DatabaseError as error:
        return _Outcome(None, error=error.message)
    if result.truncated == "bytes":
        return _Outcome(None, error=f"the result is larger than {limits.bytes} bytes")
    return _Outcome(result.rows, len(result.columns), cut=result.truncated == "rows")
