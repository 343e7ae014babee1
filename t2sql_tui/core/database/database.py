"""One SQLite file, opened so that no statement can change it, or anything near it.

A query passes four locks, each of which holds alone (tests/core/database/test_attacks.py):

1. a read-only connection (`mode=ro`), which keeps the file's own pages;
2. an authorizer that allows SELECT, READ, FUNCTION (from a list) and RECURSIVE, which
   keeps ATTACH, VACUUM INTO, PRAGMA, DDL and DML out before they run;
3. a deadline, asked by SQLite's progress handler and by a watching thread, because
   count(*) and its like are one long step in which the handler is never called;
4. bounds on rows, bytes and the size of a single value, so that memory stays small.

Nothing is created beside the file either. SQLite would make `-wal` and `-shm` there
when it reads a WAL database, even read-only; `_Source` says how that is avoided.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from t2sql_tui.core.database import schema as schema_reader
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.types import CheckedQuery, Limits, QueryResult, Schema, ShouldStop

# --- bounds -----------------------------------------------------------------------

MIB = 1024 * 1024
VALUE_BYTES = 64 * MIB  # one value, stored or computed
ROW_BYTES = 128 * MIB  # one row: its columns share this
SQL_BYTES = 100_000
LIKE_PATTERN_BYTES = 500
HEAP_BYTES = 256 * MIB  # all of SQLite in this process; sorts spill to disk long before
TEMP_BYTES = 4096 * MIB  # what one query may spill into the temporary folder
COPY_BYTES = 2048 * MIB  # the largest WAL database that is copied to be read
BUSY_SECONDS = 1.0  # how long to wait for another program's lock
PREPARE_SECONDS = 5.0

# Functions whose time grows with the product of their arguments' lengths, inside one step
# that nothing can interrupt; so the values of a statement that calls one are kept short
# enough that a call ends within about two seconds. Measured on SQLite 3.40:
# trim(16 KiB, 16 KiB) 1.8 s, instr(256 KiB, 128 KiB) 0.8 s, LIKE(1 MB, 900 B) 2.0 s.
SLOW_FUNCTIONS = {
    "trim(2)": MIB // 64,
    "ltrim(2)": MIB // 64,
    "rtrim(2)": MIB // 64,
    "instr(2)": MIB // 4,
    "replace(3)": MIB // 4,
    "unhex(2)": MIB // 4,
    "like(2)": 2 * MIB,
    "like(3)": 2 * MIB,
    "glob(2)": 2 * MIB,
}

# --- lock 2: what a statement may do ----------------------------------------------

# Every SQL function of SQLite that only computes. Left out on purpose: load_extension,
# fts3_tokenizer (a pointer), optimize (writes an FTS index), sqlite_log, and whatever a
# future build adds before someone has looked at it.
FUNCTIONS = frozenset(
    """
    abs changes char coalesce concat concat_ws format glob hex if ifnull iif instr
    last_insert_rowid length like likelihood likely lower ltrim max min nullif octet_length
    printf quote random randomblob replace round rtrim sign soundex substr substring subtype
    sqlite_compileoption_get sqlite_compileoption_used sqlite_offset sqlite_source_id
    sqlite_version total_changes trim typeof unhex unicode unistr unistr_quote unlikely upper
    zeroblob date time datetime julianday unixepoch strftime timediff current_date current_time
    current_timestamp avg count group_concat string_agg sum total median percentile
    percentile_cont percentile_disc row_number rank dense_rank percent_rank cume_dist ntile lag
    lead first_value last_value nth_value acos acosh asin asinh atan atan2 atanh ceil ceiling
    cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians sin sinh sqrt tan tanh
    trunc json jsonb json_array jsonb_array json_array_insert jsonb_array_insert
    json_array_length json_error_position json_extract jsonb_extract -> ->> json_insert
    jsonb_insert json_object jsonb_object json_patch jsonb_patch json_pretty json_remove
    jsonb_remove json_replace jsonb_replace json_set jsonb_set json_type json_valid json_quote
    json_group_array jsonb_group_array json_group_object jsonb_group_object match bm25 highlight
    snippet offsets matchinfo fts5_source_id fts5_get_locale rtreedepth rtreenode geopoly_area
    geopoly_bbox geopoly_blob geopoly_ccw geopoly_contains_point geopoly_json geopoly_overlap
    geopoly_regular geopoly_svg geopoly_within geopoly_xform
    """.split()
)

# Pragmas that only describe. Their table-valued forms (`FROM pragma_table_info('t')`) ask
# for these; FTS5 asks for data_version whenever it is read.
PRAGMAS = frozenset(
    """
    collation_list compile_options data_version foreign_key_list function_list index_info
    index_list index_xinfo module_list pragma_list table_info table_list table_xinfo
    """.split()
)

_PLAIN_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})


def is_allowed(action: int, first: str | None, second: str | None) -> bool:
    """Lock 2 as a plain function of what SQLite's authorizer is told.

    Source: https://sqlite.org/c3ref/c_alter_table.html (action codes and arguments).
    """
    if action in _PLAIN_ACTIONS:
        return True
    if action == sqlite3.SQLITE_FUNCTION:
        return (second or "").lower() in FUNCTIONS
    if action == sqlite3.SQLITE_PRAGMA:
        return (first or "").lower() in PRAGMAS
    return False


# --- lock 3: time and cancelling --------------------------------------------------


class Watch:
    """Says when a statement must end: its deadline, a cancel, a full temporary folder.

    Use as a context manager around the statement, and as its progress handler. `reason`
    tells afterwards what stopped it ("" if nothing did).
    """

    PERIOD = 0.05  # seconds between looks of the watching thread

    def __init__(
        self,
        seconds: float,
        should_stop: ShouldStop | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.should_stop = should_stop
        self.interrupt = interrupt
        self.reason = ""
        self._done = threading.Event()
        self._end = threading.Lock()  # so that no late interrupt meets the next statement
        self._temp_free = _temp_free()

    def __call__(self) -> int:
        """1 when the statement must end, else 0: what a progress handler returns."""
        if not self.reason:
            if self.should_stop is not None and self.should_stop():
                self.reason = "cancelled"
            elif time.monotonic() > self.deadline:
                self.reason = "time"
        return int(bool(self.reason))

    def __enter__(self) -> Watch:
        if self.interrupt is not None:
            threading.Thread(target=self._look, name="query-watch", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._end:
            self._done.set()

    def _look(self) -> None:
        while not self._done.wait(self.PERIOD):
            if not self.reason and self._temp_free - _temp_free() > TEMP_BYTES:
                self.reason = "disk"
            with self._end:
                if self() and not self._done.is_set():
                    self.interrupt()


def _temp_free() -> float:
    """Free bytes where SQLite spills (https://sqlite.org/tempfiles.html section 5)."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp")
    for folder in (*named, tempfile.gettempdir()):
        if folder and os.access(folder, os.W_OK):
            return shutil.disk_usage(folder).free
    return math.inf


# --- lock 4: rows and bytes -------------------------------------------------------


def fetch(cursor: sqlite3.Cursor, limits: Limits) -> tuple[list[tuple[Any, ...]], str]:
    """At most `limits.rows` rows and about `limits.bytes` bytes, and which of the two cut.

    Bytes are those that the cells take in memory. One row more than the limit is asked
    for, so that "rows" is said only where there is another row.
    """
    rows: list[tuple[Any, ...]] = []
    size = 0
    chunk = 1  # small at first: a first row may be huge; larger once rows prove small
    while len(rows) <= limits.rows:
        batch = cursor.fetchmany(min(chunk, limits.rows + 1 - len(rows)))
        for row in batch:
            size += sum(map(sys.getsizeof, row))
            if size > limits.bytes and rows:
                return rows, "bytes"
            rows.append(row)
        if len(batch) < chunk:
            break
        chunk = max(1, min(256, limits.bytes // 64 * len(rows) // (size + 1)))
    if len(rows) > limits.rows:
        return rows[: limits.rows], "rows"
    return rows, ""


# --- opening ----------------------------------------------------------------------


class _Source:
    """How to reach the file without leaving anything beside it.

    - Rollback-journal databases: `mode=ro`. SQLite creates nothing.
    - WAL databases that nobody has open (no `-wal` with content, no `-shm`):
      `immutable=1`, for `mode=ro` alone would create both files. The stamp tells if
      someone started to write meanwhile.
    - WAL databases in use (`-wal` and `-shm` are there): `mode=ro` joins them, and leaves
      as soon as the statement has ended so that the owner can tidy up.
    - A `-wal` with content but no `-shm` (a crash, or a copied pair): a private copy is
      read, for SQLite would have to create the `-shm`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy: tuple[object, tempfile.TemporaryDirectory[str]] | None = None
        self._copy_lock = threading.Lock()

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever the file or its write-ahead log does."""
        return tuple(_stat(Path(f"{self.path}{end}")) for end in ("", "-wal"))

    def locate(self) -> tuple[str, str]:
        """(URI, kind): kind is "file", "immutable", "joined" or "copy"."""
        base = self.path.as_uri() + "?mode=ro"
        if not _is_wal(self.path):
            return base, "file"
        wal = _stat(Path(f"{self.path}-wal"))
        if wal and os.path.exists(f"{self.path}-shm"):
            return base, "joined"
        if not wal or wal[0] == 0:
            return base + "&immutable=1", "immutable"
        return self._copied().as_uri() + "?mode=ro", "copy"

    def _copied(self) -> Path:
        with self._copy_lock:
            stamp = self.stamp()
            if self._copy is None or self._copy[0] != stamp:
                folder = tempfile.TemporaryDirectory(prefix="t2sql-")
                size = sum(os.path.getsize(f"{self.path}{end}") for end in ("", "-wal"))
                if size > min(COPY_BYTES, shutil.disk_usage(folder.name).free // 2):
                    folder.cleanup()
                    raise DatabaseError(
                        f"{self.path} has changes in its -wal file that were never merged, and "
                        "is too large to be copied for reading.",
                        f"Merge them once: sqlite3 '{self.path}' 'PRAGMA wal_checkpoint'",
                    )
                for end in ("", "-wal"):
                    shutil.copyfile(f"{self.path}{end}", Path(folder.name, f"copy.sqlite{end}"))
                self._forget_copy()
                self._copy = (stamp, folder)
            return Path(self._copy[1].name, "copy.sqlite")

    def _forget_copy(self) -> None:
        if self._copy is not None:
            self._copy[1].cleanup()
            self._copy = None

    def close(self) -> None:
        with self._copy_lock:
            self._forget_copy()


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def _is_wal(path: Path) -> bool:
    """Bytes 18 and 19 of the header are 2 in WAL mode (https://sqlite.org/fileformat.html)."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"


# Bytes that are not UTF-8 become U+FFFD: visible, printable, and never an exception.
_decode = functools.partial(str, encoding="utf-8", errors="replace")


def connect(uri: str) -> sqlite3.Connection:
    """Lock 1 and the settings that every connection of ours shares.

    Settings are made here because no PRAGMA passes the authorizer later.
    """
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # no BEGIN of Python's own
        check_same_thread=False,  # each connection has a lock of its own
        cached_statements=0,  # the authorizer must see every statement anew
    )
    try:
        connection.text_factory = _decode
        for pragma in (
            "query_only = ON",
            "trusted_schema = OFF",  # no side effects from a view in a hostile file
            "cell_size_check = ON",
            "mmap_size = 0",  # a file that shrinks must be an error, not a SIGBUS
            "cache_size = -16384",
            f"hard_heap_limit = {HEAP_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_PATTERN_BYTES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class _Guarded:
    """One connection behind the locks, for one statement at a time.

    It is opened when first needed and again when the file has changed.
    """

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] = ()
        self._kind = ""
        self._closed = False
        self._watch = Watch(0)

    @contextlib.contextmanager
    def use(
        self, seconds: float, should_stop: ShouldStop | None = None, threaded: bool = True
    ) -> Iterator[tuple[sqlite3.Connection, Watch]]:
        """The connection for the body of the `with`, at most `seconds` from now."""
        with self._lock:
            if self._closed:
                raise DatabaseError(f"{self.source.path} was closed.", "Open it again.")
            if self.connection is not None and self._stamp != self.source.stamp():
                self._close()
            if self.connection is None:
                self._open()
            connection = self.connection
            assert connection is not None
            interrupt = connection.interrupt if threaded else None
            try:
                with Watch(seconds, should_stop, interrupt) as self._watch:
                    yield connection, self._watch
            except MemoryError:
                self._close()  # SQLite has dropped its schema, virtual tables included
                raise
            finally:
                if self._kind == "joined":
                    self._close()
            if self._kind == "immutable" and self._stamp != self.source.stamp():
                raise DatabaseError(
                    f"{self.source.path} was changed by another program while it was read.",
                    "Run the query again.",
                )

    def _open(self) -> None:
        self._stamp = self.source.stamp()
        with explained(self.source.path), contextlib.ExitStack() as undo:
            uri, self._kind = self.source.locate()
            connection = connect(uri)
            undo.callback(connection.close)
            _touch_virtual_tables(connection)
            connection.set_progress_handler(lambda: self._watch(), 20_000)
            connection.set_authorizer(self._authorize)
            undo.pop_all()
        self.connection = connection

    def _authorize(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        # SQLite before 3.41 asks no progress handler while it compiles; but it asks here. (It
        # expands views without asking: to 65,535 references at most, and within the heap.)
        if self._watch():
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if is_allowed(action, first, second) else sqlite3.SQLITE_DENY

    def interrupt(self) -> None:
        if (connection := self.connection) is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed meanwhile
                connection.interrupt()

    def _close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        self._closed = True
        self.interrupt()
        with self._lock:
            self._close()


# Table-valued functions that only read. `json_each('[1]')` is a virtual table to SQLite.
TABLE_FUNCTIONS = ("json_each", "json_tree", "dbstat", *(f"pragma_{name}" for name in PRAGMAS))


def _touch_virtual_tables(connection: sqlite3.Connection) -> None:
    """Connect every virtual table before the authorizer is set.

    To connect one, SQLite asks to update sqlite_schema, and an R-tree prepares its INSERT
    and DELETE, even for reading; both would be refused. Nothing runs here: the statements
    are only prepared. What is not connected here cannot be used later.
    """
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'create virtual%'"
    )
    for name in (*TABLE_FUNCTIONS, *(name for (name,) in found.fetchall())):
        with contextlib.suppress(sqlite3.Error):  # a module that this SQLite lacks
            connection.execute(f"EXPLAIN SELECT 1 FROM {schema_reader.quote(name)}").close()


# --- the database -----------------------------------------------------------------


class Database:
    """An open file. Every method may be called from any thread.

    Queries and checks have a connection each, so that a check never waits for a query.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._source = _Source(path)
        self._queries = _Guarded(self._source)
        self._checks = _Guarded(self._source)
        self._schema_lock = threading.Lock()
        self._schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """Read once, on a connection of its own. Raises: DatabaseError."""
        with self._schema_lock:
            if self._schema is None:
                self._schema = self._read_schema()
            return self._schema

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever the file or its write-ahead log does."""
        return self._source.stamp()

    def reload_schema(self) -> Schema:
        """Read it again, as after another program changed the file."""
        with self._schema_lock:
            self._schema = self._read_schema()
            return self._schema

    def _read_schema(self) -> Schema:
        with self.reading() as connection:
            return schema_reader.read_schema(connection)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection without the authorizer, for our own fixed statements.

        SQLite's errors come out as DatabaseError.
        """
        with explained(self.path):
            uri, _ = self._source.locate()
            connection = connect(uri)
            try:
                yield connection
            finally:
                connection.close()

    def prepare(self, sql: str) -> tuple[str, ...]:
        """Have SQLite compile one SELECT; the names of its result columns.

        `sql` has no semicolon at its end (see check.split_statements). Nothing runs. Raises:
        sqlite3.Error with SQLite's own words, DatabaseError where the file is the trouble.
        """
        watch = None
        try:
            with self._checks.use(PREPARE_SECONDS, threaded=False) as (connection, watch):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
                connection.execute(f"EXPLAIN {sql}").close()
                # The inner LIMIT keeps the query a subroutine of its own, which LIMIT 0
                # never enters: the names come without running any part of it.
                cursor = connection.execute(
                    f"SELECT * FROM (SELECT * FROM ({sql}\n) LIMIT -1) LIMIT 0"
                )
                names = [column[0] for column in cursor.description or ()]
                cursor.close()
        except MemoryError:
            raise sqlite3.OperationalError(
                "the query is too complex: compiling it takes too much memory"
            ) from None
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith(_FILE_TROUBLE):
                raise _explain(error, self.path) from error
            if watch is not None and watch.reason:
                raise sqlite3.OperationalError(
                    "the query is too complex: compiling it takes too long"
                ) from None
            raise
        return _without_numbers(names)

    def run(
        self,
        query: CheckedQuery,
        limits: Limits = Limits(),
        should_stop: ShouldStop | None = None,
    ) -> QueryResult:
        """Run a checked query within its limits.

        Raises: QueryStopped at the time limit or when `should_stop()` says so or
        `interrupt()` was called, DatabaseError when SQLite fails.
        """
        if not isinstance(query, CheckedQuery):
            raise TypeError("run() takes a CheckedQuery: see t2sql_tui.core.sql.check.check()")
        return self._run(query.sql, limits, should_stop)

    def _run(
        self, sql: str, limits: Limits = Limits(), should_stop: ShouldStop | None = None
    ) -> QueryResult:
        """`run()` for any string: the locks must hold without the check, too."""
        started = time.perf_counter()
        try:
            with (
                self._queries.use(limits.seconds, should_stop) as (connection, watch),
                explained(self.path, watch, limits),
            ):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _value_bytes(connection, sql))
                cursor = connection.execute(sql)
                columns = tuple(column[0] for column in cursor.description or ())
                try:
                    rows, cut = fetch(cursor, limits)
                finally:
                    cursor.close()
        except MemoryError:
            raise DatabaseError(
                f"The query needs more than {HEAP_BYTES // MIB} MiB of memory.",
                "Narrow it with WHERE, or select fewer and shorter columns.",
            ) from None
        return QueryResult(columns, tuple(rows), cut, time.perf_counter() - started)

    def interrupt(self) -> None:
        """Stop the running query, from any thread."""
        self._queries.interrupt()

    def close(self) -> None:
        """Stop what runs and let go of the file. Harmless to repeat."""
        self._queries.close()
        self._checks.close()
        self._source.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _value_bytes(connection: sqlite3.Connection, sql: str) -> int:
    """The longest value that a statement may read or make, in bytes.

    Read off its bytecode: a row of n columns may hold n copies of one value, and some
    functions are too slow for long ones.
    """
    bound = VALUE_BYTES
    for _, opcode, p1, p2, p3, p4, *_ in connection.execute(f"EXPLAIN {sql}"):
        if opcode in ("Function", "PureFunc"):
            bound = min(bound, SLOW_FUNCTIONS.get(p4, bound))
        elif opcode == "ResultRow":
            bound = min(bound, ROW_BYTES // max(1, p2))
    return bound


def _without_numbers(names: list[str]) -> tuple[str, ...]:
    """`id, id:1` as `id, id`: a subquery numbers names that repeat, a query does not."""
    plain = [
        name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name for name in names
    ]
    repeated = Counter(name.lower() for name in plain)
    return tuple(
        short if short != name and repeated[short.lower()] > 1 else name
        for short, name in zip(plain, names, strict=True)
    )


# --- opening, and saying what is wrong --------------------------------------------


def open_database(path: str | os.PathLike[str]) -> Database:
    """Open a SQLite file and read its schema.

    A file of 0 bytes is an empty database: its schema has no tables. Raises:
    DatabaseError, which says what is wrong with the file and what to do next.
    """
    given = Path(path).expanduser()
    try:
        found = given.resolve()
        _look_at(found, given)
        database = Database(found)
        try:
            _ = database.schema
        except BaseException:
            database.close()
            raise
    except OSError as error:
        raise _explain(error, given) from error
    return database


def _look_at(path: Path, given: Path) -> None:
    """Raise DatabaseError for what can be told without SQLite. `given` is for messages."""
    if path.is_dir():
        raise DatabaseError(f"{given} is a folder, not a file.", _nearby(path, ""))
    if not path.exists():
        raise DatabaseError(f"There is no file {given}.", _nearby(path.parent, path.name))
    if not path.is_file():
        raise DatabaseError(f"{given} is not a regular file.", "Give the path of a SQLite file.")
    with path.open("rb") as file:
        start = file.read(4096)
    if start and not start.startswith(b"SQLite format 3\0"):
        raise DatabaseError(*_not_a_database(given, start))


def _nearby(folder: Path, name: str) -> str:
    """A hint that names the SQLite files of a folder, those like `name` first."""
    import difflib

    try:
        files = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return "Check the path."
    likely = [f for f in files if f.lower().endswith((".sqlite", ".sqlite3", ".db", ".db3"))]
    best = difflib.get_close_matches(name, files, 3, 0.6) if name else []
    best = best or likely[:3]
    if not best:
        return "Check the path."
    return "Did you mean " + " or ".join(str(folder / name) for name in best) + "?"


_MAGIC = {
    b"PK\x03\x04": ("a zip archive", "Unpack it first: unzip"),
    b"\x1f\x8b": ("gzip-compressed", "Unpack it first: gunzip"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", "Unpack it first: unzstd"),
    b"PAR1": ("a Parquet file", "Import it into a SQLite file first, as with DuckDB or pandas."),
    b"** This file contains an SQLite 2": ("a SQLite 2 file", "Convert it: sqlite old .dump"),
}


def _not_a_database(path: Path, start: bytes) -> tuple[str, str]:
    """(message, hint) for a file without SQLite's header, from its first bytes."""
    for magic, (what, hint) in _MAGIC.items():
        if start.startswith(magic):
            return f"{path} is {what}, not a SQLite file.", hint
    counts = Counter(start)
    entropy = -sum(n / len(start) * math.log2(n / len(start)) for n in counts.values())
    if entropy > 7.2 and len(start) >= 512:  # random bytes: 7.9 for 4096, 7.6 for 512
        return (
            f"{path} looks like random bytes: it is probably encrypted (or compressed).",
            "Decrypt it to a plain SQLite file first, as with `sqlcipher_export`.",
        )
    if b"\0" not in start:
        return (
            f"{path} is a text file, not a SQLite file.",
            "If it holds SQL: sqlite3 new.sqlite < FILE. If it is CSV: sqlite3 new.sqlite "
            "'.import --csv FILE NAME'.",
        )
    return f"{path} is not a SQLite file.", "Choose a file that begins with 'SQLite format 3'."


_FILE_TROUBLE = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_CORRUPT",
    "SQLITE_FORMAT",
    "SQLITE_NOTADB",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_IOERR",
    "SQLITE_PROTOCOL",
)


@contextlib.contextmanager
def explained(path: Path, watch: Watch | None = None, limits: Limits = Limits()) -> Iterator[None]:
    """Turn errors of SQLite and of the system into what a person can act on."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, OSError) as error:
        raise _explain(error, path, watch.reason if watch else "", limits) from error


def _explain(
    error: Exception, path: Path, reason: str = "", limits: Limits = Limits()
) -> DatabaseError:
    """What an error of SQLite or of the operating system means, and what to do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    if reason == "time":
        return QueryStopped(
            f"The query was stopped after {limits.seconds:g} seconds.",
            "Narrow it with WHERE or LIMIT, or allow it more time.",
            "time",
        )
    if reason == "disk":
        return QueryStopped(
            f"The query was stopped: it wrote more than {TEMP_BYTES // MIB} MiB of temporary data.",
            "Narrow it with WHERE, or sort and group fewer rows.",
            "time",
        )
    if reason == "cancelled" or name == "SQLITE_INTERRUPT":
        return QueryStopped("The query was cancelled.", "", "cancelled")
    if name == "SQLITE_TOOBIG":
        return DatabaseError(
            "The query meets a value that is too long to handle in it.",
            f"Leave out columns with long text or blobs: values may be {VALUE_BYTES // MIB} MiB, "
            "less where many columns are selected, and far less for trim, replace, instr and LIKE.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseError(
            f"Another program is writing to {path} and keeps it locked.",
            "Wait until it has finished, or close it, then try again.",
        )
    if name.startswith("SQLITE_CORRUPT") or name == "SQLITE_FORMAT":
        return DatabaseError(
            f"{path} is damaged: {text}.",
            f"Restore a backup, or save what can be read: sqlite3 '{path}' .recover "
            "| sqlite3 repaired.sqlite",
        )
    if name == "SQLITE_NOTADB":
        return DatabaseError(
            f"{path} is not a plain SQLite file: {text}.",
            "It may be encrypted or damaged. Decrypt it, or restore a backup.",
        )
    if name == "SQLITE_READONLY_ROLLBACK":
        return DatabaseError(
            f"{path} was left in the middle of a write: {path.name}-journal must be undone first.",
            "Open it once with the program that writes it (that repairs it), then try again.",
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return DatabaseError(
            f"{path} cannot be read where it is: {text}.",
            "A program may have left its -wal or -journal file behind, and this folder cannot "
            "be written to. Copy the file with all that belongs to it to a folder of your own.",
        )
    if name.startswith("SQLITE_IOERR") or isinstance(error, OSError):
        return DatabaseError(f"{path} cannot be read: {text}.", "Check the disk and permissions.")
    if name == "SQLITE_AUTH" or "prohibited" in text:
        return DatabaseError(
            f"SQLite refused it: {text}.", "Only queries that read this file are allowed."
        )
    return DatabaseError(f"SQLite says: {text}.", "Edit the query and try again.")
