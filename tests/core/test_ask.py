"""ask(): the first SQL that passes the check wins, and a rejected one is repaired."""

from __future__ import annotations

import pytest

from t2sql_tui.backends.scripted import FOREVER, ScriptedBackend
from t2sql_tui.core import ask as ask_module
from t2sql_tui.core.ask import ask
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import (
    APP_OPTIONS,
    AskOptions,
    GenerationSettings,
    Question,
    Rejection,
    Turn,
)


def test_a_good_answer_is_checked_and_can_be_run(shop) -> None:
    backend = ScriptedBackend(replies=["```sql\nSELECT name FROM customer;\n```\nDone."])
    answer = ask(Question("names?"), shop, backend)
    assert answer.query is not None and answer.query.sql == "SELECT name FROM customer"
    assert shop.run(answer.query).rows == (("Ada",), ("Bo",))
    assert len(answer.generations) == 1


def test_a_rejected_answer_is_shown_to_the_model_with_the_reason(shop) -> None:
    backend = ScriptedBackend(replies=["SELECT nme FROM customer", "SELECT name FROM customer"])
    seen = []
    answer = ask(Question("names?"), shop, backend, on_attempt=lambda n, why: seen.append((n, why)))
    assert answer.query is not None
    assert [n for n, _ in seen] == [1]
    repair = backend.prompts[1]
    assert repair.prefix == backend.prompts[0].prefix
    assert "SELECT nme FROM customer" in repair.suffix and seen[0][1].message in repair.suffix


def test_after_two_repairs_the_last_rejection_is_the_answer(shop) -> None:
    backend = ScriptedBackend(replies=["DROP TABLE customer", "I cannot.", ""])
    answer = ask(Question("names?"), shop, backend)
    assert answer.query is None and isinstance(answer.candidate.verdict, Rejection)
    assert len(answer.generations) == 3


def test_the_first_candidate_that_passes_is_taken(shop) -> None:
    backend = ScriptedBackend(replies=[("SELECT x FROM customer", "SELECT city FROM customer")])
    answer = ask(Question("cities?"), shop, backend, AskOptions(GenerationSettings(candidates=2)))
    assert answer.query is not None and answer.query.sql == "SELECT city FROM customer"


def test_a_repeated_mistake_is_sampled_away(shop) -> None:
    settings = []

    class Recording(ScriptedBackend):
        def generate(self, prompt, given=GenerationSettings(), *rest):
            settings.append(given)
            return super().generate(prompt, given, *rest)

    ask(Question("names?"), shop, Recording(replies=["SELECT nme FROM customer"]))
    assert [s.temperature > 0 for s in settings] == [False, False, True]


def test_another_answer_is_one_sample_without_a_confidence() -> None:
    options = APP_OPTIONS.one_sample(seed=3)
    settings = options.settings
    assert (settings.seed, settings.candidates, settings.search) == (3, 1, False)
    assert settings.temperature == options.retry_temperature and settings.constrained
    assert APP_OPTIONS.states_confidence and not options.states_confidence


def test_values_and_history_reach_the_prompt(shop) -> None:
    backend = ScriptedBackend()
    question = Question("who lives in new york city?", history=(Turn("all?", "SELECT 7"),))
    answer = ask(question, shop, backend)
    assert "New York City" in backend.prompts[0].suffix
    assert "SELECT 7" in backend.prompts[0].suffix
    assert [v.value for v in answer.values] == ["New York City"]


def test_a_follow_up_is_never_surer_than_what_it_follows(shop, monkeypatch) -> None:
    fitted = {"intercept": 3.0, "features": {}}
    monkeypatch.setattr(ask_module, "load_confidence", lambda spec: fitted)

    def stated(*history: Turn) -> float | None:
        question = Question("names?", history=history)
        replies = ["SELECT name FROM customer"]
        return ask(question, shop, ScriptedBackend(replies=replies), APP_OPTIONS).confidence

    assert stated() == pytest.approx(0.9526, abs=1e-3)
    assert stated(Turn("all?", "SELECT 7", 0.4)) == 0.4
    assert stated(Turn("all?", "SELECT 7", 0.99)) == stated(Turn("all?", "SELECT 7")) == stated()


def test_stopping_ends_in_no_verdict(shop) -> None:
    calls = iter(range(100))
    answer = ask(
        Question("names?"),
        shop,
        ScriptedBackend(replies=[FOREVER]),
        should_stop=lambda: next(calls) > 5,
    )
    assert answer.query is None and answer.candidate.verdict is None
    assert answer.generations[-1].finish == "cancelled"


def test_a_broken_model_is_an_error_of_its_own(shop) -> None:
    with pytest.raises(ModelError):
        ask(Question("names?"), shop, ScriptedBackend(replies=[ModelError("broke", "restart")]))
