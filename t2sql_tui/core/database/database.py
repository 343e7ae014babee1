"""The open file: its schema, what SQLite makes of a SQL, and the rows of a checked query."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from t2sql_tui.core.database.connection import SourceFile
from t2sql_tui.core.database.diagnose import (
    explain_error,
    explained,
    is_about_the_file,
    refuse_other_files,
    stopped,
)
from t2sql_tui.core.database.limits import HEAP_BYTES, MIB, PREPARE_SECONDS, VALUE_BYTES
from t2sql_tui.core.database.process import QueryProcess, StoppedError
from t2sql_tui.core.database.schema import schema_of
from t2sql_tui.core.database.worker import Frame
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.types import CheckedQuery, Limits, QueryResult, Schema, ShouldStop

Rows = list[tuple[Any, ...]]
#: Seconds that reading the schema may take, with all its samples and with fewer.
SCHEMA_SECONDS = 10.0


class PartialRows(DatabaseError):
    """A statement of ours failed; `rows` are those that came before."""

    def __init__(self, message: str, hint: str, rows: Rows) -> None:
        super().__init__(message, hint)
        self.rows = rows


class Database:
    """An open file. Every method may be called from any thread.

    Queries and checks have a process each, so that a check never waits for a query.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._source = SourceFile(path)
        self._queries = QueryProcess(self._source)
        self._checks = QueryProcess(self._source)
        self._schema_lock = threading.Lock()
        self._schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """Read once. Raises: DatabaseError."""
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
        with self._explained():
            for samples in ("all", "stored"):
                with contextlib.suppress(StoppedError):
                    return schema_of(self._checks.call("schema", (samples,), SCHEMA_SECONDS))
            return schema_of(self._checks.call("schema", ("none",), SCHEMA_SECONDS))

    def select(self, sql: str, limits: Limits = Limits(), *, longest: int = VALUE_BYTES) -> Rows:
        """The rows of a fixed statement of ours, without the authorizer.

        Values of more than `longest` bytes are an error. What was read before an error or the
        time limit is in the error's `rows`. Raises: PartialRows, which is a DatabaseError.
        """
        rows: Rows = []
        arguments = (sql, limits.rows, limits.bytes, longest)
        try:
            with self._explained(limits):
                self._checks.call("select", arguments, limits.seconds, take=_into(rows))
        except DatabaseError as error:
            raise PartialRows(error.message, error.hint, rows) from error
        return rows

    def columns_read(self, query: CheckedQuery) -> tuple[tuple[str, str], ...]:
        """(table, column) for each stored column that SQLite would read for the query.

        As SQLite reports them to its authorizer while it compiles the query: a view gives the
        tables behind it, and `count(*)` a table with the column "". Nothing runs.
        Raises: DatabaseError.
        """
        with self._explained():
            found = self._checks.call("columns_read", (query.sql,), PREPARE_SECONDS)
        return tuple(found)

    def prepare(self, sql: str) -> tuple[str, ...]:
        """Have SQLite compile one SELECT; the names of its result columns.

        `sql` has no semicolon at its end (see sql/lexer.py). Nothing runs. Raises:
        sqlite3.Error with SQLite's own words, DatabaseError where the file is at fault.
        """
        try:
            names = self._checks.call("prepare", (sql,), PREPARE_SECONDS)
        except (MemoryError, StoppedError) as error:
            what = "too much memory" if isinstance(error, MemoryError) else "too long"
            raise sqlite3.OperationalError(
                f"the query is too complex: compiling it takes {what}"
            ) from None
        except OSError as error:
            raise explain_error(error, self.path) from error
        except sqlite3.Error as error:
            if is_about_the_file(error):
                raise explain_error(error, self.path) from error
            raise
        return _without_numbers(list(names))

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
        columns: list[str] = []
        rows: Rows = []
        arguments = (sql, limits.rows, limits.bytes)
        with self._explained(limits):
            cut = self._queries.call(
                "run", arguments, limits.seconds, should_stop, _into(rows, columns)
            )
        return QueryResult(tuple(columns), tuple(rows), cut, time.perf_counter() - started)

    @contextlib.contextmanager
    def _explained(self, limits: Limits = Limits()) -> Iterator[None]:
        """Turn what a call to the process raises into DatabaseErrors."""
        try:
            with explained(self.path):
                yield
        except StoppedError as stop:
            raise stopped(stop.reason, limits) from None
        except MemoryError:
            raise DatabaseError(
                f"The query needs more than {HEAP_BYTES // MIB} MiB of memory.",
                "Narrow it with WHERE, or select fewer and shorter columns.",
            ) from None

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


def _into(rows: Rows, columns: list[str] | None = None) -> Callable[[Frame], None]:
    """Takes the frames of a result apart."""

    def take(frame: Frame) -> None:
        if frame[0] == "rows":
            rows.extend(frame[1])
        elif columns is not None:
            columns.extend(frame[1])

    return take


def _without_numbers(names: list[str]) -> tuple[str, ...]:
    """`id, id:1` as `id, id`: a subquery numbers names that repeat, a query does not."""
    plain = [
        name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name for name in names
    ]
    repeated = Counter(folded(name) for name in plain)
    return tuple(
        short if short != name and repeated[folded(short)] > 1 else name
        for short, name in zip(plain, names, strict=True)
    )


def open_database(path: str | os.PathLike[str]) -> Database:
    """Open a SQLite file and read its schema.

    A file of 0 bytes is an empty database: its schema has no tables. Raises:
    DatabaseError, which says what is wrong with the file and what to do next.
    """
    given = Path(path).expanduser()
    try:
        resolved = given.resolve()
        refuse_other_files(resolved, given)
        database = Database(resolved)
        try:
            _ = database.schema
        except BaseException:
            database.close()
            raise
    except OSError as error:
        raise explain_error(error, given) from error
    return database
