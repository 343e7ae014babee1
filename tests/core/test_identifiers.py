"""SQLite itself says which keywords need quotes."""

from __future__ import annotations

import sqlite3

import pytest

from t2sql_tui.core.identifiers import quote_identifier

KEYWORDS = """
abort action add after all alter always analyze and as asc attach autoincrement before begin
between by cascade case cast check collate column commit conflict constraint create cross
current current_date current_time current_timestamp database default deferrable deferred delete
desc detach distinct do drop each else end escape except exclude exclusive exists explain fail
filter first following for foreign from full generated glob group groups having if ignore
immediate in index indexed initially inner insert instead intersect into is isnull join key last
left like limit match materialized natural no not nothing notnull null nulls of offset on or
order others outer over partition plan pragma preceding primary query raise range recursive
references regexp reindex release rename replace restrict returning right rollback row rows
savepoint select set table temp temporary then ties to transaction trigger unbounded union
unique update using vacuum values view virtual when where window with without
""".split()


@pytest.mark.parametrize(
    "name", [*KEYWORDS, "plain", "Two Words", 'quo"te', "naïve", "名前", "1st", "a-b", "", "🙂"]
)
def test_a_quoted_name_works_wherever_a_name_can_stand(name: str) -> None:
    connection = sqlite3.connect(":memory:")
    raw = '"' + name.replace('"', '""') + '"'
    connection.execute(f"CREATE TABLE {raw} ({raw} INT, b INT)")
    connection.execute(f"INSERT INTO {raw} VALUES (5, 7)")
    q = quote_identifier(name)
    for sql in (
        f"SELECT {q} FROM {q} WHERE {q} = 5 GROUP BY {q} ORDER BY {q}",
        f"SELECT {q}.{q} FROM {q} JOIN (SELECT 1) AS other ON {q}.b = 7",
        f"SELECT max({q}) FROM {q} WHERE NOT {q} IS NULL",
    ):
        assert connection.execute(sql).fetchall() == [(5,)], sql


def test_plain_names_stay_bare() -> None:
    assert quote_identifier("customer_id") == "customer_id"
    assert quote_identifier("Year") == "Year"
