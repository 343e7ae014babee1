"""Which stored text values does a question mention?

`London` in "how many shops are in london?", `New York City` in "... in NYC?": the model
must write the value as it is stored. The values come from the index of the file.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from t2sql_tui.core.english import (
    GENDER_CODES,
    VALUE_STOP_WORDS,
    Word,
    acronym,
    plain_text,
    split_camel_case,
    split_words,
    stem,
    unstemmed_words,
    without_accents,
)
from t2sql_tui.core.prompting.value_index import drop_index, value_index
from t2sql_tui.core.types import Schema, ValueMatch

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database

QUESTION_WORDS = 400  # of a longer question, the first ones are looked at
SPAN_WORDS = 8  # words in the longest value that is looked up whole


def find_values(
    database: Database, text: str, limit: int = 10, *, folder: Path | None = None
) -> tuple[ValueMatch, ...]:
    """The stored values that `text` seems to mention, best first, at most `limit`.

    Scores: 1 as written; 0.95 but for case; 0.9 but for accents and punctuation; 0.85 but
    for plurals; 0.75 an acronym; below, a near miss by trigrams. `folder` is where the index
    of values is kept (default: the platform's cache folder).

    Raises: DatabaseError where the file cannot be read.
    """
    words = split_words(text)[:QUESTION_WORDS]
    if not words or limit < 1:
        return ()
    names = _plain_names(database.schema)
    for _ in range(2):
        try:
            index = value_index(database, folder)
            matches = [*_exact(index, text, words), *_acronyms(index, text, words)]
            matches += _near_misses(index, text, words, matches, names)
            return _best(matches, names, limit)
        except sqlite3.Error:
            # The index is damaged though it looked whole: once more with a new one. Values are a
            # help, and a question is answered without them, too.
            drop_index(database, folder)
    return ()


@dataclass(frozen=True, slots=True)
class _Match:
    """A value, its score, and the words of the question (first, past the last) it matches."""

    column_index: int
    value: ValueMatch
    first: int
    last: int
    lower: bool = False  # the words are written in lower case throughout


# --- whole values -----------------------------------------------------------------------


def _exact(index: sqlite3.Connection, text: str, words: list[Word]) -> Iterator[_Match]:
    """Values whose plain form is a run of the question's words."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for first in range(len(words)):
        for last in range(first + 1, min(first + SPAN_WORDS, len(words)) + 1):
            spans.setdefault(plain_text(words[first:last]), []).append((first, last))
    forms = list(spans)
    for start in range(0, len(forms), 500):
        part = forms[start : start + 500]
        marks = ",".join("?" * len(part))
        for column_index, table, column, value, plain in index.execute(
            'SELECT column_index, "table", "column", value, plain FROM value '
            f"WHERE plain IN ({marks})",
            part,
        ):
            for first, last in spans[plain]:
                written = text[words[first].start : words[last - 1].end]
                score = _likeness(value, written, text, words[first].start)
                if score:
                    match = ValueMatch(table, column, value, score)
                    yield _Match(column_index, match, first, last, written.islower())


def _likeness(value: str, written: str, text: str, start: int) -> float:
    """How closely a question's words are the value with the same plain form; 0 for chance."""
    end = start + len(written)
    quoted = text[start - 1 : start] in ("'", '"', "`") and text[end : end + 1] in ("'", '"', "`")
    core = value.strip()
    if not quoted and (len(core) == 1 or without_accents(core) in VALUE_STOP_WORDS):
        # A code such as 'F' or 'NO': only where it is written just so, as a code would be.
        if core != written or not core.isupper() or core in ("A", "I"):
            return 0.0
        return 0.7
    end = start + len(core)
    if core == written or (text[start:end] == core and not text[end - 1 : end + 1].isalnum()):
        return 1.0  # the second: `A+`, whose sign is part of no word
    if core.casefold() == written.casefold():
        return 0.95
    if unstemmed_words(core) == unstemmed_words(written):
        return 0.9
    return 0.85


# --- acronyms ---------------------------------------------------------------------------


def _acronyms(index: sqlite3.Connection, text: str, words: list[Word]) -> Iterator[_Match]:
    """NYC in the question for `New York City` stored, and the other way round."""
    for first, word in enumerate(words):
        written = text[word.start : word.end]
        if code := GENDER_CODES.get(word.plain):
            yield from _stored_as(index, code.lower(), code, 0.6, (first, first + 1))
        if 2 <= len(written) <= 6 and written.isupper():
            for column_index, table, column, value in index.execute(
                'SELECT column_index, "table", "column", value FROM acronym '
                "JOIN value USING (id) WHERE letters = ? LIMIT 50",
                (written.lower(),),
            ):
                match = ValueMatch(table, column, value, 0.75)
                yield _Match(column_index, match, first, first + 1)
        for last in range(first + 2, min(first + 6, len(words)) + 1):
            run = words[first:last]
            if written[0].isupper() and text[run[-1].start].isupper():
                letters = acronym(run)
                yield from _stored_as(index, stem(letters), letters.upper(), 0.7, (first, last))


def _stored_as(
    index: sqlite3.Connection, plain: str, stored: str, score: float, span: tuple[int, int]
) -> Iterator[_Match]:
    """Matches with values that are written just so; `plain` is their plain form."""
    for column_index, table, column, value in index.execute(
        'SELECT column_index, "table", "column", value FROM value WHERE plain = ? AND value = ?',
        (plain, stored),
    ):
        yield _Match(column_index, ValueMatch(table, column, value, score), *span)


# --- misspelled values --------------------------------------------------------------------

NEAR = 0.75  # least share of trigrams in common
_NEAR_CANDIDATES = 30  # values looked at for one word
_NEAR_WORDS = 40  # words looked at in one question


def _near_misses(
    index: sqlite3.Connection,
    text: str,
    words: list[Word],
    matches: Sequence[_Match],
    names: frozenset[str],
) -> list[_Match]:
    """Misspelled values: those that share most of their trigrams with words of the question,
    at least one of which is in none of `matches` and in no name."""
    taken = {position for match in matches for position in range(match.first, match.last)}
    free = [
        position
        for position, word in enumerate(words)
        if position not in taken and word.plain not in VALUE_STOP_WORDS and word.plain not in names
    ]
    near: list[_Match | None] = []
    for position in free[:_NEAR_WORDS]:
        grams = sorted(_inner_grams(words[position].plain))
        if not grams:
            continue
        candidates = index.execute(
            'SELECT column_index, "table", "column", value, value.plain FROM '
            "(SELECT rowid AS id FROM gram WHERE gram MATCH ? ORDER BY rank, rowid LIMIT ?) "
            "JOIN value USING (id)",
            (" OR ".join(f'"{gram}"' for gram in grams), _NEAR_CANDIDATES),
        )
        near += [_near_miss(row, text, words, position) for row in candidates]
    return [match for match in near if match]


def _near_miss(
    row: tuple[int, str, str, str, str], text: str, words: list[Word], position: int
) -> _Match | None:
    """The run of words around `position` that is most like a value, if it is like enough."""
    column_index, table, column, value, plain = row
    if len(plain) < 5:
        return None
    length = len(plain.split())
    best = (0.0, 0, 0)
    for size in range(max(1, length - 1), length + 2):
        for first in range(max(0, position - size + 1), min(position, len(words) - size) + 1):
            span = plain_text(words[first : first + size])
            best = max(best, (_similarity(span, plain), -first, first + size))
    score, first, last = best[0], -best[1], best[2]
    if score < NEAR:
        return None
    written = text[words[first].start : words[last - 1].end]
    match = ValueMatch(table, column, value, round(0.8 * score, 4))
    return _Match(column_index, match, first, last, written.islower())


def _inner_grams(plain: str) -> set[str]:
    return {plain[start : start + 3] for start in range(len(plain) - 2)}


@functools.lru_cache(4096)
def _grams(plain: str) -> frozenset[str]:
    return frozenset(_inner_grams(f"  {plain} "))


def _similarity(one: str, other: str) -> float:
    """Dice's coefficient of the trigrams (Dice 1945), in 0..1."""
    a, b = _grams(one), _grams(other)
    return 2 * len(a & b) / (len(a) + len(b))


# --- choosing ---------------------------------------------------------------------------


@functools.lru_cache(4)
def _plain_names(schema: Schema) -> frozenset[str]:
    """Plain forms of the table and column names, whole and word by word."""
    names = {table.name for table in schema.tables}
    names |= {column.name for table in schema.tables for column in table.columns}
    plain = set()
    for name in names:
        words = split_words(split_camel_case(name))
        plain.add(plain_text(words))
        plain |= {word.plain for word in words}
    return frozenset(plain)


def _best(matches: list[_Match], names: frozenset[str], limit: int) -> tuple[ValueMatch, ...]:
    """One match per value, without those inside a longer one that is as good."""
    best: dict[tuple[int, str], tuple[float, _Match]] = {}
    for match in matches:
        score = match.value.score
        if match.lower and plain_text(split_words(match.value.value)) in names:
            score *= 0.6  # "list the students": the table, rather than a value 'Student'
        stored = (match.column_index, match.value.value)
        if stored not in best or score > best[stored][0]:
            best[stored] = (score, match)
    kept = []
    for score, match in best.values():
        inside = any(
            other.first <= match.first
            and match.last <= other.last
            and other.last - other.first > match.last - match.first
            and rival >= score
            for rival, other in best.values()
        )
        if not inside:
            kept.append((score, match))
    kept.sort(key=lambda one: (-one[0], one[1].first, one[1].column_index, one[1].value.value))
    return tuple(
        ValueMatch(match.value.table, match.value.column, match.value.value, round(score, 4))
        for score, match in kept[:limit]
    )
