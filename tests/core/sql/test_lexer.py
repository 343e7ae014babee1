"""The one lexer, and that all who read SQL as text agree where its statements end."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.sql.lexer import (
    before_semicolon,
    normalized_spelling,
    split_statements,
    tokenize,
)
from t2sql_tui.core.types import Schema

# What opens, closes, doubles and hides what, in all orders; "```" would be a fence.
PIECES = ["'", "''", '"', "[", "]", "--", "/*", "*/", ";", "\n", " ", "a", "B", "x'", "1", "-", "é"]
sql_like = st.lists(st.sampled_from([*PIECES, "`a`", "`"]), max_size=14).map("".join)


def test_split_statements() -> None:
    assert split_statements("/* ; */ select ';' ; -- ; \n ;; select \"a;b\" [;] /* x") == [
        "select ';'",
        'select "a;b" [;]',
    ]
    assert split_statements("select 'it''s; fine' `a;` -- x") == ["select 'it''s; fine' `a;`"]
    assert split_statements("select 'open; ") == ["select 'open; "]
    assert split_statements("select 1 - -1 / 2") == ["select 1 - -1 / 2"]


def test_kinds() -> None:
    kinds = [(kind, text) for kind, text in tokenize("x'0a'||\"b\" [c]<>.5e-3 -- d") if text != " "]
    assert kinds == [
        ("string", "x'0a'"),
        ("operator", "||"),
        ("quoted", '"b"'),
        ("quoted", "[c]"),
        ("operator", "<>"),
        ("number", ".5e-3"),
        ("comment", "-- d"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("SELECT  A\nFROM b", "select a from B", True),
        ("SELECT a /* x */ FROM b -- y", "SELECT a FROM b", True),
        ("SELECT 'A' FROM b", "SELECT 'a' FROM b", False),
        ("SELECT [A  b] FROM c", "SELECT [a b] FROM c", False),
        ("SELECT É FROM c", "SELECT é FROM c", False),
        ("SELECT 1a", "SELECT 1 a", False),
        # What stands behind a comment on its own line is no part of the comment.
        ("SELECT a -- all\n, b FROM c", "SELECT a -- all, b FROM c", False),
        ("SELECT a -- it's\nFROM b WHERE 'X'", "SELECT a -- it's\nFROM b WHERE 'x'", False),
    ],
)
def test_normalized_spelling(one: str, other: str, equal: bool) -> None:
    assert (normalized_spelling(one) == normalized_spelling(other)) is equal


@given(sql_like)
def test_tokens_are_the_whole_text(text: str) -> None:
    assert "".join(token for _, token in tokenize(text)) == text


@given(sql_like)
def test_a_semicolon_ends_a_statement_where_it_does_for_sqlite(text: str) -> None:
    # SQLite looks for the last semicolon by itself (https://sqlite.org/c3ref/complete.html).
    tokens = [token for token in tokenize(f"SELECT {text}") if token[0] != "space"]
    open_comment = tokens[-1][1].startswith("/*") and not tokens[-1][1][2:].endswith("*/")
    last = next(token for kind, token in reversed(tokens) if kind != "comment")
    assert sqlite3.complete_statement(f"SELECT {text}") == (last == ";" and not open_comment)


@given(sql_like)
def test_all_who_read_sql_agree_where_its_first_statement_ends(text: str) -> None:
    sql = f"SELECT {text}"
    first = split_statements(sql)[0]
    assert before_semicolon(sql).startswith(first)
    if "```" not in sql:
        assert extract_sql(sql) == before_semicolon(sql).strip()
        assert split_statements(extract_sql(sql)) == [first.strip()]
    again = split_statements(normalized_spelling(sql))
    assert list(map(normalized_spelling, split_statements(sql))) == again


strings = st.text(st.sampled_from("a';-\n\"/*["), max_size=6).map(
    lambda text: "'" + text.replace("'", "''") + "'"
)
comments = st.sampled_from([" ", "-- it's; x\n", "/* ; ' */"])


@given(st.lists(st.tuples(strings, comments), min_size=1, max_size=4), st.booleans())
def test_all_who_read_sql_agree_where_its_strings_end(
    items: list[tuple[str, str]], opened: bool
) -> None:
    sql = "SELECT " + ", ".join(string + comment for string, comment in items)
    if opened:
        sql = sql.rstrip("\n") + "\n, 'open; SELECT 1"
    assert len(split_statements(sql)) == 1
    accepts = SchemaConstraint(Schema(())).accepts
    assert accepts(sql, True) is not opened
    assert accepts(sql + "; FROM nowhere", True) is not opened
    assert extract_sql(sql + "; x") == (sql + "; x" if opened else sql).strip()
    written = [text for kind, text in tokenize(normalized_spelling(sql)) if kind == "string"]
    assert written[: len(items)] == [string for string, _ in items]
