"""Every format brings back what went in, whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import re
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2sql_tui.core import export as module
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.export import FORMATS, ExportCancelled, export, write
from t2sql_tui.core.types import QueryResult

AWKWARD = QueryResult(
    ("id", "name", "ID", "", 'a\tb\n"c"', "größe 🙂"),
    (
        (1, "Zoë", 1.5, None, "", b"\x00\xff"),
        (-(2**63), 'comma, "quote"', 0.1 + 0.2, None, "two\r\nlines\ttab", b""),
        (2**63 - 1, "=1+1", 1e300, None, " spaces ", None),
        (0, "東京 🙂 \u202e", -0.0, None, "NULL", b"'"),
        (None, "it's | *x* `y` <b> _z_ a_b \\", None, None, "<r>&</r>", b"\n"),
    ),
)
EDGES = QueryResult(
    ("value",),
    ((float("inf"),), (float("-inf"),), ("nul\0here",), ("lone \udc80 surrogate",), (None,), ("",)),
)


def many(count: int) -> QueryResult:
    return QueryResult(
        ("id", "name", "amount"), tuple((n, f"name {n}", n / 7) for n in range(count))
    )


def text_of(result: QueryResult, format: str, **options) -> str:
    stream = io.StringIO(newline="")
    write(result, stream, format, **options)
    return stream.getvalue()


def sheet_cells(path: Path) -> dict[str, object]:
    """{"A1": value} of a workbook's one sheet: str for text cells, float for numbers."""
    namespace = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as archive:
        tree = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    cells: dict[str, object] = {}
    for cell in tree.iterfind(".//m:c", namespace):
        assert cell.find("m:f", namespace) is None, "a formula"
        if cell.get("t") == "inlineStr":
            text = "".join(t.text or "" for t in cell.iterfind(".//m:t", namespace))
            text = re.sub(r"_x([0-9A-F]{4})_", lambda m: chr(int(m[1], 16)), text)
            cells[cell.get("r")] = text
        else:
            cells[cell.get("r")] = float(cell.find("m:v", namespace).text)
    return cells


# --- round trips ------------------------------------------------------------------


@pytest.mark.parametrize("format, separator", [("csv", ","), ("tsv", "\t")])
def test_separated_values_come_back(format, separator):
    text = text_of(AWKWARD, format)
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    assert header == list(AWKWARD.columns)
    for row, stored in zip(rows, AWKWARD.rows, strict=True):
        for field, value in zip(row, stored, strict=True):
            if isinstance(value, bytes):
                assert bytes.fromhex(field) == value
            elif isinstance(value, float):
                assert float(field) == value
            else:
                assert field == ("" if value is None else str(value))


def test_csv_tells_null_from_empty_text_and_keeps_every_line():
    assert text_of(QueryResult(("a", "b"), ((None, ""), ("", None))), "csv") == 'a,b\n,""\n"",\n'
    assert text_of(QueryResult(("a",), ((None,), (1,))), "csv") == 'a\n""\n1\n'


def test_csv_keeps_what_looks_like_a_formula():
    assert text_of(QueryResult(("a",), (("=cmd|' /C calc'!A0",),)), "csv").endswith("calc'!A0\n")


def test_json_comes_back_with_each_name_once():
    rows = json.loads(text_of(AWKWARD, "json"))
    lines = [json.loads(line) for line in text_of(AWKWARD, "jsonl").splitlines()]
    assert rows == lines and len(rows) == 5
    assert list(rows[0]) == ["id", "name", "ID_2", "column_4", 'a\tb\n"c"', "größe 🙂"]
    for row, stored in zip(rows, AWKWARD.rows, strict=True):
        plain = [value.hex() if isinstance(value, bytes) else value for value in stored]
        assert list(row.values()) == plain
    assert json.loads(text_of(QueryResult(("a",), ()), "json")) == []


def test_numbered_names_do_not_collide_with_stored_ones():
    columns = ("id", "id", "id_2", "ID")
    (row,) = json.loads(text_of(QueryResult(columns, ((1, 2, 3, 4),)), "json"))
    assert row == {"id": 1, "id_3": 2, "id_2": 3, "ID_4": 4}


def test_json_stays_json_at_the_edges():
    strict = {"parse_constant": pytest.fail}
    values = [row["value"] for row in json.loads(text_of(EDGES, "json"), **strict)]
    assert values == ["inf", "-inf", "nul\0here", "lone \ufffd surrogate", None, ""]


@pytest.mark.parametrize("result", [AWKWARD, EDGES], ids=["awkward", "edges"])
def test_sql_inserts_load_into_sqlite_with_the_same_types(result):
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(text_of(result, "sql", table_name='odd "name"'))
        loaded = connection.execute('SELECT * FROM "odd ""name"""').fetchall()
    expected = [
        tuple(v.replace("\udc80", "\ufffd") if isinstance(v, str) else v for v in row)
        for row in result.rows
    ]
    assert loaded == expected
    assert [list(map(type, row)) for row in loaded] == [list(map(type, r)) for r in expected]


def test_sql_converts_nothing_in_a_column_of_many_types():
    values = ("007", 7, 7.0, b"7", None, "7e3")
    script = text_of(QueryResult(("v",), tuple((v,) for v in values)), "sql")
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(script)
        loaded = [v for (v,) in connection.execute("SELECT v FROM result")]
    assert [(type(v), v) for v in loaded] == [(type(v), v) for v in values]


def test_markdown_is_one_table_whatever_the_cells_hold():
    lines = text_of(AWKWARD, "markdown").split("\n")
    assert len(lines) == 2 + 5 + 1 and lines[-1] == ""
    assert lines[1] == "| ---: | --- | ---: | --- | --- | --- |"
    assert lines[3].startswith('| -9223372036854775808 | comma, "quote" |')
    assert "two<br>lines\ttab" in lines[3]
    assert r"it's \| \*x\* \`y\` \<b> \_z\_ a_b \\" in lines[6]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in lines[:-1])


def test_parquet_comes_back_with_types(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    export(AWKWARD, tmp_path / "a.parquet", "parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["id", "name", "ID_2", "column_4", 'a\tb\n"c"', "größe 🙂"]
    types = [str(field.type) for field in table.schema]
    assert types == ["int64", "string", "double", "string", "string", "binary"]
    assert [tuple(row.values()) for row in table.to_pylist()] == list(AWKWARD.rows)


def test_parquet_columns_of_several_types(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = ((1, 1, "x"), (2.5, 2**60 + 1, b"\xff"), (None, 0.5, 3))
    export(QueryResult(("real", "exact", "mixed"), rows), tmp_path / "m.parquet", "parquet")
    columns = parquet.read_table(tmp_path / "m.parquet").to_pydict()
    assert columns == {
        "real": [1.0, 2.5, None],
        "exact": ["1", "1152921504606846977", "0.5"],  # as reals, the middle one would change
        "mixed": ["x", "ff", "3"],
    }


def test_xlsx_comes_back_without_formulas_or_rounding(tmp_path):
    pytest.importorskip("xlsxwriter")
    export(AWKWARD, tmp_path / "a.xlsx", "xlsx", table_name="it's: a/name")
    cells = sheet_cells(tmp_path / "a.xlsx")
    assert [cells.get(f"{c}1") for c in "ABCEF"] == [
        "id",
        "name",
        "ID",
        'a\tb\n"c"',
        "größe 🙂",
    ]
    assert cells["A2"] == 1.0 and cells["C3"] == pytest.approx(0.1 + 0.2, rel=1e-15)
    assert cells["A3"] == str(-(2**63)) and cells["A4"] == str(2**63 - 1)
    assert cells["B4"] == "=1+1" and cells["B5"] == "東京 🙂 \u202e"
    assert cells["E3"].replace("\r\n", "\n") == "two\nlines\ttab" and cells["E4"] == " spaces "
    assert cells["E6"] == "<r>&</r>" and cells["F2"] == "00ff"
    assert "A6" not in cells and "D2" not in cells


def test_xlsx_edges(tmp_path):
    pytest.importorskip("xlsxwriter")
    export(EDGES, tmp_path / "e.xlsx", "xlsx")
    cells = sheet_cells(tmp_path / "e.xlsx")
    assert [cells.get(f"A{n}") for n in range(2, 7)] == [
        "inf",
        "-inf",
        "nul\0here",
        "lone \ufffd surrogate",
        None,
    ]


CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=4), st.text(max_size=6))
def test_any_rows_load_into_sqlite_unchanged(rows, name):
    result = QueryResult((name, "second"), tuple(rows))
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(text_of(result, "sql", table_name=name or "t"))
        table = module._quote(module._text(name or "t"))
        loaded = connection.execute(f"SELECT * FROM {table}").fetchall()
    assert [[(type(v), v) for v in r] for r in loaded] == [[(type(v), v) for v in r] for r in rows]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=4), st.sampled_from([",", "\t"]))
def test_any_rows_are_read_back_from_csv_and_tsv(rows, separator):
    text = text_of(QueryResult(("a", "b"), tuple(rows)), "csv" if separator == "," else "tsv")
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    assert read[1:] == [["" if v is None else module._text(v) for v in row] for row in rows]
    assert text.count("\n") >= len(rows) + 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_any_rows_make_one_markdown_table(rows):
    lines = text_of(QueryResult(("a", "b"), tuple(rows)), "markdown").split("\n")
    assert len(lines) == len(rows) + 3
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3 for line in lines[:-1])


# --- limits and mistakes ----------------------------------------------------------


def test_a_sheet_that_is_too_long_is_refused_before_it_is_written(tmp_path, monkeypatch):
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(module, "XLSX_ROWS", 10)
    export(many(9), tmp_path / "fits.xlsx", "xlsx")
    with pytest.raises(T2SQLError, match="holds 9 rows") as caught:
        export(many(10), tmp_path / "long.xlsx", "xlsx")
    assert "CSV" in caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["fits.xlsx"]


@pytest.mark.parametrize("text", ["x" * 32_767, "x" * 32_768, "🙂" * 16_383, "🙂" * 16_384])
def test_a_cell_that_is_too_long_is_an_error_not_a_silent_cut(tmp_path, text):
    pytest.importorskip("xlsxwriter")
    path = tmp_path / "cell.xlsx"
    if len(text) in (32_767, 16_383):  # Excel counts UTF-16 units: an emoji is two
        export(QueryResult(("note",), ((text,),)), path, "xlsx")
        assert sheet_cells(path)["A2"] == text
    else:
        with pytest.raises(T2SQLError, match="characters in note"):
            export(QueryResult(("note",), ((text,),)), path, "xlsx")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_overwritten_unless_told(tmp_path, format):
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(T2SQLError, match="exists already"):
        export(AWKWARD, path, format)
    assert path.read_text() == "precious"
    assert export(AWKWARD, path, format, overwrite=True) == path.stat().st_size > 8
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_is_never_overwritten(tmp_path):
    path = tmp_path / "my.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(path)
    for target in (path, tmp_path / "link.csv"):
        with pytest.raises(T2SQLError, match="is a SQLite database"):
            export(AWKWARD, target, "csv", overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, format):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(T2SQLError, match="No space left") as caught:
        export(AWKWARD, tmp_path / "out", format)
    assert "space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_stream_that_is_full_raises_what_the_stream_raises():
    with pytest.raises(OSError), open("/dev/full", "w", encoding="utf-8") as stream:
        write(many(10_000), stream, "csv")


@pytest.mark.parametrize("format", FORMATS)
def test_cancelling_leaves_nothing_behind(tmp_path, format):
    reports = []

    def progress(done: int, total: int) -> None:
        reports.append((done, total))

    with pytest.raises(ExportCancelled):
        export(
            many(5_000),
            tmp_path / "out",
            format,
            on_progress=progress,
            should_stop=lambda: len(reports) >= 3,
        )
    assert reports == [(0, 5_000), (1_000, 5_000), (2_000, 5_000)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_progress_ends_at_the_total(tmp_path, format):
    reports = []
    export(many(2_500), tmp_path / "out", format, on_progress=lambda *r: reports.append(r))
    assert reports == [(0, 2_500), (1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]


def test_paths_that_cannot_be_written_say_why(tmp_path):
    (tmp_path / "file").write_text("")
    for path, message, hint in (
        (tmp_path, "is a folder", "file name"),
        (tmp_path / "none" / "out.csv", "No such file", "There is no folder"),
        (tmp_path / "file" / "out.csv", "Not a directory", "not a folder"),
        (tmp_path / ("x" * 300), "name too long", "shorter"),
    ):
        with pytest.raises(T2SQLError, match=message) as caught:
            export(AWKWARD, path, "csv")
        assert hint in caught.value.hint


def test_unknown_formats_and_formats_that_are_not_text():
    with pytest.raises(T2SQLError) as caught:
        write(AWKWARD, io.StringIO(), "jsnl")
    assert caught.value.hint == "Did you mean jsonl?"
    with pytest.raises(T2SQLError, match="not text"):
        write(AWKWARD, io.StringIO(), "xlsx")
    assert {name for name, form in FORMATS.items() if not form.text} == {"parquet", "xlsx"}


@pytest.mark.parametrize("format, package", [("parquet", "pyarrow"), ("xlsx", "xlsxwriter")])
def test_a_missing_package_is_named_with_the_command(tmp_path, monkeypatch, format, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(T2SQLError, match=package) as caught:
        export(AWKWARD, tmp_path / "out", format)
    assert "pip install 't2sql-tui[export]'" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_loads_neither_library():
    code = (
        "import sys, t2sql_tui.core.export; "
        "sys.exit(bool({'pyarrow', 'xlsxwriter', 'sqlglot'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- size -------------------------------------------------------------------------


_MEASURE = """
import sys
from pathlib import Path
from t2sql_tui.core.export import FORMATS, export
from t2sql_tui.core.types import QueryResult

def many(count):
    rows = tuple((n, f"name {n}", n / 7) for n in range(count))
    return QueryResult(("id", "name", "amount"), rows)

def memory(line):
    status = Path("/proc/self/status").read_text()
    return int(status.split(line + ":")[1].split()[0])

folder, result = Path(sys.argv[1]), many(100_000)
for name in FORMATS:
    export(many(1), folder / f"warm-{name}", name)  # what imports take is not counted
    Path("/proc/self/clear_refs").write_text("5")  # the peak, VmHWM, starts anew
    before = memory("VmRSS")
    export(result, folder / name, name)
    print(name, memory("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_100_000_rows_take_little_memory(tmp_path):
    """The process grows by 4 MiB at most beside the rows (Arrow's buffers: 40 MiB)."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("xlsxwriter")
    command = [sys.executable, "-c", _MEASURE, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    grown = {name: int(kib) for name, kib in map(str.split, output.splitlines())}
    assert set(grown) == set(FORMATS)
    assert all(kib < (40 if name == "parquet" else 4) * 1024 for name, kib in grown.items()), grown
    lines = (tmp_path / "csv").read_text().splitlines()
    assert len(lines) == 100_001 and lines[-1] == f"99999,name 99999,{99999 / 7!r}"
    with zipfile.ZipFile(tmp_path / "xlsx") as archive:
        assert b"name 99999<" in archive.read("xl/worksheets/sheet1.xml")
