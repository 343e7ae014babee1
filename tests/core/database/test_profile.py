"""What a column holds, as far as a bounded look tells."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.database.profile import FIRST_ROWS, SPREAD_ROWS, column_profile


def test_what_a_column_holds(opened) -> None:
    script = (
        'CREATE TABLE "of ""it""" (id INTEGER PRIMARY KEY, country TEXT, amount TEXT, n);'
        "INSERT INTO \"of \"\"it\"\"\" VALUES (1, 'DE', '$1,200.50', 1), (2, 'de ', 'N/A', 2.5),"
        "(3, 'Fr', '', 'x'), (4, NULL, '$7.00', x'00'), (5, ' ', '-', NULL);"
    )
    with opened(script) as database:
        country = column_profile(database, 'OF "it"', "COUNTRY")
        assert country is not None
        assert country.rows == 5 and country.complete and country.is_text
        assert (country.nulls, country.empty, country.distinct, country.padded) == (1, 1, 3, 1)
        assert country.spellings == (("DE", "de "),)
        assert (country.low, country.high) == ("DE", "de ")
        amount = column_profile(database, 'of "it"', "amount")
        assert amount is not None and amount.affinity == "TEXT"
        assert amount.placeholders == {"N/A": 1, "-": 1} and amount.empty == 1
        assert amount.numbers and amount.numbers.sure and amount.numbers.affixes == ("$",)
        n = column_profile(database, 'of "it"', "n")
        assert n is not None and not n.is_text and n.numbers is None
        assert n.classes == {"integer": 1, "real": 1, "text": 1, "blob": 1, "null": 1}
        assert column_profile(database, 'of "it"', "other") is None
        assert column_profile(database, "other", "n") is None


def test_numbers_of_rows_are_no_dates(opened) -> None:
    script = "CREATE TABLE day (id INTEGER PRIMARY KEY, at INTEGER);"
    script += "INSERT INTO day VALUES (1704067201, 1704067201);"
    with opened(script) as database:
        key, at = (column_profile(database, "day", name) for name in ("id", "at"))
        assert key and key.dates is None
        assert at and at.dates and at.dates.name == "seconds"


def test_a_look_is_bounded_and_sees_the_end_of_a_large_table(tmp_path: Path) -> None:
    path = tmp_path / "large.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a TEXT, n TEXT)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 299999) "
            "INSERT INTO t SELECT CASE WHEN i < 200000 THEN '5' ELSE 'five' END, "
            "printf('%.*c', 200, 'x') FROM n"
        )
        connection.execute("DELETE FROM t WHERE rowid % 1000 > 500")
        connection.commit()
    with open_database(path) as database:
        started = time.perf_counter()
        found = column_profile(database, "t", "a")
        assert time.perf_counter() - started < 2
        assert found and found.rows == FIRST_ROWS + SPREAD_ROWS and not found.complete
        assert found.common == ("5", "five")
        assert column_profile(database, "t", "a") is found  # kept


def test_it_is_read_again_once_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "changing.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        with open_database(path) as database:
            assert (found := column_profile(database, "t", "a")) and found.high == 1
            connection.execute("INSERT INTO t VALUES (22)")
            connection.commit()
            assert (found := column_profile(database, "t", "a")) and found.high == 22


def test_tables_without_rowid_and_views(opened) -> None:
    script = (
        "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID;"
        "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 5999) "
        "INSERT INTO t SELECT 'x' || i FROM n; CREATE VIEW v AS SELECT a || 'y' AS b FROM t;"
    )
    with opened(script) as database:
        for table, column in (("t", "a"), ("v", "b")):
            found = column_profile(database, table, column)
            assert found and found.rows == FIRST_ROWS and not found.complete
