"""The real default model answers the demo's questions, through the app's own path."""

from __future__ import annotations

from pathlib import Path

import pytest

from t2sql_tui import demo
from t2sql_tui.backends import load_backend
from t2sql_tui.core.ask import ask
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import GenerationSettings, Question

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    spec = find_model()
    if spec.path is None:
        pytest.skip("the default model is not here; run: t2sql-tui models pull")
    backend = load_backend(spec, cache_folder=tmp_path_factory.mktemp("kv"))
    yield backend
    backend.close()


def test_the_default_model_answers_the_demo_questions(backend, tmp_path: Path) -> None:
    """Five of the fifty, one a database: what `benchmarks run demo` measures in full. Every
    first question is a plain count or listing, which the smallest model must get right."""
    right = 0
    for each in demo.DEMOS:
        question = demo.questions(each.name)[0]
        with open_database(demo.build(each.name, tmp_path)) as database:
            answer = ask(
                Question(question.question), database, backend, GenerationSettings(max_tokens=120)
            )
            assert answer.generations[0].prompt.left_out == ()
            if answer.query is not None:
                gold = database.run(check(question.gold, database)).rows
                right += sorted(database.run(answer.query).rows) == sorted(gold)
    assert right >= 3
