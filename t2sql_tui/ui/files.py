"""Paths of files to open and to write: what they are called, and what they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db", ".sl3", ".gpkg")

#: Inode, size and modification time of a database file and of its write-ahead log; None for
#: a file that does not exist.
FileStamp = tuple[tuple[int, int, int] | None, ...]


def file_stamp(path: Path) -> FileStamp:
    """A value that changes whenever the file or its log is written, replaced or deleted."""
    stamps: list[tuple[int, int, int] | None] = []
    for name in (path, Path(f"{path}-wal")):
        try:
            status = name.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(stamps)


def is_sqlite(path: Path) -> bool:
    """Whether a file is SQLite's, by its name or by its first bytes.

    Only regular files are opened: a pipe would hang.
    """
    if path.suffix.lower() in _SUFFIXES:
        return path.is_file()
    try:
        if not path.is_file() or path.stat().st_size < 512:
            return False
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def is_part_of(path: Path, database: Path) -> bool:
    """Whether `path` is the database, under any name, or one of the files that belong to it."""
    if path.resolve() in {
        database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")
    }:
        return True
    try:
        return path.samefile(database)
    except OSError:
        return False


def current_folder() -> Path:
    """The working directory, or home where it has been deleted."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


def with_tilde(path: Path) -> str:
    """The path with ~ for the home folder."""
    text, home = str(path), str(Path.home())
    if text == home or text.startswith(home + os.sep):
        return "~" + text[len(home) :]
    return text


def file_stem(question: str) -> str:
    """A file name from the question: "How many orders?" -> "how-many-orders"."""
    words = re.findall(r"\w+", question.lower())
    return "-".join(words[:8])[:60] or "result"
