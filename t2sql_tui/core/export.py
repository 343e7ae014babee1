"""Rows to a file or a stream, in eight formats, faithfully and never half-written.

What each value becomes:

| value | CSV, TSV | JSON, JSONL | Markdown | SQL | Parquet | XLSX |
|---|---|---|---|---|---|---|
| NULL | empty | null | NULL | NULL | null | empty cell |
| empty text | `""` | "" | empty | '' | "" | empty text |
| integer | digits | number of any size | digits | digits | int64 | number; text over 2^53 |
| real | all its digits | number | all its digits | likewise | float64 | 16 digits |
| infinite | inf, -inf | "inf", "-inf" | inf | 9e999 | inf | text |
| blob | hexadecimal | hexadecimal | hexadecimal | X'..' | binary | hexadecimal |

Files are UTF-8 without a byte-order mark; a lone surrogate, which UTF-8 cannot hold,
becomes U+FFFD. CSV and TSV quote as RFC 4180 does and change nothing else: text that
starts with `=` stays as it is stored, and a spreadsheet that opens the file may take it
for a formula. XLSX has no such doubt: text is written as text. Formats that need each
column name once (JSON, JSONL, SQL, Parquet) number those that repeat: id, id_2.
"""

from __future__ import annotations

import difflib
import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.types import OnProgress, QueryResult, ShouldStop

_PROGRESS_ROWS = 1_000  # rows between two reports of progress
_PARQUET_ROWS = 20_000  # rows of Parquet that are in memory as Arrow at a time

XLSX_ROWS = 1_048_576  # Excel's own limits, the header row included
XLSX_COLUMNS = 16_384
XLSX_TEXT = 32_767  # UTF-16 units in a cell
_EXACT_INTEGER = 2**53  # integers up to here are exact as a double


class ExportCancelled(T2SQLError):
    """The export ended because `should_stop` said so; nothing was written."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format. One that is `text` can be written to a text stream, as by `write()`."""

    title: str
    suffix: str
    text: bool
    write: Callable[[_Job, Any], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """What a writer needs: the result, and rows that report progress as they are taken."""

    result: QueryResult
    table_name: str
    on_progress: OnProgress | None
    should_stop: ShouldStop | None

    def rows(self) -> Iterator[tuple[Any, ...]]:
        total = len(self.result.rows)
        for done, row in enumerate(self.result.rows):
            if done % _PROGRESS_ROWS == 0:
                self.pause(done, total)
            yield row
        self.pause(total, total)

    def pause(self, done: int, total: int) -> None:
        if self.should_stop and self.should_stop():
            raise ExportCancelled("The export was cancelled.", "Nothing was written.")
        if self.on_progress:
            self.on_progress(done, total)


def export(
    result: QueryResult,
    path: str | os.PathLike[str],
    format: str,
    *,
    table_name: str = "result",
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> int:
    """Write all rows of `result` to `path`; returns the number of bytes written.

    The file is made in a scratch folder beside `path` and renamed when it is complete and
    on disk, so `path` is either as it was or whole. May be called from any thread.
    `table_name` is the table of SQL inserts and the sheet of a workbook. Raises:
    ExportCancelled; T2SQLError where `path` exists and `overwrite` is false, is a SQLite
    database, cannot be written, or the format or one of its limits stands in the way.
    """
    chosen = _format_of(format)
    path = Path(path).expanduser().resolve()
    _require_writable(path, overwrite)
    job = _Job(result, table_name, on_progress, should_stop)
    try:
        with tempfile.TemporaryDirectory(prefix=".t2sql-export-", dir=path.parent) as scratch:
            unfinished = Path(scratch) / "unfinished"
            if chosen.text:
                with open(unfinished, "x", encoding="utf-8", newline="") as stream:
                    chosen.write(job, stream)
            else:
                chosen.write(job, unfinished)
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())  # a full disk may only show here
            size = unfinished.stat().st_size
            _require_writable(path, overwrite)
            os.replace(unfinished, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return size


def write(
    result: QueryResult,
    stream: TextIO,
    format: str,
    *,
    table_name: str = "result",
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> None:
    """Write all rows to an open text stream, such as stdout. Lines end in a bare newline.

    Raises: T2SQLError where the format is not text; OSError as the stream does.
    """
    chosen = _format_of(format)
    if not chosen.text:
        raise T2SQLError(f"{chosen.title} is not text.", "Write it to a file instead.")
    chosen.write(_Job(result, table_name, on_progress, should_stop), stream)


def _format_of(name: str) -> Format:
    """The format of that name. Raises: T2SQLError for an unknown one."""
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name.lower(), FORMATS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(FORMATS)}."
    raise T2SQLError(f'There is no export format "{name}".', hint)


def _require_writable(path: Path, overwrite: bool) -> None:
    """Raise T2SQLError where `path` must not be written."""
    try:
        if not path.exists():
            return
        if path.is_dir():
            raise T2SQLError(f"{path} is a folder.", "Add a file name.")
        if not overwrite:
            raise T2SQLError(f"{path} exists already.", "Choose another name, or overwrite it.")
        with open(path, "rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                raise T2SQLError(
                    f"{path} is a SQLite database and stays as it is.", "Choose another name."
                )
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> T2SQLError:
    hint = {
        errno.ENOSPC: "Free some space, or choose another disk.",
        errno.EDQUOT: "Free some space, or choose another disk.",
        errno.ENOENT: f"There is no folder {path.parent}; make it, or choose another.",
        errno.ENOTDIR: f"{path.parent} is not a folder; choose another.",
        errno.ENAMETOOLONG: "Choose a shorter name.",
    }.get(error.errno or 0, "Choose a folder that you may write to.")
    return T2SQLError(f"Cannot write {path}: {error.strerror or error}.", hint)


# --- values -----------------------------------------------------------------------

_SURROGATES = re.compile("[\ud800-\udfff]")


def _text(value: Any) -> str:
    """A value other than NULL as text."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _unique(columns: tuple[str, ...]) -> list[str]:
    """Names of which no two are equal to SQLite: `id, ID` become `id, ID_2`."""
    taken = {folded(name) for name in columns}
    seen: set[str] = set()
    names = []
    for number, column in enumerate(columns, start=1):
        name = column = _text(column) or f"column_{number}"
        if folded(name) in seen:
            numbered = (f"{column}_{n}" for n in range(2, len(columns) + 2))
            name = next(n for n in numbered if folded(n) not in taken)
        seen.add(folded(name))
        taken.add(folded(name))
        names.append(name)
    return names


def _kinds(result: QueryResult) -> list[set[type]]:
    """For each column, the Python types of its values other than NULL."""
    kinds: list[set[type]] = [set() for _ in result.columns]
    for row in result.rows:
        for column_kinds, value in zip(kinds, row, strict=True):
            column_kinds.add(type(value))
    return [column_kinds - {type(None)} for column_kinds in kinds]


# --- text formats -----------------------------------------------------------------


def _separated(separator: str) -> Callable[[_Job, TextIO], None]:
    """A writer of CSV with this separator."""
    special = re.compile(f'["\r\n{separator}]|^[ \t]|[ \t]$|^$')

    def field(value: Any) -> str:
        if value is None:
            return ""  # unquoted, unlike empty text; PostgreSQL's COPY reads it so, too
        text = _text(value)
        return '"' + text.replace('"', '""') + '"' if special.search(text) else text

    def write(job: _Job, stream: TextIO) -> None:
        for row in chain([job.result.columns], job.rows()):
            # A row of one NULL would be a blank line, which readers skip.
            stream.write((separator.join(map(field, row)) or '""') + "\n")

    return write


def _objects(job: _Job) -> Iterator[str]:
    """Each row as a JSON object on one line."""
    names = _unique(job.result.columns)
    for row in job.rows():
        values = (
            value
            if value is None
            or isinstance(value, int)
            or (isinstance(value, float) and math.isfinite(value))
            else _text(value)
            for value in row
        )
        yield json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False)


def _json(job: _Job, stream: TextIO) -> None:
    before = "[\n"
    for line in _objects(job):
        stream.write(before + line)
        before = ",\n"
    stream.write("\n]\n" if job.result.rows else "[]\n")


def _jsonl(job: _Job, stream: TextIO) -> None:
    for line in _objects(job):
        stream.write(line + "\n")


# What Markdown would take for markup: an underscore only where it is not inside a word.
_MARKUP = re.compile(r"[\\`*<\[|~&]|(?<![^\W_])_|_(?![^\W_])")


def _markdown(job: _Job, stream: TextIO) -> None:
    def cell(value: Any) -> str:
        text = "NULL" if value is None else _text(value)
        return re.sub(r"\r\n?|\n", "<br>", _MARKUP.sub(r"\\\g<0>", text))

    rules = ["---:" if kinds and kinds <= {int, float} else "---" for kinds in _kinds(job.result)]
    stream.write(f"| {' | '.join(map(cell, job.result.columns))} |\n| {' | '.join(rules)} |\n")
    for row in job.rows():
        stream.write(f"| {' | '.join(map(cell, row))} |\n")


def _sql(job: _Job, stream: TextIO) -> None:
    """A script that `sqlite3 new.db < file` loads.

    A column has a type only if all its values are of that type, so that none is converted.
    """
    types = {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}
    names = [_quote(name) for name in _unique(job.result.columns)]
    typed = [
        f"{name} {types[kind]}" if len(kinds) == 1 and (kind := next(iter(kinds))) else name
        for name, kinds in zip(names, _kinds(job.result), strict=True)
    ]
    table = _quote(_text(job.table_name))
    stream.write(f"BEGIN;\nCREATE TABLE IF NOT EXISTS {table} ({', '.join(typed)});\n")
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ("
    for row in job.rows():
        stream.write(f"{insert}{', '.join(map(_literal, row))});\n")
    stream.write("COMMIT;\n")


def _quote(name: str) -> str:
    return '"' + name.replace("\0", "").replace('"', '""') + '"'


def _literal(value: Any) -> str:
    if value is None or value != value:  # SQLite has no NaN: it stores NULL
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, str):
        text = _text(value)
        if "\0" in text:  # a NUL would end the script for SQLite's shell
            return f"CAST(X'{text.encode().hex()}' AS TEXT)"
        return "'" + text.replace("'", "''") + "'"
    return str(value).replace("inf", "9e999")


# --- binary formats ---------------------------------------------------------------


def _parquet(job: _Job, path: Path) -> None:
    try:
        import pyarrow as pa  # 0.2 s, and an optional dependency
        from pyarrow import parquet
    except ImportError as error:
        raise _missing("Parquet", "pyarrow") from error

    columns = [
        _arrow(kinds, (row[n] for row in job.result.rows))
        for n, kinds in enumerate(_kinds(job.result))
    ]
    types = {"int": pa.int64(), "float": pa.float64(), "bytes": pa.binary(), "str": pa.string()}
    schema = pa.schema(
        [
            (name, types[kind])
            for name, (kind, _) in zip(_unique(job.result.columns), columns, strict=True)
        ]
    )
    rows = job.rows()
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, _PARQUET_ROWS)):
            arrays = [
                pa.array([None if v is None else convert(v) for v in values], field.type)
                for values, (_, convert), field in zip(
                    zip(*group, strict=True), columns, schema, strict=True
                )
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _arrow(kinds: set[type], values: Iterator[Any]) -> tuple[str, Callable[[Any], Any]]:
    """The name of a column's one type, and what brings its values to it.

    Integers among reals become reals if none is changed by that; any other mixture is text.
    """
    if len(kinds) == 1 and kinds != {str}:
        kind = next(iter(kinds))
        return kind.__name__, kind
    if kinds == {int, float} and all(
        abs(value) <= _EXACT_INTEGER for value in values if isinstance(value, int)
    ):
        return "float", float
    return "str", _text


_INSTEAD_OF_XLSX = "Export as CSV or Parquet, or narrow the query."


def _xlsx(job: _Job, path: Path) -> None:
    try:
        import xlsxwriter  # an optional dependency
        from xlsxwriter.exceptions import XlsxWriterException
    except ImportError as error:
        raise _missing("XLSX", "xlsxwriter") from error

    result = job.result
    _require_sheet_size(result)
    # Constant memory: rows go to a temporary file as they come, in order.
    book = xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
    bold = book.add_format({"bold": True})
    sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\]|^'|'$", "_", _text(job.table_name))[:31])
    sheet.freeze_panes(1, 0)
    for column, width in enumerate(_widths(result)):
        sheet.set_column(column, column, width)
    for column, name in enumerate(result.columns):
        _write_cell(sheet, 0, column, name, result.columns, bold)
    try:
        for number, row in enumerate(job.rows(), start=1):
            for column, value in enumerate(row):
                _write_cell(sheet, number, column, value, result.columns)
        sheet.autofilter(0, 0, len(result.rows), len(result.columns) - 1)
        book.close()
    except XlsxWriterException as error:
        cause = error.args[0] if error.args else error
        if isinstance(cause, OSError):
            raise cause from error
        raise T2SQLError(str(error), _INSTEAD_OF_XLSX) from error


def _require_sheet_size(result: QueryResult) -> None:
    if len(result.rows) >= XLSX_ROWS or len(result.columns) > XLSX_COLUMNS:
        raise T2SQLError(
            f"A sheet holds {XLSX_ROWS - 1:,} rows under its header and {XLSX_COLUMNS:,} columns; "
            f"this result has {len(result.rows):,} and {len(result.columns):,}.",
            _INSTEAD_OF_XLSX,
        )


def _write_cell(
    sheet: Any, row: int, column: int, value: Any, names: tuple[str, ...], *style: Any
) -> None:
    """Write one value to an xlsxwriter sheet; `names` are those of the columns, for messages."""
    if value is None:
        return
    number = isinstance(value, int | float) and math.isfinite(value)
    if number and (isinstance(value, float) or abs(value) <= _EXACT_INTEGER):
        sheet.write_number(row, column, value)
        return
    text = _text(value)
    if len(text) > XLSX_TEXT or len(text.encode("utf-16-le")) > 2 * XLSX_TEXT:
        raise T2SQLError(
            f"Row {row:,} has {len(text):,} characters in {names[column]}; "
            f"a cell holds {XLSX_TEXT:,}.",
            _INSTEAD_OF_XLSX,
        )
    if text.startswith("<r>") and text.endswith("</r>"):
        # xlsxwriter takes this for markup of its own and would write it unescaped.
        sheet.write_rich_string(row, column, text[:1], text[1:2], text[2:])
    else:
        sheet.write_string(row, column, text, *style)


def _widths(result: QueryResult) -> list[int]:
    """For each column, a width in characters that shows most of its first hundred values."""
    rows = [result.columns, *result.rows[:100]]
    return [
        min(60, 2 + max(len(_text(row[n])[:60]) for row in rows if row[n] is not None))
        for n in range(len(result.columns))
    ]


def _missing(title: str, package: str) -> T2SQLError:
    return T2SQLError(
        f"{title} needs the package {package}, which is not installed.",
        "Install it with: pip install 't2sql-tui[export]'",
    )


FORMATS: dict[str, Format] = {
    "csv": Format("CSV", ".csv", True, _separated(",")),
    "tsv": Format("TSV", ".tsv", True, _separated("\t")),
    "json": Format("JSON", ".json", True, _json),
    "jsonl": Format("JSON Lines", ".jsonl", True, _jsonl),
    "markdown": Format("Markdown", ".md", True, _markdown),
    "sql": Format("SQL inserts", ".sql", True, _sql),
    "parquet": Format("Parquet", ".parquet", False, _parquet),
    "xlsx": Format("Excel workbook", ".xlsx", False, _xlsx),
}
