"""What of a question a SQL does not use."""

from __future__ import annotations

import sqlite3

import pytest

from t2sql_tui.core.answers.describe import warnings_text
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.prompting.value_matching import find_values


def test_what_the_question_names_should_be_used(read, shop) -> None:
    name, city = "SELECT name FROM customer", "SELECT DISTINCT city FROM customer"
    best, other = read(shop, name, city, logprobs=[-1, -2], question="Which cities are there?")
    assert (best.candidate.sql, best.unused_words, best.unused_share) == (city, (), 0)
    assert (other.unused_words, other.unused_share) == (("city",), 1)
    assert warnings_text(other) == "It makes no use of: city."
    (everything,) = read(shop, "SELECT * FROM customer", question="Which cities are there?")
    assert everything.unused_words == ()
    (number,) = read(shop, "SELECT count(*) FROM customer", question="Which cities are there?")
    assert number.unused_words == ("city",)
    asked = "Which customers are not from Paris?"
    (unmet,) = read(shop, name, question=asked)
    assert unmet.unmet_phrases == ("not",) and "not" in warnings_text(unmet)
    (met,) = read(shop, f"{name} WHERE city != 'Paris'", question=asked)
    assert met.unmet_phrases == ()
    # Words that name nothing in the file say nothing.
    best, other = read(shop, name, city, logprobs=[-1, -2], question="Which towns are there?")
    assert best.candidate.sql == name and best.unused_words == other.unused_words == ()


@pytest.mark.parametrize(
    ("question", "wrong", "right"),
    [
        ("customers with at most 2 orders", "HAVING count(*) > 1", "HAVING count(*) <= 2"),
        ("customers with no more than 2 orders", "HAVING count(*) >= 2", "HAVING count(*) < 3"),
        ("customers with no fewer than 2 orders", "ORDER BY name", "HAVING count(*) >= 2"),
        ("customers with more than 2 orders", "HAVING count(*) < 2", "HAVING count(*) > 2"),
        ("customer with fewest orders", "ORDER BY count(*) DESC", "ORDER BY count(*)"),
        ("customer with the most orders", "ORDER BY count(*)", "ORDER BY count(*) DESC"),
        ("customers sorted by city", "", "ORDER BY city"),
        ("customers in descending order of city", "ORDER BY city", "ORDER BY city DESC"),
        ("customers without any city", "HAVING count(city) > 0", "HAVING city IS NULL"),
        ("customers, rounded to two decimals", "ORDER BY avg(id)", "ORDER BY round(avg(id), 2)"),
        ("customers per city; leave out unknown cities", "", "HAVING city IS NOT NULL"),
        ("customers by month, ignore case, skip Paris", "", "HAVING city <> 'Paris'"),
        ("customer names that start with A", "HAVING name = 'A'", "HAVING name LIKE 'A%'"),
    ],
)
def test_the_direction_that_the_question_says(read, question, wrong, right, shop) -> None:
    base = "SELECT name, city FROM customer GROUP BY name "
    (unmet,) = read(shop, base + wrong, question=question)
    (met,) = read(shop, base + right, question=question)
    assert len(unmet.unmet_phrases) == 1 and met.unmet_phrases == ()


def test_names_should_be_shown_where_the_file_has_some(read, shop, tmp_path) -> None:
    (ids,) = read(shop, "SELECT id FROM customer", question="The names of all buyers?")
    (names,) = read(shop, "SELECT name FROM customer", question="The names of all buyers?")
    assert ids.unmet_phrases == ("names",) and names.unmet_phrases == ()
    path = tmp_path / "german.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE kunde (nr INTEGER, bezeichnung TEXT)")
    connection.close()
    with open_database(path) as database:
        (reading,) = read(database, "SELECT nr FROM kunde", question="The names of all buyers?")
    assert reading.unmet_phrases == ()


def test_a_stored_value_of_the_question_should_be_used(read, shop) -> None:
    question = "How many customers are from Paris?"
    every = "SELECT count(*) FROM customer"
    some = f"{every} WHERE city = 'Paris'"
    values = find_values(shop, question)
    best, other = read(shop, every, some, logprobs=[-1, -1.5], question=question, values=values)
    assert best.candidate.sql == some and best.unused_words == ()
    assert other.unused_words == ("paris",) and 0 < other.unused_share < 1
    like = "SELECT count(*) FROM customer WHERE city LIKE '%paris%'"
    assert read(shop, like, question=question, values=values)[0].unused_words == ()
