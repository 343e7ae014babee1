"""What a column holds: storage classes, the forms of its dates and numbers, what stands for
nothing, and how texts are spelled.

A profile is bounded, so that it takes the same moment on a file of 1 GB: the first FIRST_ROWS
rows of the table and SPREAD_ROWS evenly spaced by rowid (each found through the table's tree),
SECONDS for each of the two, TEXT_LENGTH characters of each text. Profiles are kept in memory
until the file changes.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from t2sql_tui.core.database.database import Database, PartialRows, Rows
from t2sql_tui.core.database.forms import DateForm, NumberForm, date_form, number_form
from t2sql_tui.core.database.schema import affinity
from t2sql_tui.core.english import DATE_NAME_WORDS, MISSING_WORDS, name_words, without_accents
from t2sql_tui.core.identifiers import folded, quote_identifier
from t2sql_tui.core.types import Column, Limits, Table

FIRST_ROWS, SPREAD_ROWS = 2000, 300
SECONDS = 0.2
TEXT_LENGTH = 100
COMMON = 200  # values in a profile
_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """The profile of one column, from `rows` rows of its table; `complete` where these are all.

    `classes` counts rows by storage class (typeof). `empty` counts texts that are '' or blank,
    `placeholders` are texts that stand for nothing ('N/A', '-'), as stored and with their rows.
    The following are about all other values: `distinct` and `common` (how many, and the most
    frequent), `low` and `high` (as SQLite sorts them), `padded` (texts that begin or end with a
    blank), `spellings` (groups of texts that differ only in case, blanks and accents), `numbers`
    (None unless they are numbers stored as text) and `dates`.
    """

    table: str
    column: str
    affinity: str
    rows: int = 0
    complete: bool = False
    classes: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0
    placeholders: Mapping[str, int] = field(default_factory=dict)
    distinct: int = 0
    common: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None
    padded: int = 0
    spellings: tuple[tuple[str, ...], ...] = ()
    numbers: NumberForm | None = None
    dates: DateForm | None = None

    @property
    def nulls(self) -> int:
        """How many rows hold NULL."""
        return self.classes.get("null", 0)

    @property
    def is_text(self) -> bool:
        """Whether every value but NULL is text."""
        return bool(self.classes) and not set(self.classes) - {"text", "null"}


def column_profile(database: Database, table: str, column: str) -> ColumnProfile | None:
    """The profile of a column of the file, by its names in any case; None where there is none.

    What cannot be read in time is left out: then `rows` is 0 or small. Raises: DatabaseError
    where the file is gone.
    """
    found = database.schema.table(table)
    wanted = folded(column)
    stored = next((c for c in found.columns if folded(c.name) == wanted), None) if found else None
    if found is None or stored is None:
        return None
    key = found.name, stored.name
    stamp = database.stamp()
    with _lock:
        kept_stamp, profiles = _kept.setdefault(database, (stamp, {}))
        if kept_stamp != stamp:
            profiles = {}
            _kept[database] = stamp, profiles
    if key not in profiles:
        profiles[key] = _read_profile(database, found, stored)
    return profiles[key]


#: Profiles by file, with the stamp that the file had.
_kept: WeakKeyDictionary[
    Database, tuple[tuple[object, ...], dict[tuple[str, str], ColumnProfile]]
] = WeakKeyDictionary()
_lock = threading.Lock()


def _read_profile(database: Database, table: Table, column: Column) -> ColumnProfile:
    name = quote_identifier(column.name)
    value = (
        f"CASE typeof({name}) WHEN 'text' THEN substr({name}, 1, {TEXT_LENGTH}) "
        f"WHEN 'blob' THEN x'' ELSE {name} END"
    )
    source = quote_identifier(table.name)
    rows, all_in_time = _select(database, f"SELECT {value} FROM {source} LIMIT {FIRST_ROWS}")
    complete = all_in_time and len(rows) < FIRST_ROWS
    if len(rows) == FIRST_ROWS and table.kind == "table":
        # Where the table has no rowid this fails, and the first rows are what there is.
        rows += _select(database, _spread_sql(value, source))[0]
    return profile_of_values([row[0] for row in rows], table.name, column, complete=complete)


def _spread_sql(value: str, source: str) -> str:
    """SQL for the values of rows at even distances of rowid, each found by a seek. Every name of
    ours is qualified, because a column of the table may be called the same."""
    low, high = (f"(SELECT {f}(rowid) FROM {source})" for f in ("min", "max"))
    return (
        f"WITH RECURSIVE t2sql_pick(at, step, n) AS (SELECT {low}, "
        f"({high} - {low}) / {SPREAD_ROWS}, 1 UNION ALL SELECT at + step, step, n + 1 "
        f"FROM t2sql_pick WHERE n < {SPREAD_ROWS}) SELECT (SELECT {value} FROM {source} "
        "WHERE rowid >= t2sql_pick.at + t2sql_pick.step ORDER BY rowid LIMIT 1) FROM t2sql_pick"
    )


def _select(database: Database, sql: str) -> tuple[Rows, bool]:
    """The rows that came in time, and whether these are all."""
    limits = Limits(rows=FIRST_ROWS + SPREAD_ROWS, seconds=SECONDS, bytes=_BYTES)
    try:
        rows = database.select(sql, limits)
    except PartialRows as error:
        return error.rows, False
    return rows, True


# --- from values --------------------------------------------------------------------------------

_CLASSES = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}


def profile_of_values(
    values: Sequence[Any], table: str, column: Column, *, complete: bool = True
) -> ColumnProfile:
    """The profile of a column that holds these values."""
    counts = Counter((type(value), value) for value in values)
    classes: Counter[str] = Counter()
    kept: Counter[Any] = Counter()
    placeholders: dict[str, int] = {}
    empty = 0
    for (kind, value), count in counts.items():
        classes[_CLASSES[kind]] += count
        if value is None or kind is bytes:
            continue
        if kind is str and not value.strip():
            empty += count
        elif kind is str and is_missing_word(value):
            placeholders[value] = count
        else:
            kept[value] += count
    texts = [value for value in kept if isinstance(value, str)]
    all_text = bool(texts) and len(texts) == len(kept)
    dates = date_form(list(kept), is_named_as_date(column.name)) if "blob" not in classes else None
    if dates and column.primary_key and not isinstance(next(iter(kept)), str):
        dates = None  # the numbers of rows
    return ColumnProfile(
        table=table,
        column=column.name,
        affinity=affinity(column.type),
        rows=len(values),
        complete=complete,
        classes=dict(classes),
        empty=empty,
        placeholders=placeholders,
        distinct=len(kept),
        common=tuple(value for value, _ in kept.most_common(COMMON)),
        low=min(kept, key=_in_order, default=None),
        high=max(kept, key=_in_order, default=None),
        padded=sum(kept[text] for text in texts if text != text.strip()),
        spellings=_spellings(texts),
        numbers=number_form(texts) if all_text and not (dates and dates.sure) else None,
        dates=dates,
    )


def _in_order(value: Any) -> tuple[bool, Any]:
    """SQLite's order: numbers before texts, texts by their bytes."""
    return (
        (True, value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else (False, value)
    )


def is_missing_word(text: str) -> bool:
    """Whether a stored text stands for no value: 'N/A', '-', 'unknown'."""
    plain = re.sub(r"[\s()\[\]<>#.]", "", text.lower())
    return plain in MISSING_WORDS or (not plain and bool(text.strip()))


def is_named_as_date(name: str) -> bool:
    """Whether a column is called as dates and times are: created_at, birth_date, dob."""
    return not DATE_NAME_WORDS.isdisjoint(name_words(name))


def _spellings(texts: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of texts that differ only in case, blanks and accents."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        groups[plain_spelling(text)].append(text)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


@lru_cache(maxsize=20_000)
def plain_spelling(text: str) -> str:
    """`text` without differences of case, blanks and accents."""
    return " ".join(without_accents(text).split())
