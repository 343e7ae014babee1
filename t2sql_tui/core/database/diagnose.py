"""What is wrong with a file or a query, and what to do: DatabaseErrors out of SQLite's errors."""

from __future__ import annotations

import contextlib
import difflib
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from t2sql_tui.core.database.capabilities import needs
from t2sql_tui.core.database.limits import MIB, TEMP_BYTES, VALUE_BYTES
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.types import Limits

# --- before SQLite reads it -----------------------------------------------------------


def refuse_other_files(path: Path, given: Path) -> None:
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
    if newer := _newer_format(start):
        raise DatabaseError(
            f"{given} is in a newer format ({newer}) than SQLite {sqlite3.sqlite_version} reads.",
            "Install a newer Python, which brings a newer SQLite; or, where the file may be "
            "damaged, restore a backup.",
        )


def _newer_format(start: bytes) -> str:
    """Which of the format numbers in a file's header this SQLite does not know; "" for none.

    Bytes 19 and 44 to 47 (https://sqlite.org/fileformat.html section 1.3).
    """
    if len(start) >= 100 and start[21:24] == b"\x40\x20\x20":  # constants: else it is damaged
        if start[19] > 2:
            return f"read version {start[19]}, known up to 2"
        if (schema_format := int.from_bytes(start[44:48], "big")) > 4:
            return f"schema format {schema_format}, known up to 4"
    return ""


def _nearby(folder: Path, name: str) -> str:
    """A hint that names the SQLite files of a folder, those like `name` first."""
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


# --- while SQLite reads it ------------------------------------------------------------

# (beginnings of SQLite's names for an error, message, hint)
_FILE_ERRORS = (
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED"),
        "Another program is writing to {path} and keeps it locked.",
        "Wait until it has finished, or close it, then try again.",
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_FORMAT"),
        "{path} is damaged: {text}.",
        "Restore a backup, or save what can be read: sqlite3 '{path}' .recover "
        "| sqlite3 repaired.sqlite",
    ),
    (
        ("SQLITE_NOTADB",),
        "{path} is not a plain SQLite file: {text}.",
        "It may be encrypted or damaged. Decrypt it, or restore a backup.",
    ),
    (
        ("SQLITE_READONLY_ROLLBACK",),
        "{path} was left in the middle of a write: {path.name}-journal must be undone first.",
        "Open it once with the program that writes it (that repairs it), then try again.",
    ),
    (
        ("SQLITE_CANTOPEN", "SQLITE_READONLY"),
        "{path} cannot be read where it is: {text}.",
        "A program may have left its -wal or -journal file behind, and this folder cannot "
        "be written to. Copy the file with all that belongs to it to a folder of your own.",
    ),
    (("SQLITE_IOERR",), "{path} cannot be read: {text}.", "Check the disk and permissions."),
)
_ABOUT_THE_FILE = (*(begin for names, _, _ in _FILE_ERRORS for begin in names), "SQLITE_PROTOCOL")


def is_about_the_file(error: Exception) -> bool:
    """Whether SQLite complains about the file and not about the SQL."""
    return getattr(error, "sqlite_errorname", "").startswith(_ABOUT_THE_FILE)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into DatabaseErrors."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, OSError) as error:
        raise explain_error(error, path) from error


def explain_error(error: Exception, path: Path) -> DatabaseError:
    """What an error of SQLite or of the operating system means, and what to do."""
    name = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    if name == "SQLITE_TOOBIG":
        return DatabaseError(
            "The query meets a value that is too long to handle in it.",
            f"Leave out columns with long text or blobs: values may be {VALUE_BYTES // MIB} MiB, "
            "less where many columns are selected, and far less for trim, replace, instr and LIKE.",
        )
    if isinstance(error, OSError):
        name = "SQLITE_IOERR"
    if name.startswith("SQLITE_CORRUPT") and _is_about_a_capability(text):
        return DatabaseError(
            f"{path} needs what this SQLite does not have: {needs(text)}.",
            "The file is not damaged. Open it with a newer Python, which brings a newer SQLite.",
        )
    for beginnings, message, hint in _FILE_ERRORS:
        if name.startswith(beginnings):
            return DatabaseError(message.format(path=path, text=text), hint.format(path=path))
    if name == "SQLITE_AUTH" or "prohibited" in text:
        return DatabaseError(
            f"SQLite refused it: {text}.", "Only queries that read this file are allowed."
        )
    if (what := needs(text)) != text:
        return DatabaseError(
            f"SQLite says: {text}.", f"The query reads something that does not work: {what}."
        )
    return DatabaseError(f"SQLite says: {text}.", "Edit the query and try again.")


def _is_about_a_capability(text: str) -> bool:
    return bool(re.search(r"\) - (unsafe use of|no such|unknown function)", text))


def stopped(reason: str, limits: Limits) -> QueryStopped:
    """What a `Watch.reason` means to the person whose statement was ended."""
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
    return QueryStopped("The query was cancelled.", "", "cancelled")
