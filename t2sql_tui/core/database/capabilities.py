"""What this SQLite can, asked of it, and what a file needs that it cannot."""

from __future__ import annotations

import contextlib
import functools
import re
import sqlite3

from t2sql_tui.core.database.authorizer import FUNCTIONS, TABLE_FUNCTIONS

_DIRECT_ONLY, _INNOCUOUS = 0x80000, 0x200000  # https://sqlite.org/c3ref/c_deterministic.html
# Not in FUNCTIONS, and harmless all the same where a file's schema calls them: fts5() and
# optimize() want a pointer that no stored value is, rtreecheck() only reads.
_HARMLESS_IN_SCHEMA = frozenset({"fts5", "optimize", "rtreecheck"})


@functools.cache
def _listed() -> tuple[frozenset[str], ...]:
    """Names: all functions, those that only a trusted schema may call, modules, collations."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        flags: dict[str, int] = {}
        for name, bits in connection.execute("SELECT lower(name), flags FROM pragma_function_list"):
            flags[name] = flags.get(name, bits) & bits
        for_trusted = [n for n, bits in flags.items() if not bits & (_DIRECT_ONLY | _INNOCUOUS)]
        modules = {name for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
        pragmas = connection.execute("SELECT name FROM pragma_pragma_list")
        modules |= {f"pragma_{name}" for (name,) in pragmas}
        orders = connection.execute("SELECT upper(name) FROM pragma_collation_list")
        collations = frozenset(name for (name,) in orders)
    return frozenset(flags), frozenset(for_trusted), frozenset(modules), collations


def functions() -> frozenset[str]:
    """The functions that a query may call and that this SQLite has."""
    return FUNCTIONS & _listed()[0]


def table_functions() -> tuple[str, ...]:
    """The table-valued functions that a query may read and that this SQLite has."""
    return tuple(name for name in TABLE_FUNCTIONS if name in _listed()[2])


def collations() -> frozenset[str]:
    """The collations that this SQLite has, in upper case."""
    return _listed()[3]


def schema_may_be_trusted() -> bool:
    """Whether `trusted_schema = ON` allows a file nothing but functions that compute.

    It allows views, generated columns and indexes those functions that are marked neither
    "innocuous" nor "direct only". Before SQLite 3.41 all JSON functions are such, and with OFF
    a healthy file that uses them counts as damaged.
    """
    return _listed()[1] <= FUNCTIONS | _HARMLESS_IN_SCHEMA


_LACKS = (
    (r"(?:no such|unknown) function: (?P<name>\w+)(?:\(\))?", "function {name}()"),
    (r"no such module: (?P<name>.*)", "module {name}"),
    (r"no such collation sequence: (?P<name>.*)", "collation {name}"),
)


def needs(error: str) -> str:
    """What a part of a file needs, from the error that SQLite gave for it; no full stop."""
    version = f"this SQLite ({sqlite3.sqlite_version})"
    malformed = re.fullmatch(r"malformed database schema \(.*?\)(?: - (.*))?", error, re.DOTALL)
    error = (malformed[1] or error) if malformed else error
    error = re.sub(r"^error in (?:view|table|index|trigger) .*?: (?=\w)", "", error)
    for pattern, what in _LACKS:
        if match := re.fullmatch(pattern, error, re.DOTALL):
            newer = match["name"].lower() in FUNCTIONS
            origin = "a newer one has it" if newer else "the program that made the file brings it"
            return (
                f"it needs the {what.format(name=match['name'])}, which {version} lacks; {origin}"
            )
    if match := re.fullmatch(r"no such (table|column): (?:main\.)?(.*)", error, re.DOTALL):
        return f"it reads the {match[1]} {match[2]}, which does not exist"
    if is_newer_syntax(error):
        return f"{version} does not understand its SQL, a newer one may: {error}"
    if match := re.fullmatch(r"unsafe use of (.*)", error, re.DOTALL):
        return f"it uses {match[1]}, which {version} does not let a file call by itself"
    if error == "interrupted":
        return "computing its values takes too long"
    return error


def is_newer_syntax(error: str) -> bool:
    """Whether SQLite stumbled over the words of a statement, not over a name or a page."""
    return "syntax error" in error or "unrecognized token" in error or "unknown datatype" in error
