"""What a person is told of an answer with several readings: agreement, doubt, differences.

The same words in the app and on the command line; nothing here runs any SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from t2sql_tui.core.answers.explain import explain
from t2sql_tui.core.types import Answer, CheckedQuery, QueryResult, Reading, Schema

SURE = 0.85  # confidence from which an answer is called sure, and shown in green
LIKELY = 0.7  # confidence under which an answer is shown in amber
UNSURE = 0.5  # confidence under which the person is asked, or told of the doubt

MAX_LISTED = 4  # unused words and phrases that are named, at most


def choices(answer: Answer) -> list[Reading]:
    """The readings that a person can choose from: those whose SQL passed the check."""
    return [r for r in answer.readings if isinstance(r.candidate.verdict, CheckedQuery)]


def is_unsure(answer: Answer) -> bool:
    """Whether the answer has a confidence, and one under UNSURE."""
    return answer.confidence is not None and answer.confidence < UNSURE


def certainty(confidence: float) -> str:
    """Sure (96 %), Likely right (80 %), Could be right (60 %), Unsure (34 %).

    Never 0 or 100 %: it is an estimate.
    """
    words = {SURE: "Sure", LIKELY: "Likely right", UNSURE: "Could be right"}
    word = next((word for least, word in words.items() if confidence >= least), "Unsure")
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
    same = sum(reading.votes for reading in others if same_rows(first, reading))
    differ = sum(reading.votes for reading in others if reading.result) - same
    unknown = total - first.votes - differ - same
    if first.votes == 1:
        agreeing = f"1 of {total} candidates gives these {'columns' if same else 'rows'}"
    else:
        agreeing = f"{first.votes} of {total} agree"
    rest = []
    if same:
        rest.append(f"{same} {'shows' if same == 1 else 'show'} other columns of the same rows")
    if differ:
        rest.append(f"{differ} {'gives' if differ == 1 else 'give'} other rows")
    if unknown:
        rest.append(f"{unknown} could not be run to the end")
    return f"{agreeing}; {', '.join(rest)}"


def same_rows(first: Reading, second: Reading) -> bool:
    """Whether one of them shows what the other does, and further columns of the same rows.
    False where nobody can tell: a limit cut a result, one has no rows, or a single row of
    numbers, which may be equal by chance."""
    if first.result is None or second.result is None:
        return False
    narrow, wide = sorted((first.result, second.result), key=lambda result: len(result.columns))
    if any(result.truncated or not result.rows for result in (narrow, wide)):
        return False
    if len(narrow.columns) == len(wide.columns) or len(narrow.rows) != len(wide.rows):
        return False
    if len(narrow.rows) == 1 and not any(isinstance(cell, str) for cell in narrow.rows[0]):
        return False
    unmatched = dict(enumerate(map(Counter, zip(*wide.rows, strict=True))))
    chosen = []
    for cells in map(Counter, zip(*narrow.rows, strict=True)):
        index = next((index for index, other in unmatched.items() if other == cells), None)
        if index is None:
            return False
        chosen.append(index)
        del unmatched[index]
    return Counter(narrow.rows) == Counter(tuple(row[i] for i in chosen) for row in wide.rows)


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
    sentences = list(reading.warning_sentences[:MAX_LISTED])
    if unused := (*reading.unused_words, *reading.unmet_phrases):
        sentences.append(f"It makes no use of: {', '.join(unused[:MAX_LISTED])}.")
    return " ".join(sentences)


def summary(answer: Answer) -> str:
    """One line on how far to trust the answer; "" where there is nothing to say."""
    parts = [] if answer.confidence is None else [certainty(answer.confidence)]
    if agreeing := agreement(answer.readings):
        parts.append(agreeing)
    sentences = [" · ".join(parts) + "."] if parts else []
    if answer.readings:
        sentences += changes(answer.readings[0])
    if answer.readings and (warned := warnings_text(answer.readings[0])):
        sentences.append(warned)
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
    unmatched = Counter(second.rows)
    surplus = []
    for row in first.rows:
        if unmatched[row] > 0:
            unmatched[row] -= 1
        else:
            surplus.append(row)
    return tuple(surplus)


def tell_apart(sqls: Sequence[str], schema: Schema) -> list[str]:
    """Plain words for each SQL: what it alone does; or what not all of the others do; or
    what it alone does not do; the SQL itself where words do not tell it apart."""
    steps = [[text for step in explain(sql, schema) for _, text in step.lines()] for sql in sqls]
    users = Counter(text for texts in steps for text in set(texts))
    words = []
    for texts in steps:
        alone = [text for text in texts if users[text] == 1]
        unshared = [text for text in texts if users[text] < len(sqls)]
        missing = [
            f"Leaves out: {t}" for t, n in users.items() if n == len(sqls) - 1 and t not in texts
        ]
        words.append(" ".join(alone or unshared or missing))
    return [
        text if text and words.count(text) == 1 else " ".join(sql.split())
        for sql, text in zip(sqls, words, strict=True)
    ]
