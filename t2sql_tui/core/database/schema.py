"""Read what a SQLite file holds: tables, columns, keys, row counts, a few sample values.

The reading is a handful of statements for the whole file, not a handful per table, so that
a file of 1,000 tables and 20,000 columns opens in well under two seconds. What a prompt
may show is deterministic: samples are bounded by rows and bytes read, never by the clock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from t2sql_tui.core.database.capabilities import needs
from t2sql_tui.core.database.collations import register_stand_ins
from t2sql_tui.core.english import VAGUE_KEY_NAMES, possible_singulars
from t2sql_tui.core.identifiers import folded, quoted
from t2sql_tui.core.types import Column, ForeignKey, Schema, Table, Unreadable

SAMPLES = 5  # per column
SAMPLE_CHARACTERS = 60  # longer text is not a sample
SAMPLE_CELLS = 400_000  # read for samples, over all tables
SAMPLE_ROWS = (25, 1000)  # per table: at least, at most
SAMPLE_VALUE_BYTES = 65_536  # a longer value ends the sampling of its column
SAMPLE_TABLE_BYTES = 4_000_000  # as many bytes of text end the sampling of a table
COUNT_SECONDS = 0.4  # for all row counts together; they are in no prompt
VIEW_SECONDS = 2.0  # for compiling views: 50 us each, but 0.1 s where views nest without end
BRAKE_SECONDS = 8.0  # for the samples, on a disk that is very slow


def schema_of(plain: tuple[Any, ...]) -> Schema:
    """The schema that `dataclasses.astuple` took apart, as it comes from the query process."""
    tables, fingerprint, unreadable, notes = plain
    return Schema(
        tuple(
            Table(
                name,
                tuple(Column(*values) for values in columns),
                tuple(ForeignKey(*values) for values in keys),
                kind,
                row_count,
            )
            for name, columns, keys, kind, row_count in tables
        ),
        fingerprint,
        tuple(Unreadable(*part) for part in unreadable),
        tuple(notes),
    )


def read_schema(connection: sqlite3.Connection, samples: str = "all") -> Schema:
    """All tables, views and virtual tables of `main`, in the order they were created.

    `samples` says of which columns values are read: "all", "stored" (none that are computed when
    they are read) or "none".

    Shadow tables of virtual tables and SQLite's own tables are left out; views and virtual tables
    that do not compile are in `unreadable`. `connection` must have no authorizer.
    Raises: sqlite3.Error.
    """
    tables, unreadable = _read_tables(connection, ask_for_shadows=samples != "none")
    tables = _with_foreign_keys(connection, tables)
    tables = _with_inferred_keys(tables)
    notes = register_stand_ins(connection)
    if samples != "none":
        tables = _with_samples(connection, tables, computed=samples == "all")
    else:
        notes += ("No sample values are known: reading them takes too long.",)
    tables = _with_row_counts(connection, tables)
    return Schema(tuple(tables), _fingerprint(tables), tuple(unreadable), notes)


# --- tables and columns -----------------------------------------------------------

_COLUMNS = 'c.name, c.type, c.pk, c."notnull", c.hidden'


def _read_tables(
    connection: sqlite3.Connection, ask_for_shadows: bool
) -> tuple[list[Table], list[Unreadable]]:
    # Plain tables in one statement. Views and virtual tables one by one, for a broken one
    # would fail the statement for all.
    columns: dict[str, list[Column]] = defaultdict(list)
    for name, *column in connection.execute(
        f"SELECT m.name, {_COLUMNS} FROM sqlite_schema m, pragma_table_xinfo(m.name, 'main') c "
        "WHERE m.type = 'table' AND m.rootpage > 0 ORDER BY m.rowid, c.cid"
    ):
        columns[name].append(_column(*column))
    entries = connection.execute(
        "SELECT name, CASE WHEN type = 'view' THEN 'view' WHEN rootpage = 0 THEN 'virtual' "
        "ELSE 'table' END, sql FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY rowid"
    ).fetchall()
    hidden = _shadow_tables(connection, entries, ask_for_shadows)
    brake = time.monotonic() + VIEW_SECONDS
    tables, unreadable = [], []
    for name, kind, sql in entries:
        if folded(name) in hidden or folded(name).startswith("sqlite_"):
            continue
        reason = ""
        if kind != "table" and time.monotonic() < brake:
            columns[name], reason = _columns_of(connection, name, sql)
        elif kind != "table":
            reason = "there was no time left to look at it"
        elif not columns[name]:
            reason = _why_not_parsed(sql)
        elif "\ufffd" in name and not _answers_to(connection, name):
            columns[name], reason = [], "its name is not valid UTF-8"
        if columns[name]:
            tables.append(Table(name, tuple(columns[name]), kind=kind))
        else:
            kind = "virtual table" if kind == "virtual" else kind
            unreadable.append(Unreadable(name, kind, reason or "SQLite does not say why"))
    return tables, unreadable


def _why_not_parsed(sql: str) -> str:
    """Why SQLite skipped this part of a schema."""
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        try:
            empty.execute(f"EXPLAIN {sql}").close()  # compiled, not run
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return needs(str(error))
    return "its entry in the file is damaged"


def _answers_to(connection: sqlite3.Connection, name: str) -> bool:
    try:
        connection.execute(f"EXPLAIN SELECT 1 FROM {quoted(name)}").close()
    except (sqlite3.Error, UnicodeError):
        return False
    return True


# What FTS3, FTS4, FTS5, R-tree and Geopoly call the tables they keep their data in.
_SHADOWS = frozenset(
    "content data idx docsize config segments segdir stat node parent rowid".split()
)
# FTS4 and FTS5 tables may index a table of the person's own, which is then no shadow.
_CONTENT = re.compile(r"""\bcontent\s*=\s*["'`\[]?([^"'`\],)]+)""", re.IGNORECASE)


def _shadow_tables(
    connection: sqlite3.Connection, entries: list[tuple[str, str, str]], ask: bool
) -> set[str]:
    """The folded names of tables that virtual tables keep their data in.

    Which they are SQLite says; it is asked only where a name looks like one, for to answer it
    compiles every view. Without `ask` the names decide.
    """
    virtual = {folded(name): sql or "" for name, kind, sql in entries if kind == "virtual"}
    names = {f"{name}_{end}" for name in virtual for end in _SHADOWS}
    shadows = names & {folded(name) for name, _, _ in entries}
    if shadows and ask:
        listed = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
        )
        shadows = {folded(name) for (name,) in listed}
    own = {folded(match[1].strip()) for sql in virtual.values() if (match := _CONTENT.search(sql))}
    return shadows - own


def _columns_of(connection: sqlite3.Connection, name: str, sql: str) -> tuple[list[Column], str]:
    """The columns of a view or virtual table; else none, and why it does not compile."""
    try:
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM pragma_table_xinfo(?, 'main') c ORDER BY c.cid", (name,)
        )
        columns = [_column(*column) for column in found]
        if not columns:  # the pragma says nothing of what was skipped
            connection.execute(f"EXPLAIN SELECT * FROM {quoted(name)}").close()
    except (sqlite3.Error, UnicodeError) as error:
        if str(error) == f"no such table: {name}":
            return [], _why_not_parsed(sql)
        return [], needs(str(error))
    return columns, ""


def _column(name: str, type: str | None, key: int, not_null: int, hidden: int) -> Column:
    # `hidden` is 1 for a hidden column of a virtual table, 2 and 3 for a generated one
    # (https://sqlite.org/pragma.html#pragma_table_xinfo).
    problem = "its name is not valid UTF-8" if "\ufffd" in name else ""
    generated = hidden in (2, 3)
    return Column(name, type or "", key, bool(not_null), generated, hidden == 1, problem=problem)


# --- keys -------------------------------------------------------------------------


def _with_foreign_keys(connection: sqlite3.Connection, tables: list[Table]) -> list[Table]:
    """Add the declared keys, with names as stored. Keys to what does not exist are dropped."""
    by_name = {folded(table.name): table for table in tables}
    declared: dict[str, dict[int, list[tuple[str, str, str | None]]]] = defaultdict(dict)
    # SQLite numbers keys from the last declared to the first.
    for name, number, target, source_column, target_column in connection.execute(
        'SELECT m.name, k.id, k."table", k."from", k."to" '
        "FROM sqlite_schema m, pragma_foreign_key_list(m.name, 'main') k "
        "WHERE m.type = 'table' AND m.rootpage > 0 ORDER BY m.rowid, k.id DESC, k.seq"
    ):
        declared[name].setdefault(number, []).append((target, source_column, target_column))
    with_keys = []
    for table in tables:
        keys = [_foreign_key(table, parts, by_name) for parts in declared[table.name].values()]
        unique = tuple(dict.fromkeys(key for key in keys if key))
        with_keys.append(dataclasses.replace(table, foreign_keys=unique))
    return with_keys


def _foreign_key(
    table: Table, parts: list[tuple[str, str, str | None]], by_name: dict[str, Table]
) -> ForeignKey | None:
    target = by_name.get(folded(parts[0][0]))
    if target is None:
        return None
    columns = _as_stored(table, [column for _, column, _ in parts])
    if all(column is None for _, _, column in parts):  # REFERENCES t: its primary key
        ref_columns = _primary_key(target)
    else:
        ref_columns = _as_stored(target, [column for _, _, column in parts])
    if len(columns) != len(ref_columns) or len(columns) != len(parts):
        return None
    return ForeignKey(columns, target.name, ref_columns)


def _as_stored(table: Table, names: Iterable[str | None]) -> tuple[str, ...]:
    """The columns of these names, spelled as stored; those that do not exist are left out."""
    stored = {folded(column.name): column.name for column in reversed(table.columns)}
    return tuple(stored[key] for name in names if (key := folded(name or "")) in stored)


def _primary_key(table: Table) -> tuple[str, ...]:
    key = sorted((c for c in table.columns if c.primary_key), key=lambda c: c.primary_key)
    return tuple(column.name for column in key)


def _with_inferred_keys(tables: list[Table]) -> list[Table]:
    """Add keys that nobody declared but names and types suggest, marked `inferred`.

    A column points at the only table whose single-column primary key has its name
    (`customer_id` -> `customer_id`), or whose name plus `_id` it is (`customer_id` ->
    `customers.id`); types must agree. Columns with a declared key, and a table's own
    single primary key, never get one.
    """
    owners = _owners_of_names(tables)
    with_keys = []
    for table in tables:
        inferred = list(_inferred_keys(table, owners)) if table.kind == "table" else []
        if inferred:
            table = dataclasses.replace(table, foreign_keys=(*table.foreign_keys, *inferred))
        with_keys.append(table)
    return with_keys


_Owners = dict[str, list[tuple[Table, Column]]]


def _owners_of_names(tables: list[Table]) -> _Owners:
    """The tables, with their keys, that a column of each name (in lower case) may point at."""
    owners: _Owners = defaultdict(list)
    for table in tables:
        key = [c for c in table.columns if c.primary_key]
        if table.kind != "table" or len(key) != 1:
            continue
        if (name := folded(key[0].name)) not in VAGUE_KEY_NAMES:
            owners[name].append((table, key[0]))
        if name == "id":
            for singular in possible_singulars(folded(table.name)):
                owners[f"{singular}_id"].append((table, key[0]))
                owners[f"{singular}id"].append((table, key[0]))
    return owners


def _inferred_keys(table: Table, owners: _Owners) -> Iterator[ForeignKey]:
    declared = {folded(name) for key in table.foreign_keys for name in key.columns}
    own = _primary_key(table)
    for column in table.columns:
        targets = owners.get(folded(column.name), [])
        if folded(column.name) in declared or own == (column.name,) or len(targets) != 1:
            continue
        target, key = targets[0]
        if target is not table and affinity(column.type) == affinity(key.type):
            yield ForeignKey((column.name,), target.name, (key.name,), inferred=True)


def affinity(declared: str) -> str:
    """SQLite's five affinities (https://sqlite.org/datatype3.html section 3.1)."""
    name = declared.upper()
    if "INT" in name:
        return "INTEGER"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not name or "BLOB" in name:
        return "BLOB"
    return "REAL" if any(part in name for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


# --- samples ----------------------------------------------------------------------


def _with_samples(
    connection: sqlite3.Connection, tables: list[Table], computed: bool
) -> list[Table]:
    """Add sample values, from the first rows of every table (views are not run).

    How many rows depends on the number of columns in the file alone.
    """
    cells = sum(len(t.columns) for t in tables if t.kind != "view")
    rows = max(SAMPLE_ROWS[0], min(SAMPLE_ROWS[1], SAMPLE_CELLS // max(1, cells)))
    brake = time.monotonic() + BRAKE_SECONDS
    longest = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, SAMPLE_VALUE_BYTES)
    connection.set_progress_handler(lambda: int(time.monotonic() > brake), 50_000)
    try:
        return [
            table
            if table.kind == "view"
            else _with_table_samples(connection, table, rows, computed)
            for table in tables
        ]
    finally:
        connection.set_progress_handler(None, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


def _with_table_samples(
    connection: sqlite3.Connection, table: Table, rows: int, computed: bool
) -> Table:
    problems = {c.name: _TOO_SLOW for c in table.columns if c.generated and not computed}
    visible = [c for c in table.columns if not c.hidden and c.name not in problems]
    samples: dict[str, tuple[str, ...]] = {}
    try:
        if visible:
            cells = zip(*_first_rows(connection, table, visible, rows), strict=True)
            # An empty table gives no cells for its columns.
            samples = {c.name: _most_frequent(v) for c, v in zip(visible, cells, strict=False)}
    except (sqlite3.Error, UnicodeError):
        # A value too long to read, a generated column that fails, a damaged page: each
        # column for itself, up to where it fails.
        for column in visible:
            values = []
            try:
                for (value,) in _first_rows(connection, table, [column], rows):
                    values.append(value)
            except (sqlite3.Error, UnicodeError) as error:
                problems[column.name] = _value_problem(error, column, bool(values))
            samples[column.name] = _most_frequent(values)
    columns = tuple(
        dataclasses.replace(
            column,
            samples=samples.get(column.name) or column.samples,
            problem=problems.get(column.name) or column.problem,
        )
        if column.name in samples or column.name in problems
        else column
        for column in table.columns
    )
    return dataclasses.replace(table, columns=columns)


_TOO_SLOW = "computing its values takes too long"


def _value_problem(error: Exception, column: Column, some: bool) -> str:
    """Why the values of a column, or `some` of them, cannot be read."""
    if isinstance(error, UnicodeError):
        return "its name is not valid UTF-8"
    if getattr(error, "sqlite_errorname", "") == "SQLITE_TOOBIG":
        # A stored value that is too long to be a sample can be read all the same.
        return "it is computed from very long values" if column.generated else ""
    reason = needs(str(error))
    return f"from some row on {reason}" if some else reason


def _first_rows(
    connection: sqlite3.Connection, table: Table, columns: Sequence[Column], rows: int
) -> Iterator[tuple[object, ...]]:
    size = 0
    names = ", ".join(quoted(column.name) for column in columns)
    for row in connection.execute(f"SELECT {names} FROM {quoted(table.name)} LIMIT {rows}"):
        yield row
        size += sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        if size > SAMPLE_TABLE_BYTES:
            break


def _most_frequent(values: Iterable[object]) -> tuple[str, ...]:
    """The commonest values as text; among equals, those that were stored first."""
    found = []
    for value, _ in Counter(values).most_common():
        if isinstance(value, str):
            # Not printable: control characters, or bytes that were no UTF-8 (U+FFFD).
            if not (0 < len(value) <= SAMPLE_CHARACTERS and value.strip()):
                continue
            if not value.isprintable() or "\ufffd" in value:
                continue
        elif isinstance(value, (int, float)):
            value = str(value)
        else:
            continue
        found.append(value)
        if len(found) == SAMPLES:
            break
    return tuple(found)


# --- row counts -------------------------------------------------------------------


def _with_row_counts(connection: sqlite3.Connection, tables: list[Table]) -> list[Table]:
    """Add exact row counts, small tables first, until the time is used up.

    The order comes from max(rowid), which SQLite finds without a scan; it is not a count.
    """
    deadline = time.monotonic() + COUNT_SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
    counts: dict[str, int] = {}
    plain = [table.name for table in tables if table.kind == "table"]
    try:
        likely = {name: _highest_rowid(connection, name) for name in plain}
        for name in sorted(plain, key=lambda name: likely[name]):
            try:
                # Not a bare count(*): that is one long step which nothing can stop.
                (counts[name],) = connection.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM {quoted(name)} LIMIT -1)"
                ).fetchone()
            except sqlite3.Error:  # a damaged page: this count stays unknown
                if time.monotonic() > deadline:
                    break
    finally:
        connection.set_progress_handler(None, 0)
    return [dataclasses.replace(table, row_count=counts.get(table.name)) for table in tables]


def _highest_rowid(connection: sqlite3.Connection, name: str) -> int:
    try:
        (highest,) = connection.execute(f"SELECT max(rowid) FROM {quoted(name)}").fetchone()
    except sqlite3.Error:  # WITHOUT ROWID, out of time, a damaged page
        return 0
    return highest if isinstance(highest, int) else 0


# --- fingerprint ------------------------------------------------------------------


def _fingerprint(tables: Iterable[Table]) -> str:
    """SHA-256 of everything but row counts and problems, which no prompt shows."""
    shown = [dataclasses.replace(table, row_count=None) for table in tables]
    # As dataclasses.asdict() would have it, which takes 0.5 s for 20,000 columns.
    text = json.dumps(shown, default=_fields, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _fields(value: Table | Column | ForeignKey) -> dict[str, object]:
    names = (field.name for field in dataclasses.fields(value))
    return {name: getattr(value, name) for name in names if name != "problem"}
