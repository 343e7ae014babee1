"""Warnings from the stored data: what columns hold against what a SQL does with them."""

from __future__ import annotations

import pytest

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import execute
from t2sql_tui.core.answers.warnings.table import find_warnings
from t2sql_tui.core.ask import judge
from t2sql_tui.core.types import Candidate, Question, Turn, ValueMatch

SCRIPT = """
CREATE TABLE colour (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO colour VALUES (1, 'Blue'), (2, 'Green');
CREATE TABLE sale (
    id INTEGER PRIMARY KEY, item TEXT, amount TEXT, price TEXT, sold TEXT, until TEXT, country TEXT,
    colour_id INTEGER REFERENCES colour (id), note TEXT, weight REAL, pieces INTEGER,
    cents INTEGER);
INSERT INTO sale VALUES
    (1, 'Rug', '99.9', '$1,200.50', '2024-01-05', '3/4/24', 'DE', 1, '', 1.5, 3, 100),
    (2, 'Lamp', '2300.50', '$7.00', '2024-02-09', '5/6/24', 'de ', 1, 'N/A', NULL, 4, 200),
    (3, 'Vase', '15', '$30.00', '2024-02-11', '1/2/24', 'FR', 2, 'good', 2.5, 4, 300);
"""


@pytest.fixture
def sales(opened):
    with opened(SCRIPT) as database:
        yield database


def found(database, sql: str, question: str = "?", values=(), history=()) -> dict[str, str]:
    context = AnswerContext(database, Question(question, history=history), values)
    candidate = judge(Candidate(sql), database)
    return find_warnings(execute(candidate, context), context)


@pytest.mark.parametrize(
    ("sql", "name", "sentence"),
    [
        (
            "SELECT item FROM sale ORDER BY amount DESC LIMIT 1",
            "text-numbers",
            "amount is stored as text: '99.9' sorts above '2300.50'.",
        ),
        ("SELECT max(amount) FROM sale", "text-numbers", "amount is stored as text"),
        (
            "SELECT sum(price) FROM sale",
            "text-numbers",
            "price is stored as text like '$1,200.50', of which arithmetic reads no more than "
            "the digits in front.",
        ),
        ("SELECT sum(colour_id) FROM sale", "added-up-keys", "It adds up colour_id"),
        ("SELECT sold - 12 FROM sale", "unread-dates", "sold holds dates as text"),
        ("SELECT item FROM sale ORDER BY until", "unread-dates", "do not sort as text"),
        (
            "SELECT strftime('%Y', until) FROM sale WHERE id = 1",
            "unread-dates",
            "gives nothing for stored values such as '1/2/24'",
        ),
        (
            "SELECT count(*) FROM sale WHERE colour_id = 'Blue'",
            "text-as-key",
            "colour_id holds numbers: none is 'Blue'.",
        ),
        (
            "SELECT count(*) FROM sale WHERE item = 'Sofa'",
            "unmet-condition",
            "No row of sale has item = 'Sofa'.",
        ),
        (
            "SELECT item FROM sale WHERE id NOT IN (SELECT s.id FROM sale s WHERE s.pieces > 99)",
            "unmet-condition",
            "No row of sale has s.pieces > 99.",
        ),
        ("SELECT item FROM sale WHERE item <> 'Sofa'", "unmet-condition", "item = 'Sofa'"),
        ("SELECT count(*) FROM sale WHERE pieces > 99", "zero-count", "It counts 0 rows."),
        (
            "SELECT item FROM sale WHERE note IS NULL",
            "missing-form",
            "note is never NULL: what is missing is stored as 'N/A'.",
        ),
        (
            "SELECT item FROM sale WHERE country <> ''",
            "",
            "",
        ),
        (
            "SELECT item FROM sale ORDER BY weight LIMIT 1",
            "nulls-first",
            "Where weight is missing comes first in its order.",
        ),
        ("SELECT item FROM sale WHERE colour_id = 2", "unnamed-id", "names no colour_id 2."),
        (
            "SELECT count(*) FROM sale WHERE country = 'DE'",
            "other-spellings",
            "country is also spelled 'de '.",
        ),
        (
            "SELECT name FROM colour WHERE id IN (SELECT name FROM sale)",
            "outer-column",
            "No table of the subquery has name: it is that of colour.",
        ),
        ("SELECT colour_id FROM sale", "key-shown", "It shows colour_id"),
        (
            "SELECT item FROM sale ORDER BY pieces DESC LIMIT 1",
            "tie-at-cut",
            "The row behind the last one shown is equal to it in pieces.",
        ),
        (
            "SELECT count(*) / sum(pieces) FROM sale",
            "integer-division",
            "COUNT(*) / SUM(pieces) divides whole numbers: the fraction is dropped.",
        ),
    ],
)
def test_what_the_file_tells(sales, sql: str, name: str, sentence: str) -> None:
    warnings = found(sales, sql)
    if name:
        assert name in warnings and sentence in warnings[name], warnings
    else:
        assert "missing-form" not in warnings


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT item FROM sale ORDER BY CAST(amount AS REAL) DESC LIMIT 1",
        "SELECT sum(amount) FROM sale",  # SQLite reads these as they are
        "SELECT count(DISTINCT colour_id) FROM sale",
        "SELECT julianday(sold) - julianday('2024-01-01') FROM sale ORDER BY sold",
        "SELECT name FROM colour WHERE EXISTS (SELECT 1 FROM sale WHERE colour_id = colour.id)",
        "SELECT item FROM sale ORDER BY weight DESC LIMIT 1",
        "SELECT item FROM sale WHERE NOT weight IS NULL ORDER BY weight LIMIT 1",
        "SELECT count(*) FROM sale WHERE country IN ('DE', 'de ')",
        "SELECT item FROM sale ORDER BY pieces, id LIMIT 1",
        "SELECT 1.0 * count(*) / sum(pieces), sum(weight) / count(*) FROM sale",
        "SELECT item FROM sale JOIN colour ON colour_id = colour.id WHERE colour.name = 'Blue'",
        "WITH c AS (SELECT country, count(*) AS n FROM sale GROUP BY 1) SELECT n FROM c LIMIT 1",
    ],
)
def test_what_is_no_fault_has_no_warning(sales, sql: str) -> None:
    assert found(sales, sql) == {}


@pytest.mark.parametrize(
    ("question", "sql", "name"),
    [
        ("How many sales were there last month?", "SELECT count(*) FROM sale", "relative-time"),
        ("What percentage of sales is blue?", "SELECT count(*) FROM sale", "no-share"),
        ("What is the median weight?", "SELECT avg(weight) FROM sale", "mean-for-median"),
        ("How many euros did we take?", "SELECT sum(cents) FROM sale", "other-unit"),
    ],
)
def test_what_the_question_asks_and_the_sql_does_not(sales, question, sql, name) -> None:
    assert list(found(sales, sql, question)) == [name]
    assert found(sales, sql, "?") == {}
    right = {
        "relative-time": "SELECT count(*) FROM sale WHERE sold >= date('now', '-999 months')",
        "no-share": "SELECT 100.0 * sum(colour_id = 1) / count(*) FROM sale",
        "mean-for-median": "SELECT weight FROM sale WHERE weight > 0 ORDER BY weight LIMIT 1",
        "other-unit": "SELECT sum(cents) / 100.0 FROM sale",
    }
    assert name not in found(sales, right[name], question)


def test_a_value_that_the_question_names(sales) -> None:
    values = (ValueMatch("colour", "name", "Blue", 1.0),)
    question = "How many blue things were sold?"
    assert "unused-value" in found(sales, "SELECT count(*) FROM sale", question, values)
    joined = "SELECT count(*) FROM sale JOIN colour c ON colour_id = c.id WHERE c.name = 'Blue'"
    assert "unused-value" not in found(sales, joined, question, values)
    assert "unused-value" not in found(sales, joined.replace("'", '"'), question, values)


def test_a_follow_up_that_drops_a_filter(sales) -> None:
    before = (Turn("Sales in DE?", "SELECT count(*) FROM sale WHERE country = 'DE'"),)
    warnings = found(sales, "SELECT sum(weight) FROM sale", "And their weight?", history=before)
    assert "'DE'" in warnings["dropped-filter"]
