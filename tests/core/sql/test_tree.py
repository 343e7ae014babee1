"""Parsing: what sqlglot takes exponential time for ends early, and what people write is parsed."""

from __future__ import annotations

import contextlib
import random

import pytest

from t2sql_tui.core.sql import tree
from t2sql_tui.core.sql.tree import PARSER_ERRORS, from_clause, parse, scopes


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM a" + " JOIN b" * 40,
        "SELECT 1 FROM a" + " LEFT JOIN b NATURAL JOIN c" * 40,
        "SELECT " + "JOIN LIMIT " * 160,
        "SELECT " + "CASE WHEN (" * 200,
        "SELECT " + "(" * 400 + "1" + ")" * 400,
        "SELECT 1 FROM " + "(a JOIN " * 60,
    ],
)
def test_a_statement_that_could_be_read_in_many_ways_is_given_up(statement):
    parse(statement)  # took minutes; the test's own time is its assertion


def test_many_joins_with_conditions_are_parsed():
    joins = " ".join(f"JOIN t{i} ON t{i}.id = t{i - 1}.id" for i in range(1, 60))
    assert parse(f"SELECT t0.id FROM t0 {joins}") is not None


def test_a_long_list_is_parsed():
    assert parse(f"SELECT 1 WHERE 1 IN ({', '.join(map(str, range(9000)))})") is not None


def test_random_statements_take_steps_linear_in_their_tokens():
    words = (
        "SELECT FROM JOIN LEFT ON WHERE ( ( ) CASE WHEN THEN END a b . , * NOT - IN EXISTS UNION "
        "WITH AS OVER PARTITION BY ORDER GROUP HAVING LIMIT 1 'x' \"y\" CAST BETWEEN AND OR -> "
        "[ ] { } NULL IS COLLATE FILTER VALUES LATERAL PIVOT NATURAL USING"
    ).split()
    draw = random.Random(7)
    most = 0.0
    for _ in range(300):
        some = draw.sample(words, draw.randint(1, 6)) * draw.randint(1, 40)
        statement = "SELECT " + " ".join(some)
        dialect = tree._BoundedSQLite()
        parser = dialect.parser()
        with contextlib.suppress(*PARSER_ERRORS):
            tokens = dialect.tokenize(statement)
            parser.parse(tokens, statement)
        most = max(most, parser.steps / (len(tokens) + 100))
    assert 0 < most <= 10.1


def test_from_clause_and_scopes():
    select = parse("SELECT a FROM t WHERE a IN (SELECT b FROM u)")
    assert from_clause(select).this.name == "t"
    assert from_clause(parse("SELECT 1")) is None
    assert [sorted(scope.sources) for scope in scopes(select)] == [["u"], ["t"]]
    assert scopes(None) == [] and parse("SELECT FROM WHERE") is None
