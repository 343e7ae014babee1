"""An index of a file's short text values, for finding those that a question mentions.

It is built at the first question, is bounded in rows read and values kept, and is itself a
small SQLite file in the user's cache folder, so that it costs no memory and is there at the
next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from t2sql_tui.core.database.database import PartialRows
from t2sql_tui.core.database.schema import affinity
from t2sql_tui.core.english import acronym, plain_text, split_words
from t2sql_tui.core.files import (
    is_whole,
    record_digest,
    remove_abandoned,
    remove_with_digest,
    whole_file,
)
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.paths import value_index_folder
from t2sql_tui.core.types import Limits

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database

INDEX_VERSION = 2  # of what is stored; another one is rebuilt
CELLS_READ = 3_000_000  # for the whole index; a column gives its first rows
COLUMN_ROWS = (1_000, 1_000_000)  # read of one column: at least, at most
COLUMN_VALUES = 50_000  # a column with more distinct values is left out
VALUES = 250_000  # in the whole index
VALUE_CHARACTERS = 60
CELL_BYTES = 1_000_000  # a longer cell ends the reading of its column
BRAKE_SECONDS = 20.0
CACHE_FILES = 32  # indexes of as many files are kept

_open: WeakKeyDictionary[Database, tuple[str, sqlite3.Connection]] = WeakKeyDictionary()
_open_lock = threading.Lock()


def value_index(database: Database, folder: Path | None = None) -> sqlite3.Connection:
    """The index of a file as it is now: open already, from the cache, or newly built.

    Three tables: `value` (id, column_index, table, column, value, plain: its plain form),
    `acronym` (letters, id) and `gram`, the trigrams of the plain forms (rowid is the id). It is
    kept in `folder` (default: the platform's cache folder), or in memory where that cannot be
    written. Raises: DatabaseError where the file cannot be read.
    """
    state = repr((INDEX_VERSION, str(database.path), database.stamp(), database.schema.fingerprint))
    key = hashlib.sha256(state.encode(errors="surrogateescape")).hexdigest()
    with _open_lock:
        open_key, index = _open.get(database, ("", None))
        if index is None or open_key != key:
            index = _load(database, key, folder or value_index_folder())
            _open[database] = (key, index)
        return index


# --- the cache ------------------------------------------------------------------------


def drop_index(database: Database, folder: Path | None = None) -> None:
    """Closes the index of a file and deletes it from the cache, because it proved damaged."""
    with _open_lock:
        _, index = _open.pop(database, ("", None))
        if index is not None:
            index.close()
        remove_with_digest(_cached_path(database, folder or value_index_folder()))


def _cached_path(database: Database, folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(database.path)).hexdigest()[:24]
    return folder / f"{name}.sqlite"


def _load(database: Database, key: str, folder: Path) -> sqlite3.Connection:
    """Open the cached index, or build it beside and move it into place."""
    path = _cached_path(database, folder)
    if (cached := _open_cached(path, key)) is not None:
        return cached
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For the person alone: it holds what their file holds.
        with (
            whole_file(path, mode=0o600) as fresh,
            contextlib.closing(sqlite3.connect(fresh)) as index,
        ):
            _build(database, index, key)
        record_digest(path)
        _remove_old(folder)
        if (cached := _open_cached(path, key)) is not None:
            return cached
    except (OSError, sqlite3.OperationalError):
        pass  # read-only or full: do without the cache
    index = sqlite3.connect(":memory:", check_same_thread=False)
    _build(database, index, key)
    return index


def _open_cached(path: Path, key: str) -> sqlite3.Connection | None:
    """The index in `path`; None where there is none of that key, or it is not as it was made."""
    try:
        if not is_whole(path):
            return None
        index = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    except (OSError, sqlite3.Error):
        return None
    with contextlib.suppress(sqlite3.Error):
        if index.execute("SELECT key FROM about").fetchone() == (key,):
            return index
    index.close()
    return None


def _remove_old(folder: Path) -> None:
    files = sorted(folder.glob("*.sqlite"), key=lambda file: -file.stat().st_mtime_ns)
    for file in files[CACHE_FILES:]:
        remove_with_digest(file)
    remove_abandoned(folder)


# --- building -------------------------------------------------------------------------


def _build(database: Database, index: sqlite3.Connection, key: str) -> None:
    index.executescript(
        """
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        CREATE TABLE about (key TEXT);
        CREATE TABLE value (id INTEGER PRIMARY KEY, column_index, "table", "column", value, plain);
        CREATE TABLE acronym (letters, id);
        CREATE VIRTUAL TABLE gram USING fts5 (
            plain, content = '', detail = none, tokenize = 'trigram');
        """
    )
    rows: list[tuple[int, int, str, str, str, str]] = []
    acronyms: list[tuple[str, int]] = []
    for column_index, table, column, value in _stored_values(database):
        words = split_words(value)
        plain = plain_text(words)
        # Numbers of one or two digits are in many questions and say nothing of a value.
        if not words or (plain.replace(" ", "").isdigit() and len(plain) < 3):
            continue
        rows.append((len(rows) + 1, column_index, table, column, value, plain))
        if letters := acronym(words):
            acronyms.append((letters, len(rows)))
    with index:
        index.executemany("INSERT INTO value VALUES (?, ?, ?, ?, ?, ?)", rows)
        index.executemany("INSERT INTO acronym VALUES (?, ?)", acronyms)
        index.executemany(
            "INSERT INTO gram (rowid, plain) VALUES (?, ?)", ((row[0], row[5]) for row in rows)
        )
        index.execute("INSERT INTO about VALUES (?)", (key,))
        index.execute("CREATE INDEX value_plain ON value (plain)")
        index.execute("CREATE INDEX acronym_letters ON acronym (letters)")


def _stored_values(database: Database) -> Iterator[tuple[int, str, str, str]]:
    """(column index, table, column, value) for every short text value within the bounds.

    The index counts the columns of the whole file. Columns of numbers, of more than
    COLUMN_VALUES values, of identifiers, and of views and virtual tables are left out.
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
    for column_index, (table, column) in enumerate(columns):
        values = _distinct(database, table, column, rows, brake - time.monotonic())
        if len(values) > COLUMN_VALUES or _are_identifiers(values):
            continue
        kept += len(values)
        if kept > VALUES:
            return
        for value in values:
            yield column_index, table, column, value


def _distinct(database: Database, table: str, column: str, rows: int, seconds: float) -> list[str]:
    """Different short texts of the first `rows` rows; at a damaged page, what came before."""
    if seconds <= 0:
        return []
    sql = (
        f"SELECT DISTINCT c FROM (SELECT {quoted(column)} AS c FROM {quoted(table)} "
        f"LIMIT {rows}) WHERE typeof(c) = 'text' AND length(c) <= {VALUE_CHARACTERS} "
        f"LIMIT {COLUMN_VALUES + 1}"
    )
    try:
        found = database.select(sql, Limits(COLUMN_VALUES + 1, seconds), longest=CELL_BYTES)
    except PartialRows as error:  # a cell too long, a damaged page
        found = error.rows
    return [value for (value,) in found if "\ufffd" not in value]


_IDENTIFIER = re.compile(r"[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _are_identifiers(values: list[str]) -> bool:
    """Whether these are hashes or UUIDs, which no question mentions."""
    return bool(values) and all(map(_IDENTIFIER.fullmatch, values[:20]))
