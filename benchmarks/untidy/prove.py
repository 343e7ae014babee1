"""Shows that the gold of a seed is right: `python -m benchmarks.untidy.prove 1`.

What is shown of every question: its golds pass the app's check and run; they give rows that say
something (not none, not NULLs, not zeros alone); SQL of someone who has not looked at the stored
values gives other rows; other ways to write the gold give the same. And of every column: the SQL
that reads it gives back each value that was meant.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.metrics.execution import same_result
from benchmarks.untidy.files import TODAY, Column, File, build
from benchmarks.untidy.halves import make
from benchmarks.untidy.questions import Asked
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery, Limits

#: 'now' of the proofs: noon of the day on which the people ask.
_NOW = f"'{TODAY:%Y-%m-%d} 12:00:00'"

_LIMIT = re.compile(r" LIMIT (\d+)$")
_ALL_ROWS = Limits(rows=100_000)

Rows = tuple[tuple[Any, ...], ...]


def problems(seed: int, folder: Path) -> Iterator[str]:
    """What is wrong with the files and questions of `seed`, built in `folder`, a sentence each."""
    for file, asked in make(seed):
        with open_database(build(file, folder)) as database:
            for table in file.tables:
                for name, column in table.columns.items():
                    yield from _unread(database, file, table.name, name, column)
            for question in asked:
                for problem in _unproved(database, question):
                    yield f"{question.id} ({question.fault}: {question.question}): {problem}"


def _unread(database: Database, file: File, table: str, name: str, column: Column) -> Iterator[str]:
    """A column that does not read back what was meant; one message a column."""
    (part,) = (t for t in file.tables if t.name == table)
    read = column.read.replace("{}", f'"{name}"')
    rows = _rows(database, f'SELECT {read} FROM "{table}" ORDER BY rowid')
    for row, (found,) in zip(part.meant, rows, strict=True):
        meant = row[name]
        if column.spellings:
            right = str(found) in map(str, column.spellings[meant])
        elif meant is None:
            right = found is None or found in column.blanks
        elif isinstance(meant, datetime):
            right = found == meant.strftime(column.form.keeps)
        elif isinstance(meant, float):
            right = math.isclose(found, meant, abs_tol=0.006)
        else:
            right = found == meant
        if not right:
            yield f"{file.name}: {table}.{name} means {meant!r} and reads {found!r}"
            return


def _unproved(database: Database, asked: Asked) -> Iterator[str]:
    try:
        golds = {sql: _rows(database, sql) for sql in asked.golds}
        same = {sql: _rows(database, sql) for sql in asked.same}
    except T2SQLError as error:
        yield error.message
        return
    for sql, rows in golds.items():
        if not any(cell not in (None, 0, "") for row in rows for cell in row):
            yield f"gives nothing: {rows[:3]} from {sql}"
    for sql, rows in golds.items():
        # Ties at the cut would make one of several right answers the gold.
        for way in ("1", "1 DESC"):
            other = _LIMIT.sub(rf", {way} LIMIT \1", sql)
            if "LIMIT" in sql and _rows(database, other) != rows:
                yield f"ties at the cut: {rows[:3]} by {sql}"
                break
    first = golds[asked.golds[0]]
    for sql, rows in same.items():
        if not same_result(first, rows, "order by" in asked.golds[0].lower()):
            yield f"{first[:3]} is not {rows[:3]} of {sql}"
    if asked.fault != "plain" and not asked.wrong:
        yield "there is no wrong SQL to tell it from"
    for sql in asked.wrong:
        try:
            rows = _rows(database, sql)
        except T2SQLError as error:
            yield f"{error.message} in {sql}"
            continue
        for gold, right in golds.items():
            if same_result(right, rows, "order by" in gold.lower()):
                yield f"wrong SQL gives the rows of the gold, {rows[:3]}: {sql}"
                break


def _rows(database: Database, sql: str) -> Rows:
    query = check(sql.replace("'now'", _NOW), database)
    if not isinstance(query, CheckedQuery):
        raise T2SQLError(f"{query.message} {sql}")
    return database.run(query, _ALL_ROWS).rows


def main() -> None:
    """Prints what is wrong with the seeds named on the command line (1 and 2 without any)."""
    wrong = 0
    with TemporaryDirectory() as folder:
        for seed in [int(word) for word in sys.argv[1:]] or [1, 2]:
            for problem in problems(seed, Path(folder)):
                wrong += 1
                print(problem)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
