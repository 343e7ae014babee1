"""What in the rows of a SQL, or in its joins, suggests that it is wrong."""

from __future__ import annotations

import pytest

from t2sql_tui.core.answers.describe import warnings_text

JOINED = "customer JOIN sale ON sale.customer_id = customer.id"


@pytest.mark.parametrize(
    ("sql", "warnings"),
    [
        ("SELECT nme FROM customer", "error"),
        ("SELECT name FROM customer WHERE id > 5", "empty unmet-condition"),
        ("SELECT max(price) FROM sale WHERE id > 5", "all-null unmet-condition"),
        ("SELECT customer.name FROM customer, sale", "cross-product"),
        ("SELECT customer.name FROM customer JOIN sale WHERE sale.price > 1", "cross-product"),
        (
            "SELECT customer.name FROM customer JOIN sale ON sale.customer_id = customer.id",
            "unused-join",
        ),
    ],
)
def test_warnings(read, shop, sql: str, warnings: str) -> None:
    (reading,) = read(shop, sql)
    assert reading.warnings == tuple(warnings.split())
    assert len(reading.warning_sentences) == len(reading.warnings)
    best, _ = read(shop, sql, "SELECT name, city FROM customer", logprobs=[-1.0, -1.1])
    assert best.warnings == ()


def test_queries_without_a_fault_have_no_warning(read, shop) -> None:
    for sql in (
        "SELECT name FROM customer, sale WHERE customer.id = sale.customer_id",
        "SELECT c.name, sum(s.price) FROM customer c JOIN sale s ON s.customer_id = c.id "
        "GROUP BY 1",
        "SELECT count(*) FROM customer JOIN sale ON sale.customer_id = customer.id",
        "SELECT customer.name FROM customer NATURAL JOIN sale WHERE sale.price > 1",
    ):
        (reading,) = read(shop, sql)
        assert reading.warnings == (), sql


def test_a_joined_table_that_filters_or_is_asked_for_is_used(read, shop) -> None:
    for sql, question in (
        (f"SELECT name FROM customer EXCEPT SELECT customer.name FROM {JOINED}", "Who is idle?"),
        (f"SELECT name FROM customer INTERSECT SELECT customer.name FROM {JOINED}", "Who?"),
        (f"SELECT name FROM customer WHERE id IN (SELECT customer.id FROM {JOINED})", "Who?"),
        (f"SELECT DISTINCT customer.name FROM {JOINED}", "Which customers have sales?"),
    ):
        (reading,) = read(shop, sql, question=question)
        assert "unused-join" not in reading.warnings, sql
    left = f"SELECT customer.name FROM {JOINED} EXCEPT SELECT name FROM customer WHERE name = 'Bo'"
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
def test_rows_that_a_join_repeats_are_added_up_too_often(
    read, shop, sql: str, repeats: bool
) -> None:
    (reading,) = read(shop, sql, question="customers and sales")
    assert ("fan-out" in reading.warnings) == repeats
    assert ("more than once" in warnings_text(reading)) == repeats


def test_repeated_rows_of_odd_tables(read, opened) -> None:
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


def test_joins_that_no_key_says(read, opened) -> None:
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
