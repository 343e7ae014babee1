"""What a person is told of an answer with several readings: agreement, doubt, differences.

The same words in the app and on the command line; nothing here runs any SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from t2sql_tui.core.types import Answer, CheckedQuery, QueryResult, Reading, Schema

SURE = 0.9  # confidence from which an answer is called sure
UNSURE = 0.5  # confidence under which the person is asked, or told of the doubt

NAMED = 4  # words that are listed, at most


def choices(answer: Answer) -> list[Reading]:
    """The readings that a person can choose from: those whose SQL passed the check."""
    return [r for r in answer.readings if isinstance(r.candidate.verdict, CheckedQuery)]


def is_unsure(answer: Answer) -> bool:
    return answer.confidence is not None and answer.confidence < UNSURE


def certainty(confidence: float) -> str:
    """Sure (96 %), Likely right (87 %), Unsure (34 %). Never 0 or 100 %: it is an estimate."""
    word = "Sure" if confidence >= SURE else "Unsure" if confidence < UNSURE else "Likely right"
    return f"{word} ({min(max(round(100 * confidence), 1), 99)} %)"


def agreement(readings: Sequence[Reading]) -> str:
    """4 of 4 candidates agree; or: 3 of 4 agree, 1 gives other rows. "" for one candidate."""
    total = sum(reading.votes for reading in readings)
    if total < 2:
        return ""
    first, *others = readings
    if first.result is None:
        return f"The {total} candidates could not be compared"
    if first.votes == total:
        return f"{total} of {total} candidates agree"
    shown = sum(reading.votes for reading in others if same_rows(first, reading))
    differ = sum(reading.votes for reading in others if reading.result) - shown
    unknown = total - first.votes - differ - shown
    if first.votes == 1:
        said = f"1 of {total} candidates gives these {'columns' if shown else 'rows'}"
    else:
        said = f"{first.votes} of {total} agree"
    rest = []
    if shown:
        rest.append(f"{shown} {'shows' if shown == 1 else 'show'} other columns of the same rows")
    if differ:
        rest.append(f"{differ} {'gives' if differ == 1 else 'give'} other rows")
    if unknown:
        rest.append(f"{unknown} could not be run to the end")
    return f"{said}; {', '.join(rest)}"


def same_rows(first: Reading, second: Reading) -> bool:
    """Whether one of them shows what the other does, and further columns of the same rows.
    False where nobody can tell: a limit cut a result, one has no rows, or a single row of
    numbers, which may be equal by chance."""
    results = first.result, second.result
    if any(result is None or result.truncated or not result.rows for result in results):
        return False
    narrow, wide = sorted(results, key=lambda result: len(result.columns))
    if len(narrow.columns) == len(wide.columns) or len(narrow.rows) != len(wide.rows):
        return False
    if len(narrow.rows) == 1 and not any(isinstance(cell, str) for cell in narrow.rows[0]):
        return False
    left = {place: Counter(column) for place, column in enumerate(zip(*wide.rows))}
    chosen = []
    for column in zip(*narrow.rows):
        cells = Counter(column)
        place = next((place for place, other in left.items() if other == cells), None)
        if place is None:
            return False
        chosen.append(place)
        del left[place]
    return Counter(narrow.rows) == Counter(tuple(row[p] for p in chosen) for row in wide.rows)


def asks_which(answer: Answer) -> bool:
    """Whether the person is to say which reading is meant: there is doubt, and readings whose
    rows differ in more than the columns that they show."""
    first, *others = choices(answer) or [Reading(answer.candidate)]
    return is_unsure(answer) and any(not same_rows(first, other) for other in others)


def changes(reading: Reading) -> list[str]:
    """A sentence for each thing in which the SQL is no longer what the model wrote."""
    texts = [f"No row holds '{text}': this looks for '{new}'." for text, new in reading.replaced]
    return [*texts, *reading.candidate.rewrites]


def warnings_text(reading: Reading) -> str:
    """A sentence for each warning, and one for what of the question the SQL does not use."""
    from t2sql_tui.core.answers.warnings import WARNINGS  # brings sqlglot: see core/ask.py

    said = [WARNINGS[name].sentence for name in reading.warnings]
    if unused := (*reading.unused_words, *reading.unmet_phrases):
        said.append(f"It makes no use of: {', '.join(unused[:NAMED])}.")
    return " ".join(said)


def summary(answer: Answer) -> str:
    """One line on how far to trust the answer; "" where there is nothing to say."""
    parts = [] if answer.confidence is None else [certainty(answer.confidence)]
    if said := agreement(answer.readings):
        parts.append(said)
    sentences = [" · ".join(parts) + "."] if parts else []
    if answer.readings:
        sentences += changes(answer.readings[0])
    if answer.readings and (said := warnings_text(answer.readings[0])):
        sentences.append(said)
        if is_unsure(answer) and len(choices(answer)) == 1:
            sentences.append("This database may not be able to answer the question.")
    elif is_unsure(answer) and len(choices(answer)) < 2:
        sentences.append("Read the SQL before you rely on it.")
    return " ".join(sentences)


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows that one result has more often than the other, in its own order, and how many
    rows both have. `compared` is how many rows were looked at where a limit cut a result
    (so that what lies behind them is not known), else None."""

    only_first: tuple[tuple[Any, ...], ...]
    only_second: tuple[tuple[Any, ...], ...]
    both: int
    compared: int | None = None


def difference(first: QueryResult, second: QueryResult) -> Difference:
    """`first` against `second`, as bags: order does not count, repeated rows do."""
    only_first = _surplus(first, second)
    cut = [len(result.rows) for result in (first, second) if result.truncated]
    return Difference(
        only_first,
        _surplus(second, first),
        len(first.rows) - len(only_first),
        min(cut) if cut else None,
    )


def _surplus(first: QueryResult, second: QueryResult) -> tuple[tuple[Any, ...], ...]:
    left = Counter(second.rows)
    more = []
    for row in first.rows:
        if left[row] > 0:
            left[row] -= 1
        else:
            more.append(row)
    return tuple(more)


def tell_apart(sqls: Sequence[str], schema: Schema) -> list[str]:
    """Plain words for each SQL: what it alone does; or what not all of the others do; or
    what it alone does not do; the SQL itself where words do not tell it apart."""
    from t2sql_tui.core.answers.explain import explain  # brings sqlglot: 0.15 s, needed only here

    steps = [[text for step in explain(sql, schema) for _, text in step.lines()] for sql in sqls]
    users = Counter(text for said in steps for text in set(said))
    words = []
    for said in steps:
        alone = [text for text in said if users[text] == 1]
        unshared = [text for text in said if users[text] < len(sqls)]
        missing = [
            f"Leaves out: {t}" for t, n in users.items() if n == len(sqls) - 1 and t not in said
        ]
        words.append(" ".join(alone or unshared or missing))
    return [
        said if said and words.count(said) == 1 else " ".join(sql.split())
        for sql, said in zip(sqls, words, strict=True)
    ]
