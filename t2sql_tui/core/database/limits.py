"""Lock 4: bounds on rows, bytes and the size of a single value, so that memory stays small."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
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


def fetch(
    cursor: sqlite3.Cursor, limits: Limits, take: Callable[[list[tuple[Any, ...]]], object]
) -> Truncation:
    """Hands rows to `take` in batches: at most `limits.rows`, and about `limits.bytes` bytes.

    Returns which of the two cut the result. Bytes are those that the cells take in memory. One
    row more than the limit is asked for, so that "rows" is said only where there is another row.
    """
    count = size = 0
    chunk = 1  # small at first: a first row may be huge; larger once rows prove small
    while count <= limits.rows:
        batch = cursor.fetchmany(min(chunk, limits.rows + 1 - count))
        ended = len(batch) < chunk
        for index, row in enumerate(batch):
            size += sum(map(sys.getsizeof, row))
            if size > limits.bytes and (count or index):
                take(batch[:index])
                return "bytes"
        if count + len(batch) > limits.rows:
            take(batch[: limits.rows - count])
            return "rows"
        take(batch)
        count += len(batch)
        if ended:
            break
        chunk = max(1, min(256, limits.bytes // 64 * count // (size + 1)))
    return ""


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
