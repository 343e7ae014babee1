"""Which stored text values does a question mention?

`London` in "how many shops are in london?", `New York City` in "... in NYC?": the model
must write the value as it is stored. An index of the file's short text values answers
this: it is built at the first question, is bounded in rows read and values kept, and is
itself a small SQLite file in the user's cache folder, so that it costs no memory and is
there at the next start.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from t2sql_tui.core.database.schema import affinity, quote
from t2sql_tui.core.types import Schema, ValueMatch

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database

INDEX_VERSION = 1  # of what is stored; another one is rebuilt
CELLS_READ = 3_000_000  # for the whole index; a column gives its first rows
COLUMN_ROWS = (1_000, 1_000_000)  # read of one column: at least, at most
COLUMN_VALUES = 50_000  # a column with more distinct values is left out
VALUES = 250_000  # in the whole index
VALUE_CHARACTERS = 60
CELL_BYTES = 1_000_000  # a longer cell ends the reading of its column
BRAKE_SECONDS = 20.0
CACHE_FILES = 32  # indexes of as many files are kept
QUESTION_WORDS = 400  # of a longer question, the first ones are looked at
SPAN_WORDS = 8  # words in the longest value that is looked up whole


def find_values(
    database: Database, text: str, limit: int = 10, *, folder: Path | None = None
) -> tuple[ValueMatch, ...]:
    """The stored values that `text` seems to mention, best first, at most `limit`.

    Scores: 1 as written; 0.95 but for case; 0.9 but for accents and punctuation; 0.85 but
    for plurals; 0.75 an acronym; below, a near miss by trigrams. The index is kept in
    `folder` (default: the platform's cache folder), or in memory where that cannot be
    written. Raises: DatabaseError where the file cannot be read.
    """
    words = _words(text)[:QUESTION_WORDS]
    if not words or limit < 1:
        return ()
    index = _index_of(database, folder)
    found = [*_exact(index, text, words), *_acronyms(index, text, words)]
    names = _plain_names(database.schema)
    found += _near_misses(index, text, words, found, names)
    return _best(found, names, limit)


# --- words ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a text: where it stands, and its plain form (no case, accent or plural)."""

    start: int
    end: int
    key: str


# A letter of a script that is written without spaces is a word of its own.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u9fff\uac00-\ud7af]+")


def _words(text: str) -> list[_Word]:
    return [
        _Word(match.start(), match.end(), _stem(_unaccented(match.group())))
        for match in _WORD.finditer(text)
    ]


def plain_words(text: str) -> list[str]:
    """The plain forms (no case, accent or plural) of the words of a text."""
    return [word.key for word in _words(text)]


def _unaccented(text: str) -> str:
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def _stem(word: str) -> str:
    """The singular of a regular English plural; other words as they are."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        if word.endswith("ies"):
            return word[:-3] + "y"
        return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zes")) else word[:-1]
    return word


def _key(words: Iterable[_Word]) -> str:
    return " ".join(word.key for word in words)


# --- the index --------------------------------------------------------------------

_open: WeakKeyDictionary[Database, tuple[str, sqlite3.Connection]] = WeakKeyDictionary()
_open_lock = threading.Lock()


def _index_of(database: Database, folder: Path | None) -> sqlite3.Connection:
    """The index of a file as it is now: open already, from the cache, or newly built."""
    state = repr((INDEX_VERSION, str(database.path), database.stamp(), database.schema.fingerprint))
    key = hashlib.sha256(state.encode(errors="surrogateescape")).hexdigest()
    with _open_lock:
        known, index = _open.get(database, ("", None))
        if index is None or known != key:
            index = _load(database, key, folder or _cache_folder())
            _open[database] = (key, index)
        return index


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("t2sql-tui")) / "values"


def _load(database: Database, key: str, folder: Path) -> sqlite3.Connection:
    """Open the cached index, or build it beside and move it into place."""
    name = hashlib.sha256(os.fsencode(database.path)).hexdigest()[:24]
    path = folder / f"{name}.sqlite"
    with contextlib.suppress(sqlite3.Error):  # none yet, or damaged: built again
        index = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        if index.execute("SELECT key FROM about").fetchone() == (key,):
            return index
        index.close()
    fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.touch(mode=0o600)  # it holds what the person's file holds
        index = sqlite3.connect(fresh)
        with contextlib.closing(index):
            _build(database, index, key)
        os.replace(fresh, path)
        _forget_old(folder)
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    except (OSError, sqlite3.OperationalError):  # read-only or full: do without the cache
        with contextlib.suppress(OSError):
            fresh.unlink()
        index = sqlite3.connect(":memory:", check_same_thread=False)
        _build(database, index, key)
        return index


def _forget_old(folder: Path) -> None:
    files = sorted(folder.glob("*.sqlite"), key=lambda file: -file.stat().st_mtime_ns)
    for file in files[CACHE_FILES:]:
        file.unlink(missing_ok=True)


def _build(database: Database, index: sqlite3.Connection, key: str) -> None:
    index.executescript(
        """
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        CREATE TABLE about (key TEXT);
        CREATE TABLE value (id INTEGER PRIMARY KEY, place, "table", "column", value, key);
        CREATE TABLE acronym (letters, id);
        CREATE VIRTUAL TABLE gram USING fts5 (
            key, content = '', detail = none, tokenize = 'trigram');
        """
    )
    number = 0
    rows, acronyms = [], []
    for place, table, column, value in _stored_values(database):
        words = _words(value)
        if not words or ((key_ := _key(words)).replace(" ", "").isdigit() and len(key_) < 3):
            continue
        number += 1
        rows.append((number, place, table, column, value, key_))
        if letters := _initials(words):
            acronyms.append((letters, number))
    with index:
        index.executemany("INSERT INTO value VALUES (?, ?, ?, ?, ?, ?)", rows)
        index.executemany("INSERT INTO acronym VALUES (?, ?)", acronyms)
        index.executemany(
            "INSERT INTO gram (rowid, key) VALUES (?, ?)", ((row[0], row[5]) for row in rows)
        )
        index.execute("INSERT INTO about VALUES (?)", (key,))
        index.execute("CREATE INDEX value_key ON value (key)")
        index.execute("CREATE INDEX acronym_letters ON acronym (letters)")


def _stored_values(database: Database) -> Iterator[tuple[int, str, str, str]]:
    """(place, table, column, value) for every short text value within the bounds.

    `place` numbers the columns of the file. Columns of numbers, of more than COLUMN_VALUES
    values, of identifiers, and of views and virtual tables are left out.
    """
    columns = [
        (table.name, column.name)
        for table in database.schema.tables
        if table.kind == "table"
        for column in table.columns
        if affinity(column.type) not in ("INTEGER", "REAL")
    ]
    low, high = COLUMN_ROWS
    rows = max(low, min(high, CELLS_READ // max(1, len(columns))))
    kept = 0
    brake = time.monotonic() + BRAKE_SECONDS
    with database.reading() as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, CELL_BYTES)
        connection.set_progress_handler(lambda: int(time.monotonic() > brake), 100_000)
        for place, (table, column) in enumerate(columns):
            values = _distinct(connection, table, column, rows)
            if len(values) > COLUMN_VALUES or _are_identifiers(values):
                continue
            kept += len(values)
            if kept > VALUES:
                return
            for value in values:
                yield place, table, column, value


def _distinct(connection: sqlite3.Connection, table: str, column: str, rows: int) -> list[str]:
    values: list[str] = []
    with contextlib.suppress(sqlite3.Error):  # a cell too long, a damaged page: what came before
        values += (
            value
            for (value,) in connection.execute(
                f"SELECT DISTINCT c FROM (SELECT {quote(column)} AS c FROM {quote(table)} "
                f"LIMIT {rows}) WHERE typeof(c) = 'text' AND length(c) <= {VALUE_CHARACTERS} "
                f"LIMIT {COLUMN_VALUES + 1}"
            )
            if "\ufffd" not in value
        )
    return values


_IDENTIFIER = re.compile(r"[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _are_identifiers(values: list[str]) -> bool:
    """Hashes and UUIDs, which no question mentions."""
    return bool(values) and all(map(_IDENTIFIER.fullmatch, values[:20]))


# --- matching ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Match:
    """A value, its score, and the words of the question (first, past the last) it matches."""

    place: int
    value: ValueMatch
    first: int
    last: int
    lower: bool = False  # the words are written in lower case throughout


def _exact(index: sqlite3.Connection, text: str, words: list[_Word]) -> list[_Match]:
    """Values whose plain form is a run of the question's words."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for first in range(len(words)):
        for last in range(first + 1, min(first + SPAN_WORDS, len(words)) + 1):
            spans.setdefault(_key(words[first:last]), []).append((first, last))
    keys = list(spans)
    found = []
    for at in range(0, len(keys), 500):
        part = keys[at : at + 500]
        marks = ",".join("?" * len(part))
        for place, table, column, value, key in index.execute(
            f'SELECT place, "table", "column", value, key FROM value WHERE key IN ({marks})', part
        ):
            for first, last in spans[key]:
                written = text[words[first].start : words[last - 1].end]
                score = _likeness(value, written, text, words[first].start)
                if score:
                    match = ValueMatch(table, column, value, score)
                    found.append(_Match(place, match, first, last, written.islower()))
    return found


# Words that are in most questions and say nothing of a value.
_COMMON = frozenset(
    """
    a all an and any are as at be but by can do each every for from has have how i id if in is
    it its list many me more most my name no not number of on one or our per show so than that
    the their them there they this to two was we were what when where which who whose why with
    year yes you
    """.split()
)


def _likeness(value: str, written: str, text: str, start: int) -> float:
    """How closely a question's words are the value with the same plain form; 0 for chance."""
    end = start + len(written)
    quoted = text[start - 1 : start] in ("'", '"', "`") and text[end : end + 1] in ("'", '"', "`")
    core = value.strip()
    if not quoted and (len(core) == 1 or _unaccented(core) in _COMMON):
        # A code such as 'F' or 'NO': only where it is written just so, as a code would be.
        if core != written or not core.isupper() or core in ("A", "I"):
            return 0.0
        return 0.7
    end = start + len(core)
    if core == written or (text[start:end] == core and not text[end - 1 : end + 1].isalnum()):
        return 1.0  # the second: `A+`, whose sign is part of no word
    if core.casefold() == written.casefold():
        return 0.95
    if _key_unstemmed(core) == _key_unstemmed(written):
        return 0.9
    return 0.85


def _key_unstemmed(text: str) -> str:
    return " ".join(_unaccented(match.group()) for match in _WORD.finditer(text))


_SMALL = frozenset(["of", "the", "and", "for", "in", "on", "at", "de", "la", "le", "du"])


def _initials(words: list[_Word]) -> str:
    """`usa` for United States of America; "" where there is no telling acronym."""
    letters = "".join(word.key[0] for word in words if word.key not in _SMALL)
    return letters if 2 <= len(letters) <= 6 else ""


# The one code that nearly every table of people has.
_CODES = {"female": "F", "woman": "F", "women": "F", "male": "M", "man": "M", "men": "M"}


def _acronyms(index: sqlite3.Connection, text: str, words: list[_Word]) -> list[_Match]:
    """NYC in the question for `New York City` stored, and the other way round."""
    found = []
    for first, word in enumerate(words):
        written = text[word.start : word.end]
        if code := _CODES.get(word.key):
            for place, *value in index.execute(
                'SELECT place, "table", "column", value FROM value WHERE key = ? AND value = ?',
                (code.lower(), code),
            ):
                found.append(_Match(place, ValueMatch(*value, 0.6), first, first + 1))
        if 2 <= len(written) <= 6 and written.isupper():
            for place, *value in index.execute(
                'SELECT place, "table", "column", value FROM acronym JOIN value USING (id) '
                "WHERE letters = ? LIMIT 50",
                (written.lower(),),
            ):
                found.append(_Match(place, ValueMatch(*value, 0.75), first, first + 1))
        for last in range(first + 2, min(first + 6, len(words)) + 1):
            run = words[first:last]
            if not (written[0].isupper() and text[run[-1].start].isupper()):
                continue
            letters = _initials(run)
            for place, *value in index.execute(
                'SELECT place, "table", "column", value FROM value WHERE key = ? AND value = ?',
                (_stem(letters), letters.upper()),
            ):
                found.append(_Match(place, ValueMatch(*value, 0.7), first, last))
    return found


NEAR = 0.75  # least share of trigrams in common
_NEAR_CANDIDATES = 30  # values looked at for one word
_NEAR_WORDS = 40  # words looked at in one question


def _near_misses(
    index: sqlite3.Connection,
    text: str,
    words: list[_Word],
    found: list[_Match],
    names: frozenset[str],
) -> list[_Match]:
    """Misspelled values: those that share most of their trigrams with words of the question,
    at least one of which is otherwise unexplained."""
    taken = {at for match in found for at in range(match.first, match.last)}
    free = {
        at
        for at, word in enumerate(words)
        if at not in taken and word.key not in _COMMON and word.key not in names
    }
    matches = []
    for at in sorted(free)[:_NEAR_WORDS]:
        grams = sorted(_inner_grams(words[at].key))
        if not grams:
            continue
        candidates = index.execute(
            'SELECT place, "table", "column", value, value.key FROM '
            "(SELECT rowid AS id FROM gram WHERE gram MATCH ? ORDER BY rank, rowid LIMIT ?) "
            "JOIN value USING (id)",
            (" OR ".join(f'"{gram}"' for gram in grams), _NEAR_CANDIDATES),
        )
        matches += [_near_miss(row, text, words, at) for row in candidates]
    return [match for match in matches if match]


def _near_miss(
    row: tuple[int, str, str, str, str], text: str, words: list[_Word], at: int
) -> _Match | None:
    """The run of words around `at` that is most like a value, if it is like enough."""
    place, table, column, value, key = row
    if len(key) < 5:
        return None
    length = len(key.split())
    best = (0.0, 0, 0)
    for size in range(max(1, length - 1), length + 2):
        for first in range(max(0, at - size + 1), min(at, len(words) - size) + 1):
            span = _key(words[first : first + size])
            best = max(best, (_similarity(span, key), -first, first + size))
    score, first, last = best[0], -best[1], best[2]
    if score < NEAR:
        return None
    written = text[words[first].start : words[last - 1].end]
    match = ValueMatch(table, column, value, round(0.8 * score, 4))
    return _Match(place, match, first, last, written.islower())


def _inner_grams(key: str) -> set[str]:
    return {key[at : at + 3] for at in range(len(key) - 2)}


@functools.lru_cache(4096)
def _grams(key: str) -> frozenset[str]:
    return frozenset(_inner_grams(f"  {key} "))


def _similarity(one: str, other: str) -> float:
    """Dice's coefficient of the trigrams (Dice 1945), in 0..1."""
    a, b = _grams(one), _grams(other)
    return 2 * len(a & b) / (len(a) + len(b))


# --- choosing ---------------------------------------------------------------------


@functools.lru_cache(4)
def _plain_names(schema: Schema) -> frozenset[str]:
    """Plain forms of the words in table and column names."""
    names = {table.name for table in schema.tables}
    names |= {column.name for table in schema.tables for column in table.columns}
    found = set()
    for name in names:
        words = _words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
        found.add(_key(words))
        found |= {word.key for word in words}
    return frozenset(found)


def _best(found: list[_Match], names: frozenset[str], limit: int) -> tuple[ValueMatch, ...]:
    """One match per value, without those inside a longer one that is as good."""
    best: dict[tuple[int, str], tuple[float, _Match]] = {}
    for match in found:
        score = match.value.score
        if match.lower and _key(_words(match.value.value)) in names:
            score *= 0.6  # "list the students": the table, rather than a value 'Student'
        at = (match.place, match.value.value)
        if at not in best or score > best[at][0]:
            best[at] = (score, match)
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
    kept.sort(key=lambda one: (-one[0], one[1].first, one[1].place, one[1].value.value))
    return tuple(
        ValueMatch(match.value.table, match.value.column, match.value.value, round(score, 4))
        for score, match in kept[:limit]
    )
