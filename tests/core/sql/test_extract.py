"""The SQL that is found in a model's answer."""

from __future__ import annotations

import pytest

from t2sql_tui.core.sql.extract import extract_sql


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("SELECT 1", "SELECT 1"),
        ("```sql\nSELECT 1;\n```\nThis counts.", "SELECT 1"),
        ("```\nSELECT 1\n```", "SELECT 1"),
        ("```sql\nSELECT 1", "SELECT 1"),
        ("SELECT 1\n```", "SELECT 1"),
        ("Here it is: SELECT a FROM b;", "SELECT a FROM b"),
        ("SELECT a FROM b; DROP TABLE b", "SELECT a FROM b"),
        ("SELECT 'a;b' FROM [x;y] -- ; no\nWHERE 1; x", "SELECT 'a;b' FROM [x;y] -- ; no\nWHERE 1"),
        ("SELECT 'a;b", "SELECT 'a;b"),
        ("SELECT a /* b; c", "SELECT a /* b; c"),
        ("SELECT `a``;b`; c", "SELECT `a``;b`"),
        ("select 1\n\nThis query selects one.", "select 1"),
        ("select a\n\nfrom b", "select a\n\nfrom b"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
        ("DELETE FROM x", "DELETE FROM x"),
        ("I cannot do that.", ""),
        ("", ""),
        ("```sql\n```", ""),
        ("SQLQuery: \"SELECT a FROM t WHERE b = 'x'\"", "SELECT a FROM t WHERE b = 'x'"),
        ('SQLQuery: "SELECT "a b" FROM t"', 'SELECT "a b" FROM t'),
        ("SQL = 'SELECT a FROM t'", "SELECT a FROM t"),
        ('Use "SELECT a FROM t".', "SELECT a FROM t"),
        ("(SELECT a FROM t)", "SELECT a FROM t"),
        ("( SELECT count(*) FROM t );", "SELECT count(*) FROM t"),
        ("((SELECT 1)) is it", "SELECT 1"),
        ('{"sql": "SELECT a FROM t", "why": "because"}', "SELECT a FROM t"),
        ('```json\n{"query": "SELECT \\"a b\\" FROM t;"}\n```', 'SELECT "a b" FROM t'),
        ('[{"SQL": "SELECT 1"}]', "SELECT 1"),
        ('{"sql": ["SELECT 1"]}', "SELECT 1"),
        ('{"sql": "SELECT a', "SELECT a"),
        ("`SELECT a FROM t` returns all rows.", "SELECT a FROM t"),
        ("The answer is `SELECT a FROM t WHERE b=1`; it ...", "SELECT a FROM t WHERE b=1"),
        ("SELECT `a b` FROM `t`", "SELECT `a b` FROM `t`"),
        ("I query `t`: SELECT a FROM t", "SELECT a FROM t"),
        ("<sql>SELECT 1</sql>", "SELECT 1"),
        ("**SELECT 2 * 3**", "SELECT 2 * 3"),
    ],
)
def test_extract_sql(text: str, sql: str) -> None:
    assert extract_sql(text) == sql
