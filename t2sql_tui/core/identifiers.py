"""Identifiers: when a name needs quotes in SQLite, how they are written, when two are the same."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

# The keywords that SQLite does not take as a bare name everywhere a name can stand; found
# by trying all of https://sqlite.org/lang_keywords.html (tests/core/test_identifiers.py does so).
_RESERVED = frozenset(
    """
    add all alter and as autoincrement between case cast check collate commit constraint create
    current_date current_time current_timestamp default deferrable delete distinct drop else
    escape except exists foreign from group having if in index insert intersect into is isnull
    join limit not nothing notnull null on or order primary raise references returning select
    set table then to transaction union unique update using values when where with
    """.split()
)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(name: str) -> str:
    """`name` as SQLite compares it: case counts for nothing in ASCII, and elsewhere it does.

    `École` and `école` are two tables.
    """
    return name.lower() if name.isascii() else name.translate(_ASCII_LOWER)


def quote_identifier(name: str) -> str:
    """`name` as it can stand in a SQL statement: bare where SQLite takes it bare, else "quoted"."""
    if _PLAIN.match(name) and folded(name) not in _RESERVED:
        return name
    return quoted(name)


def quoted(name: str) -> str:
    """`name` in double quotes, whether it needs them or not: `it"s` becomes `"it""s"`."""
    return '"' + name.replace('"', '""') + '"'
