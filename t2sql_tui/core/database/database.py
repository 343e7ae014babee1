"""The open file: its schema, what SQLite makes of a SQL, and the rows of a checked query."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from t2sql_tui.core.database.connection import GuardedConnection, SourceFile, connect
from t2sql_tui.core.database.diagnose import (
    explain_error,
    explained,
    is_about_the_file,
    refuse_other_files,
)
from t2sql_tui.core.database.limits import (
    HEAP_BYTES,
    MIB,
    PREPARE_SECONDS,
    VALUE_BYTES,
    fetch,
    value_bytes,
)
from t2sql_tui.core.database.schema import read_schema
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.types import CheckedQuery, Limits, QueryResult, Schema, ShouldStop


class Database:
    """An open file. Every method may be called from any thread.

    Queries and checks have a connection each, so that a check never waits for a query.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._source = SourceFile(path)
        self._queries = GuardedConnection(self._source)
        self._checks = GuardedConnection(self._source)
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
            return read_schema(connection)

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

        `sql` has no semicolon at its end (see sql/lexer.py). Nothing runs. Raises:
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
            if is_about_the_file(error):
                raise explain_error(error, self.path) from error
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
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, value_bytes(connection, sql))
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


def open_database(path: str | os.PathLike[str]) -> Database:
    """Open a SQLite file and read its schema.

    A file of 0 bytes is an empty database: its schema has no tables. Raises:
    DatabaseError, which says what is wrong with the file and what to do next.
    """
    given = Path(path).expanduser()
    try:
        found = given.resolve()
        refuse_other_files(found, given)
        database = Database(found)
        try:
            _ = database.schema
        except BaseException:
            database.close()
            raise
    except OSError as error:
        raise explain_error(error, given) from error
    return database
