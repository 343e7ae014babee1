"""String match, BLEU, ROUGE, chatter, and the slices that accuracy is reported by."""

from __future__ import annotations

import pytest

from benchmarks.metrics import text
from benchmarks.metrics.slices import features


@pytest.mark.parametrize(
    ("gold", "predicted", "same"),
    [
        ("SELECT count(*) FROM Singer", "select  COUNT( * )\nfrom singer ;", True),
        ("SELECT a FROM t -- why", "SELECT a FROM t", True),
        ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'", False),
        ("SELECT a FROM t", "SELECT b FROM t", False),
        ("not SQL (", "not  SQL ( ;", True),
        ("SELECT a FROM t", "", False),
        ("SELECT a FROM t", "SELECT a FROM t; SELECT a FROM t", False),
    ],
)
def test_same_string(gold: str, predicted: str, same: bool) -> None:
    assert text.same_string(gold, predicted) == same


def test_bleu_and_rouge_are_100_for_the_gold_and_fall_with_the_likeness() -> None:
    golds = ["SELECT name FROM singer WHERE age > 30", "SELECT count(*) FROM concert"]
    near = ["SELECT name FROM singer WHERE age < 30", "SELECT count(*) FROM concert"]
    far = ["SELECT x", "VALUES (1)"]
    assert text.bleu(golds, golds) == pytest.approx(100)
    assert text.rouge(golds, golds) == pytest.approx(
        dict.fromkeys(["rouge1", "rouge2", "rougeL"], 100)
    )
    assert 100 > text.bleu(golds, near) > text.bleu(golds, far)
    for name, value in text.rouge(golds, near).items():
        assert 100 >= value > text.rouge(golds, far)[name]
    assert text.bleu([], []) == 0 and text.rouge([], [])["rougeL"] == 0


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError):
        text.rouge(["SELECT 1"], [])


@pytest.mark.parametrize(
    ("raw", "sql", "chatty"),
    [
        ("SELECT 1", "SELECT 1", False),
        ("```sql\nSELECT 1;\n```", "SELECT 1", False),
        ("```SQLite\nSELECT 1\n```\n", "SELECT 1", False),
        ("Here is the query:\n```sql\nSELECT 1\n```", "SELECT 1", True),
        ("SELECT 1;\n\nThis selects one.", "SELECT 1", True),
        ("I cannot answer that.", "", True),
        ("", "", False),
    ],
)
def test_chatter_is_all_but_the_sql_and_its_fence(raw: str, sql: str, chatty: bool) -> None:
    assert text.is_chatty(raw, sql) == chatty


@pytest.mark.parametrize(
    ("gold", "tables", "aggregation", "nesting", "set_operation"),
    [
        ("SELECT a FROM t", 1, False, 0, False),
        ("SELECT count(*) FROM t AS x JOIN t AS y", 2, True, 0, False),
        (
            "SELECT a FROM t WHERE b IN (SELECT b FROM u WHERE c > (SELECT max(c) FROM u))",
            3,
            True,
            2,
            False,
        ),
        ("SELECT a FROM t UNION SELECT a FROM u", 2, False, 0, True),
        ("SELECT count(*) FROM (SELECT a FROM t EXCEPT SELECT a FROM u)", 2, True, 1, True),
        ("WITH q AS (SELECT a FROM t) SELECT a FROM q", 1, False, 1, False),
        ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u)", 2, False, 1, False),
    ],
)
def test_features(
    gold: str, tables: int, aggregation: bool, nesting: int, set_operation: bool
) -> None:
    assert features(gold) == {
        "tables": tables,
        "aggregation": aggregation,
        "nesting": nesting,
        "set_operation": set_operation,
        "readable": True,
    }


@pytest.mark.parametrize("text_", ["", "SELECT FROM WHERE", "(" * 5000, "SELECT 1; SELECT 2"])
def test_features_of_what_is_no_query(text_: str) -> None:
    assert not features(text_)["readable"]
