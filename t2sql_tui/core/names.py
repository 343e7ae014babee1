"""Identifiers: when a name needs quotes in SQLite, and how they are written."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

# https://sqlite.org/lang_keywords.html: those SQLite does not take as a bare identifier.
_RESERVED = frozenset(
    """add all alter and as autoincrement between case check collate commit constraint create
    default deferrable delete distinct drop else escape except exists foreign from group having
    if in index insert intersect into is isnull join limit not nothing notnull null on or order
    primary references returning select set table then to transaction union unique update using
    values when where""".split()
)


def quote_identifier(name: str) -> str:
    """`name` as it can stand in a SQL statement: bare where SQLite takes it bare, else "quoted"."""
    if _PLAIN.match(name) and name.lower() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'
