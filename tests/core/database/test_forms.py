"""The forms in which columns store dates and numbers, and the SQL that reads them."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import pytest

from benchmarks.untidy import forms as stored_forms
from benchmarks.untidy.forms import Form
from t2sql_tui.core.database.forms import date_form, number_form

DAYS = [datetime(2021 + n % 5, 1 + n % 12, 1 + 7 * n % 28, n % 24, n % 60, n) for n in range(60)]
AMOUNTS = [0.5 * n * n + 0.75 for n in range(60)]
DATE_FORMS = {name: f for name, f in vars(stored_forms).items() if isinstance(f, Form) and f.keeps}
NUMBER_FORMS = [
    *("NUMBER_TEXT DOLLARS WHOLE_DOLLARS THOUSANDS THOUSANDS_MILES GERMAN GERMAN_EURO").split(),
    *("GERMAN_WHOLE GERMAN_KWH PERCENT PERCENT_TIGHT GERMAN_PERCENT").split(),
]


def rows(form: Form, values: list, sql: str) -> list[tuple]:
    """What `sql` and the form's own expression read from `values`, stored."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t (c {form.type})")
    connection.executemany("INSERT INTO t VALUES (?)", [(form.store(x),) for x in values])
    read = form.read.replace("{}", "c")
    found = connection.execute(f"SELECT {sql}, {read} FROM t").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("name", DATE_FORMS)
def test_dates_are_read_from_every_form(name: str) -> None:
    stored = DATE_FORMS[name]
    form = date_form([stored.store(day) for day in DAYS], named_as_date=True)
    assert form is not None and form.sure
    if form.name == "iso":
        return
    keeps = stored.keeps
    sql = f"strftime('{keeps}', {form.iso.format(c='c')})"
    read = [row[0] for row in rows(stored, DAYS, sql)]
    assert read == [day.strftime(keeps) for day in DAYS]


@pytest.mark.parametrize("name", NUMBER_FORMS)
def test_numbers_are_read_from_every_form(name: str) -> None:
    stored: Form = getattr(stored_forms, name)
    form = number_form([stored.store(x) for x in AMOUNTS])
    assert form is not None
    assert form.plain == (name == "NUMBER_TEXT")
    for read, right in rows(stored, AMOUNTS, form.sql.format(c="c")):
        assert read == pytest.approx(right)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["03.04.2024", "05.06.2024"], "day or month"),
        (["31.04.2024", "04.31.2024"], ""),  # two forms in one column
        (["31.04.2024", "2024-04-30"], ""),
        (["31.04.2024 10:15"], "dmy and time"),
        (["2024", "1999"], "year"),
        ([20240131, 19991231], "compact"),
        ([20241331], ""),
        ([1704067200], "midnights"),
        ([1704067200, 1704067201], "seconds"),
        ([1704067200000], "milliseconds"),
        ([12, 2024], ""),
        ([2024.5], ""),
        ([b"31.12.2024"], ""),
        (["2024-01-31"], "iso"),
        (["2024-01"], "month"),
        (["3/14/24", "12/1/99"], "mdy without zeros"),
        (["March 5, 2024"], "month named"),
        (["20240131103000"], "compact and time"),
        (["555-1234"], ""),
        ([2460000.5], ""),  # only where the column's name says that these are days
        ([45000], ""),
        ([], ""),
    ],
)
def test_the_form_of_dates_is_told_only_where_it_is_sure(values, form: str) -> None:
    found = date_form(values)
    assert (found.name if found else "") == form


def test_numbers_may_be_dates_where_the_name_says_so() -> None:
    assert (form := date_form([45000, 45001], True)) and form.name == "spreadsheet day"
    assert (form := date_form([2460000.5], True)) and form.name == "julian day"
    assert (form := date_form([1704067201], False)) and not form.sure
    assert (form := date_form([1704067201], True)) and form.sure


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1,234", "12.5"], [1234, 12.5]),
        (["12,5", "3"], [12.5, 3]),
        (["1 234,5", "7,25"], [1234.5, 7.25]),
        (["($1,200.50)", "$3.00"], [-1200.5, 3]),
        (["USD 5", "EUR 1,000"], [5, 1000]),
        (["-12 %", "5 %"], [-12, 5]),
        (["02134", "90210"], None),  # codes
        (["SKU1", "SKU2"], None),
        (["12A", "12B"], None),
        (["555-1234"], None),
        (["Ann", "12"], None),
        (["10.0.0.1", "10.0.0.2"], None),
    ],
)
def test_numbers_in_text(values: list[str], read: list[float] | None) -> None:
    form = number_form(values)
    if read is None or form is None:
        assert form is None and read is None
        return
    assert [row[0] for row in rows(Form("TEXT"), values, form.sql.format(c="c"))] == read
