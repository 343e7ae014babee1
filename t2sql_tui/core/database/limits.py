"""Lock 4: bounds on rows, bytes and the size of a single value, so that memory stays small."""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from t2sql_tui.core.types import Limits, Truncation

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


def fetch(cursor: sqlite3.Cursor, limits: Limits) -> tuple[list[tuple[Any, ...]], Truncation]:
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


def value_bytes(connection: sqlite3.Connection, sql: str) -> int:
    """The longest value that a statement may read or make, in bytes.

    Read off its bytecode: a row of n columns may hold n copies of one value, and some
    functions are too slow for long ones.
    """
    bound = VALUE_BYTES
    for _, opcode, _, p2, _, p4, *_ in connection.execute(f"EXPLAIN {sql}"):
        if opcode in ("Function", "PureFunc"):
            bound = min(bound, SLOW_FUNCTIONS.get(p4, bound))
        elif opcode == "ResultRow":
            bound = min(bound, ROW_BYTES // max(1, p2))
    return bound
