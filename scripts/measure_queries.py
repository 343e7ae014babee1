"""What the query process costs: `python scripts/measure_queries.py`.

The same statements in the query process and in this process behind the same locks, in turn: the
latency of small queries (median, p99) and rows a second, each with its ratio to this process.
"""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from t2sql_tui.core.database.connection import guarded
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.database.limits import VALUE_BYTES, fetch, value_bytes
from t2sql_tui.core.types import Limits

ROWS = 100_000
SMALL = ("SELECT 1", "SELECT count(*) FROM t WHERE name LIKE '%99%'", "SELECT * FROM t LIMIT 500")
ALL = "SELECT id, name, amount, day FROM t"
TIMES = 400


def make(path: Path) -> None:
    """A table of ROWS rows: an integer, two texts, a number."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name, amount, day)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)",
            ((i, f"customer {i}", i * 1.5, f"2020-01-{i % 28 + 1:02}") for i in range(ROWS)),
        )
        connection.commit()


def here(path: Path) -> Callable[[str, Limits], list[Any]]:
    """Runs a statement in this process, behind the same locks."""
    connection = guarded(path.as_uri() + "?mode=ro", lambda: True)

    def run(sql: str, limits: Limits) -> list[Any]:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, value_bytes(connection, sql))
        rows: list[Any] = []
        fetch(connection.execute(sql), limits, rows.extend)
        return rows

    return run


def main() -> None:
    """Print a table of the figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.sqlite")
        make(path)
        with open_database(path) as database:
            ways: dict[str, Callable[[str, Limits], Any]] = {
                "here": here(path),
                "process": lambda sql, limits: database._run(sql, limits),
            }
            for sql in SMALL:
                print(_line(sql, _seconds(ways, sql, Limits(), TIMES), 1000, "ms"))
            every = Limits(rows=ROWS, bytes=1 << 30)
            times = _seconds(ways, ALL, every, 9)
            print(_line(ALL, times, 1, "s"))
            for way, found in times.items():
                print(f"  {way}: {ROWS / statistics.median(found):,.0f} rows a second")


def _seconds(
    ways: dict[str, Callable[[str, Limits], Any]], sql: str, limits: Limits, times: int
) -> dict[str, list[float]]:
    """The times of a statement, its ways in turn, so that a busy machine slows both."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(times):
        for way, run in ways.items():
            started = time.perf_counter()
            run(sql, limits)
            found[way].append(time.perf_counter() - started)
    return found


def _line(sql: str, times: dict[str, list[float]], scale: float, unit: str) -> str:
    cells = []
    for name, at in (("median", 0.5), ("p99", 0.99)):
        a, b = (sorted(t)[int(at * (len(t) - 1))] * scale for t in times.values())
        cells.append(f"{name} {a:.3f} -> {b:.3f} {unit} (+{b - a:.3f}, x{b / a:.2f})")
    return f"{sql[:50]:50} " + ", ".join(cells)


if __name__ == "__main__":
    main()
