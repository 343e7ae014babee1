"""Stand-ins for collations that a file names and this SQLite does not have.

Phones write `COLLATE LOCALIZED`, others ICU's or their own. Without one, SQLite refuses to compare
or sort such a column at all.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from itertools import pairwise

from t2sql_tui.core.database.capabilities import collations
from t2sql_tui.core.identifiers import quoted

_COLLATE = re.compile(
    r"""\bcollate\s+(?:"((?:[^"]|"")+)"|\[([^\]]+)\]|`([^`]+)`|'([^']+)'|(\w+))""", re.IGNORECASE
)
_ENTRIES = 2000  # of an index, read to see which order it is in

Compare = Callable[[str, str], int]


def _unicode(a: str, b: str) -> int:
    """By letters whatever their case, as localized orders nearly do; then by code point."""
    left, right = (a.casefold(), a), (b.casefold(), b)
    return (left > right) - (left < right)


def _caseless(a: str, b: str) -> int:
    left, right = a.casefold(), b.casefold()
    return (left > right) - (left < right)


def _binary(a: str, b: str) -> int:
    return (a > b) - (a < b)


_STAND_INS: tuple[Compare, ...] = (_unicode, _caseless, _binary)


def register_stand_ins(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Register a comparison for each collation that the file names and SQLite lacks.

    Taken is the first of three in whose order the file's indexes are, so that searches through
    them find what they should. Returns a sentence for each. Raises: sqlite3.Error.
    """
    texts = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE sql LIKE '%collate%'"
    ).fetchall()
    named: dict[str, str] = {}
    for (sql,) in texts:
        for match in _COLLATE.finditer(sql):
            name = next(group for group in match.groups() if group)
            named.setdefault(name.upper(), name)
    if not named:
        return ()
    notes = []
    for key in sorted(named.keys() - collations()):
        name = named[key]
        with contextlib.suppress(UnicodeEncodeError):  # SQLite names collations in UTF-8
            connection.create_collation(name, _unicode)
            notes.append(_settle(connection, name))
    return tuple(notes)


def _settle(connection: sqlite3.Connection, name: str) -> str:
    said = (
        f"The collation {name} is not part of SQLite; its values are compared by a stand-in, "
        "letter by letter whatever the case."
    )
    orders = list(_orders(connection, name))
    for compare in _STAND_INS:
        if all(compare(a, b) <= 0 for order in orders for a, b in pairwise(order)):
            connection.create_collation(name, compare)
            return said
    return (
        f"{said} An index is in another order than the stand-in's, so a search for one value may "
        "miss rows."
    )


def _orders(connection: sqlite3.Connection, name: str) -> list[list[str]]:
    """The first texts of each index that begins with this collation, in the order stored."""
    found = connection.execute(
        'SELECT m.name, i.name, x.name, x."desc" '
        "FROM sqlite_schema m, pragma_index_list(m.name) i, "
        "pragma_index_xinfo(i.name) x WHERE m.type = 'table' AND m.rootpage > 0 AND x.seqno = 0 "
        "AND x.coll = ? COLLATE NOCASE AND x.name IS NOT NULL AND NOT i.partial",
        (name,),
    ).fetchall()
    orders = []
    for table, index, column, descending in found:
        with contextlib.suppress(sqlite3.Error):  # what cannot be read decides nothing
            rows = connection.execute(
                f"SELECT {quoted(column)} FROM {quoted(table)} INDEXED BY {quoted(index)} "
                f"LIMIT {_ENTRIES}"
            )
            texts = [text for (text,) in rows if isinstance(text, str)]
            orders.append(texts[::-1] if descending else texts)
    return orders
