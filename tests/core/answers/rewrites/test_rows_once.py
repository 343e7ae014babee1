"""SQL that adds up repeated rows is offered with each row taken once."""

from __future__ import annotations

import pytest

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.describe import summary
from t2sql_tui.core.answers.rewrites.apply import rewrite_readings
from t2sql_tui.core.ask import ask
from t2sql_tui.core.types import AskOptions, Question

JOINED = "customer JOIN sale ON sale.customer_id = customer.id"
GROUPS = ("New York City", 1), ("Paris", 2)


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
def test_a_reading_that_takes_repeated_rows_once(read, shop, sql: str, once) -> None:
    readings = read(shop, sql, "SELECT 42", question="customers and sales")
    context = AnswerContext(shop, Question("customers and sales"))
    found = rewrite_readings(readings, context)
    if once is None:
        assert found == readings
        return
    best, other, last = found
    assert (best, last) == readings
    assert other.result.rows == once and other.votes == 0 and "fan-out" not in other.warnings
    assert other.candidate.rewrites == (
        "Each row of customer counts once, whatever it is joined with.",
    )
    again = rewrite_readings(found, context)
    assert again == found  # another reading has these rows


def test_an_answer_offers_to_take_repeated_rows_once(shop) -> None:
    sql = f"SELECT avg(customer.id) FROM {JOINED}"
    backend = ScriptedBackend(replies=[sql])
    answer = ask(
        Question("The mean id of customers with sales?"), shop, backend, AskOptions(compare=True)
    )
    assert [r.candidate.sql.count("IN (SELECT") for r in answer.readings] == [0, 1]
    assert answer.candidate.sql == sql and "more than once" in summary(answer)
