"""Candidates are run, grouped by their rows and ranked; nothing they do can hurt."""

from __future__ import annotations

import sqlite3
import time

import pytest

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.answers import rank
from t2sql_tui.core.answers.describe import summary, warnings_text
from t2sql_tui.core.ask import ask, judge
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import AskOptions, Candidate, GenerationSettings, Question


def read(shop, *texts: str, logprobs=None, question="?", values=(), **options):
    logprobs = logprobs or [-float(place) for place in range(len(texts))]
    candidates = [
        judge(Candidate(text, logprob=score), shop)
        for text, score in zip(texts, logprobs, strict=True)
    ]
    return rank.read(candidates, shop, Question(question), values, **options)


def test_equal_rows_are_one_reading(shop) -> None:
    first, second = read(
        shop,
        "SELECT name, id FROM customer",
        "SELECT city FROM customer",
        "SELECT id, name FROM customer ORDER BY name DESC",
        "select  ID, name from customer",
    )
    assert (first.votes, second.votes) == (3, 1)
    assert first.candidate.sql == "SELECT name, id FROM customer"
    assert first.share + second.share == pytest.approx(1)
    assert first.result is not None and len(first.result.rows) == 2


def test_agreement_can_beat_the_likeliest(shop) -> None:
    one = "SELECT count(*) FROM customer"
    others = ("SELECT 3", "SELECT count(*) FROM sale", "SELECT count(id) FROM sale")
    assert read(shop, one, *others, logprobs=[-1, -1.5, -1.5, -1.5])[0].votes == 3
    assert read(shop, one, *others, logprobs=[-1, -4, -4, -4])[0].votes == 1
    assert read(shop, one, *others, logprobs=[-1, -4, -4, -4], sampled=True)[0].votes == 3


@pytest.mark.parametrize(
    ("sql", "warning"),
    [
        ("SELECT nme FROM customer", "error"),
        ("SELECT name FROM customer WHERE id > 5", "empty"),
        ("SELECT max(price) FROM sale WHERE id > 5", "all-null"),
        ("SELECT customer.name FROM customer, sale", "cross-product"),
        ("SELECT customer.name FROM customer JOIN sale WHERE sale.price > 1", "cross-product"),
        (
            "SELECT customer.name FROM customer JOIN sale ON sale.customer_id = customer.id",
            "unused-join",
        ),
    ],
)
def test_warnings(shop, sql: str, warning: str) -> None:
    (reading,) = read(shop, sql)
    assert reading.warnings == (warning,)
    best, _ = read(shop, sql, "SELECT name, city FROM customer", logprobs=[-1.0, -1.1])
    assert best.warnings == ()


def test_queries_without_a_fault_have_no_warning(shop) -> None:
    for sql in (
        "SELECT name FROM customer, sale WHERE customer.id = sale.customer_id",
        "SELECT c.name, sum(s.price) FROM customer c JOIN sale s ON s.customer_id = c.id GROUP BY 1",
        "SELECT count(*) FROM customer JOIN sale ON sale.customer_id = customer.id",
        "SELECT customer.name FROM customer NATURAL JOIN sale WHERE sale.price > 1",
    ):
        (reading,) = read(shop, sql)
        assert reading.warnings == (), sql


JOINED = "customer JOIN sale ON sale.customer_id = customer.id"
GROUPS = ("New York City", 1), ("Paris", 2)


def test_a_joined_table_that_filters_or_is_asked_for_is_used(shop) -> None:
    for sql, question in (
        (f"SELECT name FROM customer EXCEPT SELECT customer.name FROM {JOINED}", "Who is idle?"),
        (f"SELECT name FROM customer INTERSECT SELECT customer.name FROM {JOINED}", "Who?"),
        (f"SELECT name FROM customer WHERE id IN (SELECT customer.id FROM {JOINED})", "Who?"),
        (f"SELECT DISTINCT customer.name FROM {JOINED}", "Which customers have sales?"),
    ):
        (reading,) = read(shop, sql, question=question)
        assert "unused-join" not in reading.warnings, sql
    left = f"SELECT customer.name FROM {JOINED} EXCEPT SELECT name FROM customer WHERE id = 1"
    (reading,) = read(shop, left, question="Who?")
    assert reading.warnings == ("unused-join",)


@pytest.mark.parametrize(
    ("sql", "repeats"),
    [
        (f"SELECT avg(customer.id) FROM {JOINED} WHERE sale.price > 0", True),  # Ada twice
        ("SELECT sum(c.id + 1) FROM customer c JOIN sale s ON s.customer_id = c.id", True),
        (f"SELECT city, sum(customer.id) FROM {JOINED} GROUP BY city", True),
        (f"SELECT name FROM {JOINED} GROUP BY name HAVING avg(customer.id) > 0", True),
        ("SELECT city FROM customer WHERE 2 > (SELECT avg(customer.id) FROM customer, sale)", True),
        (f"SELECT avg(customer.id) FROM {JOINED} WHERE sale.price > 10", False),  # each once
        (f"SELECT avg(DISTINCT customer.id) FROM {JOINED}", False),
        (f"SELECT avg(customer.id) FROM {JOINED} GROUP BY sale.id", False),
        (f"SELECT max(customer.id), count(customer.id) FROM {JOINED}", False),
        (f"SELECT sum(price) FROM {JOINED}", False),
        (f"SELECT sum(customer.id * sale.price) FROM {JOINED}", False),  # of each pair
        (f"SELECT avg(customer.id) FROM {JOINED} GROUP BY 1", False),  # fails anyway
        ("SELECT avg(c.n) FROM (SELECT id AS n FROM customer) AS c JOIN sale", False),  # not known
        ("SELECT avg(customer.id) FROM customer", False),
    ],
)
def test_rows_that_a_join_repeats_are_added_up_too_often(shop, sql: str, repeats: bool) -> None:
    (reading,) = read(shop, sql, question="customers and sales")
    assert ("fan-out" in reading.warnings) == repeats
    assert ("more than once" in warnings_text(reading)) == repeats


@pytest.mark.parametrize(
    ("sql", "once"),
    [
        (f"SELECT avg(customer.id) FROM {JOINED} WHERE sale.price > 0", ((1.5,),)),
        ("SELECT sum(c.id + 1) FROM customer c JOIN sale s ON s.customer_id = c.id", ((5,),)),
        (f"SELECT avg(id), max(customer.id) FROM {JOINED.replace('sale.id', 'id')}", None),
        (f"SELECT city, sum(customer.id) AS s FROM {JOINED} GROUP BY city ORDER BY s", GROUPS),
        (f"SELECT city, sum(customer.id) FROM {JOINED} GROUP BY city HAVING max(price) > 0", None),
        (f"SELECT price AS city, sum(customer.id) FROM {JOINED} GROUP BY city", None),
        (f"SELECT avg(customer.id), count(*) FROM {JOINED}", None),
        (f"SELECT name FROM {JOINED} WHERE 0 < (SELECT avg(customer.id) FROM {JOINED})", None),
        (f"SELECT avg(customer.id), sum(sale.price) FROM {JOINED}", None),
        (f"SELECT name FROM {JOINED} GROUP BY name HAVING avg(customer.id) > 0", None),
    ],
)
def test_a_reading_that_takes_repeated_rows_once(shop, sql: str, once) -> None:
    readings = read(shop, sql, "SELECT 42", question="customers and sales")
    found = rank.with_rows_once(readings, shop, Question("customers and sales"))
    if once is None:
        assert found == readings
        return
    best, other, last = found
    assert (best, last) == readings
    assert other.result.rows == once and other.votes == 0 and "fan-out" not in other.warnings
    assert other.candidate.rewrites == (
        "Each row of customer counts once, whatever it is joined with.",
    )
    again = rank.with_rows_once(found, shop, Question("customers and sales"))
    assert again == found  # another reading has these rows


def test_an_answer_offers_to_take_repeated_rows_once(shop) -> None:
    sql = f"SELECT avg(customer.id) FROM {JOINED}"
    backend = ScriptedBackend(replies=[sql])
    answer = ask(
        Question("The mean id of customers with sales?"), shop, backend, AskOptions(compare=True)
    )
    assert [r.candidate.sql.count("IN (SELECT") for r in answer.readings] == [0, 1]
    assert answer.candidate.sql == sql and "more than once" in summary(answer)


def test_repeated_rows_of_odd_tables(opened) -> None:
    with opened(
        'CREATE TABLE "no key" ("a ""b" INT); CREATE TABLE x (y INT);'
        "CREATE TABLE pair (k INT, l INT, v INT, PRIMARY KEY (k, l)) WITHOUT ROWID;"
        "CREATE VIEW seen AS SELECT * FROM pair;"
        'INSERT INTO "no key" VALUES (1); INSERT INTO x VALUES (1), (1);'
        "INSERT INTO pair VALUES (1, 1, 5), (1, 2, 5);"
    ) as database:
        for sql, repeats in {
            'SELECT sum("no key"."a ""b") FROM "no key" JOIN x ON x.y = "no key"."a ""b"': True,
            'SELECT sum("a ""b") FROM "no key" LEFT JOIN x ON x.y = 2': False,
            "SELECT sum(x.y) FROM pair LEFT JOIN x ON x.y = 2": False,  # no row of x at all
            "SELECT sum(pair.v) FROM pair JOIN x ON x.y = pair.k": True,
            "SELECT sum(x.y) FROM x JOIN pair ON x.y = pair.k AND pair.l = 1": False,
            "SELECT sum(seen.v) FROM seen JOIN x ON x.y = seen.k": False,  # not known
        }.items():
            (reading,) = read(database, sql)
            assert ("fan-out" in reading.warnings) == repeats, sql


def test_joins_that_no_key_says(opened) -> None:
    with opened(
        "CREATE TABLE head (head_id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE department (department_id INTEGER PRIMARY KEY, title TEXT);"
        "CREATE TABLE management (head INT REFERENCES head, dep INT REFERENCES department);"
        "CREATE TABLE bonus (boss INT REFERENCES head, amount REAL);"
        "CREATE TABLE loose (number INT, note TEXT);"
        "INSERT INTO head VALUES (1, 'Ada'); INSERT INTO department VALUES (1, 'Tax');"
        "INSERT INTO management VALUES (1, 1); INSERT INTO bonus VALUES (1, 5.0);"
        "INSERT INTO loose VALUES (1, 'x');"
    ) as database:
        for sql, warnings in {
            "SELECT name, title FROM head JOIN department ON head_id = department_id": (),  # whose?
            "SELECT h.name, d.title FROM head h JOIN department d ON h.head_id = d.department_id": (
                "unlinked-join",
            ),
            "SELECT head.name, management.dep FROM management JOIN head ON head.head_id = "
            "management.head": (),
            "SELECT bonus.amount, management.dep FROM bonus JOIN management ON "
            "bonus.boss = management.head": (),  # both point at the same
            "SELECT head.name, loose.note FROM head JOIN loose ON head.head_id = loose.number": (),
        }.items():
            (reading,) = read(database, sql)
            assert reading.warnings == warnings, sql


def test_an_endless_candidate_does_not_make_the_others_wait(shop, monkeypatch) -> None:
    monkeypatch.setattr(rank, "LIMITS", rank.Limits(rows=10, seconds=0.2))
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    started = time.monotonic()
    best, late = read(shop, endless, "SELECT name FROM customer")
    assert time.monotonic() - started < 5
    assert best.candidate.sql == "SELECT name FROM customer" and late.warnings == ("timeout",)
    monkeypatch.setattr(rank, "SECONDS", 0.0)
    assert [r.warnings for r in read(shop, "SELECT 1", "SELECT 2")] == [("timeout",)] * 2


def test_what_the_question_names_should_be_used(shop) -> None:
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
def test_the_direction_that_the_question_says(question, wrong, right, shop) -> None:
    base = "SELECT name, city FROM customer GROUP BY name "
    (unmet,) = read(shop, base + wrong, question=question)
    (met,) = read(shop, base + right, question=question)
    assert len(unmet.unmet_phrases) == 1 and met.unmet_phrases == ()


def test_names_should_be_shown_where_the_file_has_some(shop, tmp_path) -> None:
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


def test_a_stored_value_of_the_question_should_be_used(shop) -> None:
    question = "How many customers are from Paris?"
    every = "SELECT count(*) FROM customer"
    some = f"{every} WHERE city = 'Paris'"
    values = find_values(shop, question)
    best, other = read(shop, every, some, logprobs=[-1, -1.5], question=question, values=values)
    assert best.candidate.sql == some and best.unused_words == ()
    assert other.unused_words == ("paris",) and 0 < other.unused_share < 1
    like = "SELECT count(*) FROM customer WHERE city LIKE '%paris%'"
    assert read(shop, like, question=question, values=values)[0].unused_words == ()


def test_ask_compares(shop) -> None:
    backend = ScriptedBackend(
        replies=[("SELECT nme FROM customer", "SELECT name FROM customer", "SELECT 1")]
    )
    settings = GenerationSettings(candidates=3, search=True)
    answer = ask(Question("names?"), shop, backend, AskOptions(settings, compare=True))
    assert answer.query is not None and answer.query.sql == "SELECT name FROM customer"
    assert [r.warnings for r in answer.readings] == [(), (), ("error",)]
    assert answer.readings[0].candidate is answer.candidate


def test_a_text_that_is_not_stored_is_replaced_by_the_nearest(shop) -> None:
    backend = ScriptedBackend(replies=["SELECT name FROM customer WHERE city = 'new york city'"])
    answer = ask(Question("who lives there?"), shop, backend, AskOptions(compare=True))
    assert answer.query is not None and "'New York City'" in answer.query.sql
    assert answer.readings[0].result.rows == (("Ada",),)
    # The SQL as it was written is still there to be chosen.
    assert [r.warnings for r in answer.readings] == [(), ("empty",)]
    assert [r.votes for r in answer.readings] == [1, 0]
    assert "No row holds 'new york city': this looks for 'New York City'." in summary(answer)


def test_an_empty_answer_that_is_right_stays(shop) -> None:
    backend = ScriptedBackend(replies=["SELECT name FROM customer WHERE city = 'Oslo'"])
    answer = ask(Question("who lives in Oslo?"), shop, backend, AskOptions(compare=True))
    assert answer.query is not None and answer.readings[0].warnings == ("empty",)
