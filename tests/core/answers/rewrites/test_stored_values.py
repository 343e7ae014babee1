"""A text that is not stored is replaced by the nearest stored value."""

from __future__ import annotations

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.answers.describe import summary
from t2sql_tui.core.ask import ask
from t2sql_tui.core.types import AskOptions, Question


def test_a_text_that_is_not_stored_is_replaced_by_the_nearest(shop) -> None:
    backend = ScriptedBackend(replies=["SELECT name FROM customer WHERE city = 'new york city'"])
    answer = ask(Question("who lives there?"), shop, backend, AskOptions(compare=True))
    assert answer.query is not None and "'New York City'" in answer.query.sql
    assert answer.readings[0].result.rows == (("Ada",),)
    # The SQL as it was written is still there to be chosen.
    assert [r.warnings for r in answer.readings] == [(), ("empty", "unmet-condition")]
    assert [r.votes for r in answer.readings] == [1, 0]
    assert "No row holds 'new york city': this looks for 'New York City'." in summary(answer)


def test_an_empty_answer_that_is_right_stays(shop) -> None:
    backend = ScriptedBackend(replies=["SELECT name FROM customer WHERE city = 'Oslo'"])
    answer = ask(Question("who lives in Oslo?"), shop, backend, AskOptions(compare=True))
    assert answer.query is not None and answer.readings[0].warnings == ("empty", "unmet-condition")
