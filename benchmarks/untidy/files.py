"""Columns, tables and files: rows drawn from a seed, written to SQLite once and kept."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.datasets import DataError
from benchmarks.untidy.forms import INTEGER, REAL, TEXT, Form

#: The day on which the people ask. Rows of logs end here, plans go on for a year; gold SQL with
#: 'now' moves with the calendar, so set this anew when the clock has left it behind.
TODAY = datetime(2026, 11, 25)

Row = dict[str, Any]  # the values meant, by column; "n" counts the rows from 1
Draw = Callable[[Random, Row], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """`draw(dice, row)` gives the value meant, None where it is missing.

    `blanks` are what is stored for a missing one. `spellings` maps each value to the texts it is
    stored as; where a column has them, its form stores nothing else.
    """

    draw: Draw
    form: Form = TEXT
    blanks: Sequence[Any] = (None,)
    spellings: Mapping[Any, Sequence[Any]] = field(default_factory=dict)

    @property
    def read(self) -> str:
        """SQL that gives the value of the column `{}`, NULL where it is missing."""
        blanks = [repr(blank) for blank in self.blanks if blank is not None]
        if self.form.read == "{}" or not blanks:
            return self.form.read
        return f"CASE WHEN {{}} NOT IN ({', '.join(blanks)}) THEN {self.form.read} END"

    def store(self, dice: Random, value: Any) -> Any:
        """What the file holds for `value`."""
        if value is None:
            return dice.choice(self.blanks)
        if self.spellings:
            return dice.choice(self.spellings[value])
        return self.form.store(value)


@dataclass(frozen=True, slots=True)
class Table:
    """`keys` are what stands after the columns in CREATE TABLE (or in a column's stead: its
    type). `meant` and `stored` are the rows, in the order of `columns`."""

    name: str
    columns: Mapping[str, Column]
    meant: Sequence[Row]
    stored: Sequence[tuple[Any, ...]]
    keys: str = ""

    @property
    def create(self) -> str:
        """The CREATE TABLE statement."""
        columns = ", ".join(f'"{n}" {c.form.type}'.rstrip() for n, c in self.columns.items())
        return f'CREATE TABLE "{self.name}" ({columns}{", " if self.keys else ""}{self.keys})'


@dataclass(frozen=True, slots=True)
class File:
    """One SQLite file: its id, what it is an example of, and its tables."""

    name: str
    kind: str
    tables: Sequence[Table]

    def column(self, name: str) -> Column:
        """The one column of that name that has a form or spellings of its own, or any.

        Raises: DataError where two tables store that name in two ways.
        """
        found = [t.columns[name] for t in self.tables if name in t.columns]
        if not found or len({(c.read, str(c.spellings)) for c in found}) > 1:
            raise DataError(
                f"{self.name} has {len(found)} ways to read a column {name}.",
                "A name between braces in gold SQL is that of a column with one form.",
            )
        return found[0]

    def stored(self, name: str) -> Counter[Any]:
        """How often each stored value occurs in the columns of that name."""
        return Counter(
            row[list(t.columns).index(name)]
            for t in self.tables
            if name in t.columns
            for row in t.stored
        )


def in_order(dice: Random, column: str, count: int, draw: Draw) -> list[Row]:
    """What `count` rows begin with: drawn values of one column, in ascending order."""
    return [{column: value} for value in sorted(draw(dice, {}) for _ in range(count))]


def table(
    dice: Random,
    name: str,
    rows: int | Sequence[Mapping[str, Any]],
    keys: str = "",
    /,
    **columns: Column,
) -> Table:
    """A table of `rows` rows; `rows` may also be what each row begins with. Spaces in a column's
    name are written `__`, and a name that Python keeps for itself ends in `_`."""
    named = {name.rstrip("_").replace("__", " "): column for name, column in columns.items()}
    begun: Sequence[Mapping[str, Any]] = [{}] * rows if isinstance(rows, int) else rows
    meant, stored = [], []
    for n, known in enumerate(begun, start=1):
        row: Row = {"n": n, **known}
        for column, how in named.items():
            if column not in known:
                row[column] = how.draw(dice, row)
        meant.append(row)
        stored.append(tuple(how.store(dice, row[column]) for column, how in named.items()))
    return Table(name, named, meant, stored, keys)


def build(file: File, folder: Path) -> Path:
    """The path of the SQLite file in `folder`, written now unless it is there. Its name carries
    a hash of what it holds, so other rows make another file; it is never seen half-written.

    Raises: DataError.
    """
    content = repr([(t.create, t.stored) for t in file.tables])
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    path = folder / f"{file.name}-{digest}.sqlite"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=folder) as scratch:
            unfinished = Path(scratch) / path.name
            connection = sqlite3.connect(unfinished)
            connection.execute("PRAGMA synchronous = OFF")  # a lost file is built again
            for part in file.tables:
                connection.execute(part.create)
                marks = ", ".join("?" * len(part.columns))
                connection.executemany(f'INSERT INTO "{part.name}" VALUES ({marks})', part.stored)
            connection.commit()
            connection.close()
            os.replace(unfinished, path)
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"{path} cannot be written: {error}.", "Is the folder writable?") from error
    return path


# --- columns ---------------------------------------------------------------------------


def text(draw: Draw, blanks: Sequence[Any] = (None,)) -> Column:
    """A TEXT column of drawn texts."""
    return Column(draw, TEXT, blanks)


def whole(draw: Draw, blanks: Sequence[Any] = (None,)) -> Column:
    """An INTEGER column of drawn numbers."""
    return Column(draw, INTEGER, blanks)


def real(draw: Draw, blanks: Sequence[Any] = (None,)) -> Column:
    """A REAL column of drawn numbers."""
    return Column(draw, REAL, blanks)


def number() -> Column:
    """1, 2, 3: the row's number, for keys."""
    return Column(lambda dice, row: row["n"], INTEGER)


def spelled(
    spellings: Mapping[Any, Sequence[Any]], draw: Draw | None = None, form: Form = TEXT
) -> Column:
    """Values that are each stored in several spellings; earlier ones come more often."""
    return Column(draw or some_of(list(spellings)), form, (None,), spellings)


def given(form: Form = TEXT, blanks: Sequence[Any] = (None,)) -> Column:
    """A column whose values the rows begin with."""

    def missing(dice: Random, row: Row) -> Any:
        raise KeyError("the row does not begin with this column")

    return Column(missing, form, blanks)


# --- what is drawn ---------------------------------------------------------------------


def one_of(choices: Sequence[Any]) -> Draw:
    """Each as likely as the others."""
    return lambda dice, row: dice.choice(choices)


def some_of(choices: Sequence[Any]) -> Draw:
    """Earlier ones far more often than later ones."""
    return lambda dice, row: choices[int(len(choices) * dice.random() ** 1.7)]


def between(low: float, high: float, places: int | None = None) -> Draw:
    """A number from `low` to `high`; whole without `places`."""
    if places is None:
        return lambda dice, row: dice.randint(int(low), int(high))
    return lambda dice, row: round(dice.uniform(low, high), places)


def skewed(middle: float, places: int | None = 2, spread: float = 0.8) -> Draw:
    """Many small numbers and a few large ones, as money has them."""

    def draw(dice: Random, row: Row) -> float:
        found = middle * dice.lognormvariate(0, spread)
        return round(found) if places is None else round(found, places)

    return draw


def days(first: str, last: datetime | str = TODAY) -> Draw:
    """A moment between two days, at any second of the day."""
    start = datetime.fromisoformat(first)
    end = last if isinstance(last, datetime) else datetime.fromisoformat(last)
    span = int((end - start).total_seconds()) - 1
    return lambda dice, row: start + timedelta(seconds=dice.randint(0, span))


def after(column: str, low: float, high: float, until: datetime = datetime.max) -> Draw:
    """`low` to `high` days after the row's `column`; None where that is missing or too late."""

    def draw(dice: Random, row: Row) -> datetime | None:
        if row[column] is None:
            return None
        found = row[column] + timedelta(seconds=round(86400 * dice.uniform(low, high)))
        return found if found < until else None

    return draw


def missing(share: float, draw: Draw) -> Draw:
    """None in `share` of the rows."""
    return lambda dice, row: None if dice.random() < share else draw(dice, row)


def people(dice: Random, first: str, last: str, count: int) -> list[str]:
    """`count` different full names from two lists of words."""
    pairs = [f"{one} {two}" for one in words(first) for two in words(last)]
    return dice.sample(pairs, count)


def words(line: str) -> list[str]:
    """The words of a line."""
    return line.split()
