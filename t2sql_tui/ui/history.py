"""What was asked, and on which files: a small SQLite file of the person's own."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.files import locked

_TABLES = """
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY,
    asked_at REAL NOT NULL,        -- seconds since 1970, UTC
    database TEXT NOT NULL,        -- absolute path, or "demo:NAME"
    question TEXT NOT NULL,
    sql TEXT NOT NULL,
    row_count INTEGER              -- NULL: never ran, or failed
);
CREATE INDEX IF NOT EXISTS questions_by_database ON questions (database, id);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, opened_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS preferences (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_MAX_QUESTIONS = 10_000  # older ones are forgotten


class HistoryError(T2SQLError):
    """The history cannot be read or written. The app goes on without it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A question with its SQL, and how many rows it found when it last ran."""

    id: int
    asked_at: float
    database: str
    question: str
    sql: str
    row_count: int | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """An entry to bring back, and whether to run its SQL at once."""

    entry: Entry
    run: bool


class History:
    """Opens its file for each call, so that several running apps share it.

    A damaged file is set aside (never deleted) and a new one begun. Everything else that
    goes wrong (locked, read-only, no disk) raises HistoryError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, database: str, question: str, sql: str, row_count: int | None) -> None:
        """Keep a question with its SQL."""
        with self._open() as db:
            db.execute(
                "INSERT INTO questions (asked_at, database, question, sql, row_count)"
                " VALUES (?, ?, ?, ?, ?)",
                (time.time(), database, question, sql, row_count),
            )
            db.execute(
                "DELETE FROM questions WHERE id <= (SELECT max(id) FROM questions) - ?",
                (_MAX_QUESTIONS,),
            )

    def search(self, text: str = "", limit: int = 500) -> list[Entry]:
        """Entries whose question, SQL or database contains every word, newest first."""
        words = text.split()
        where = " AND ".join(
            r"(question || ' ' || sql || ' ' || database) LIKE ? ESCAPE '\'" for _ in words
        )
        patterns = ["%" + _escape(word) + "%" for word in words]
        with self._open() as db:
            rows = db.execute(
                "SELECT id, asked_at, database, question, sql, row_count FROM questions"
                f" WHERE {where or '1'} ORDER BY id DESC LIMIT ?",
                (*patterns, limit),
            )
            return [Entry(*row) for row in rows]

    def questions(self, database: str, limit: int = 200) -> list[str]:
        """Different questions asked of one database, oldest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT question FROM questions WHERE database = ? AND question <> ''"
                " GROUP BY question ORDER BY max(id) DESC LIMIT ?",
                (database, limit),
            )
            return [question for (question,) in rows][::-1]

    def forget(self, entry_id: int) -> None:
        """Delete an entry."""
        with self._open() as db:
            db.execute("DELETE FROM questions WHERE id = ?", (entry_id,))

    def note_opened(self, path: str) -> None:
        """Note that a file was opened now."""
        with self._open() as db:
            db.execute(
                "INSERT INTO files VALUES (?, ?)"
                " ON CONFLICT (path) DO UPDATE SET opened_at = excluded.opened_at",
                (path, time.time()),
            )

    def recent_files(self, limit: int = 8) -> list[str]:
        """Files opened before, latest first; those since deleted are left out."""
        with self._open() as db:
            rows = db.execute("SELECT path FROM files ORDER BY opened_at DESC LIMIT 50")
            return [path for (path,) in rows if os.path.exists(path)][:limit]

    def preference(self, name: str) -> str | None:
        """What the person chose; None where they did not."""
        with self._open() as db:
            row = db.execute("SELECT value FROM preferences WHERE name = ?", (name,)).fetchone()
            return row[0] if row else None

    def set_preference(self, name: str, value: str) -> None:
        """Keep a choice for the next time."""
        with self._open() as db:
            db.execute(
                "INSERT INTO preferences VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            db = self._connect()
            with closing(db), db:
                yield db
        except (sqlite3.Error, OSError, UnicodeError) as error:
            # A page further in may be damaged: the next call begins a new file.
            kept = type(error) is sqlite3.DatabaseError and self._set_aside()
            raise HistoryError(
                f"The history file cannot be used: {error}.",
                f"It was kept as {kept.name}, and a new one is begun."
                if kept
                else f"It is {self.path}. The app works without it.",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connect_prepared()
        except sqlite3.DatabaseError as error:
            # OperationalError is a lock or a permission; the bare class is a damaged file.
            if type(error) is not sqlite3.DatabaseError:
                raise
            self._set_aside()
            return self._connect_prepared()

    def _set_aside(self) -> Path | None:
        """Renames the file if it is damaged; returns its new path. Another process may have done so
        meanwhile: what it has begun since is whole, and stays."""
        with suppress(OSError), locked(self.path):
            if self._is_whole():
                return None
            aside = self.path.with_name(f"{self.path.stem}-damaged-{time.time_ns()}.sqlite")
            self.path.rename(aside)
            for companion in ("-journal", "-wal", "-shm"):
                with suppress(OSError):
                    self.path.with_name(self.path.name + companion).rename(f"{aside}{companion}")
            return aside
        return None

    def _is_whole(self) -> bool:
        try:
            with closing(sqlite3.connect(self.path, timeout=5)) as db:
                return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.OperationalError:
            return True  # in use, or not to be opened: not for us to judge
        except sqlite3.DatabaseError:
            return False

    def _connect_prepared(self) -> sqlite3.Connection:
        if not self.path.exists():
            # Questions may be private: nobody else on the machine reads them.
            self.path.touch(mode=0o600)
        db = sqlite3.connect(self.path, timeout=0.5)
        try:
            db.executescript(_TABLES)
        except sqlite3.Error:
            db.close()
            raise
        return db


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
