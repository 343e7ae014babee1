"""P(right) of an answer: what it is made of, and when a model's fit is used."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from t2sql_tui.core.answers.confidence import confidence, features, load_confidence, probability
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models import catalog
from t2sql_tui.core.models.catalog import DEFAULT_MODEL, find_model
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Answer, Candidate, Generation, Prompt, Question, Reading

FITTED = {
    "intercept": 1.0,
    "features": {
        "logprob": {"weight": 2.0, "mean": -1.0, "scale": 0.5},
        "warning empty": {"weight": -3.0, "mean": 0.0, "scale": 1.0},
    },
}


@pytest.fixture
def shop(opened):
    with opened("CREATE TABLE a (id INTEGER); CREATE TABLE b (id INTEGER);") as database:
        yield database


def answer_of(database, *sqls, readings=(), generations=1, **candidate) -> Answer:
    candidates = tuple(
        Candidate(sql, sql, verdict=check(sql, database), **candidate) for sql in sqls
    )
    generation = Generation(Prompt("v1", "chatml", "", ""), candidates, "m")
    return Answer(
        Question("?"), candidates[0], (generation,) * generations, readings=tuple(readings)
    )


def test_features_of_a_single_answer(shop):
    sql = "SELECT count(*) FROM a JOIN b ON a.id = b.id WHERE a.id IN (SELECT id FROM b)"
    found = features(answer_of(shop, sql, logprob=-2.0, tokens=8))
    assert found == {
        "joins": 1.0,
        "selects": 2.0,
        "tables": 2.0,
        "repaired": 0.0,
        "accepted": 1.0,
        "logprob": -2.0,
        "logprob_per_token": -0.25,
        "rewritten": 0.0,
    }


def test_features_of_readings(shop):
    first, second = Candidate("x"), Candidate("y")
    readings = (Reading(first, 3, 0.7, ("empty", "unused-join")), Reading(second, 1, 0.2))
    answer = answer_of(
        shop, "SELECT id FROM a", "SELECT x FROM a", readings=readings, generations=2
    )
    found = features(answer)
    assert found["share"] == 0.7 and found["margin"] == pytest.approx(0.5)
    assert found["votes"] == 0.75 and found["readings"] == 2 and found["repaired"] == 1
    assert found["accepted"] == 0.5
    warnings = {name for name, value in found.items() if name.startswith("warning ") and value}
    assert warnings == {"warning empty", "warning unused-join"}
    assert "logprob" not in found  # nothing measured it
    alone = features(replace(answer, readings=readings[:1]))
    assert alone["margin"] == alone["votes"] == 1.0


def test_an_unknown_feature_counts_as_the_mean(shop):
    assert probability({}, FITTED) == pytest.approx(1 / (1 + math.exp(-1)))
    assert probability({"logprob": -1.0, "stranger": 9.0}, FITTED) == probability({}, FITTED)
    assert probability({"logprob": -2.0}, FITTED) == pytest.approx(1 / (1 + math.exp(3)))
    assert probability({"logprob": -1e9}, FITTED) == 0.0  # and no overflow


def test_what_cannot_run_cannot_be_right(shop):
    assert confidence(answer_of(shop, "SELECT id FROM a", logprob=0.0, tokens=5), FITTED) > 0.5
    assert confidence(answer_of(shop, "SELECT x FROM a", logprob=0.0, tokens=5), FITTED) == 0.0


def test_a_fit_is_of_the_catalogs_model_and_of_no_other(tmp_path, monkeypatch):
    spec = find_model(DEFAULT_MODEL)
    monkeypatch.setattr("t2sql_tui.core.answers.confidence.models_source", lambda: tmp_path)
    assert load_confidence(spec) is None
    file = tmp_path / spec.name / "confidence.json"
    file.parent.mkdir()
    file.write_text(json.dumps(FITTED))
    assert load_confidence(spec) == load_confidence(replace(spec, path=tmp_path)) == FITTED
    assert load_confidence(replace(spec, prompt_version="v1")) is None
    assert load_confidence(replace(spec, sha256="")) is None  # a file of the same name
    assert load_confidence(replace(spec, name="stranger")) is None
    file.write_text('{"features": {}}')
    with pytest.raises(ModelError, match=r"confidence\.json is damaged"):
        load_confidence(spec)


def test_what_is_shipped_was_fitted_on_what_is_shipped():
    for name, spec in catalog.load_catalog().items():
        fitted = load_confidence(spec)
        if fitted:
            assert fitted["fitted_on"]["model"] == name
            assert fitted["fitted_on"]["prompt_version"] == spec.prompt_version
            assert spec.adapter or fitted["fitted_on"]["model_sha256"] == spec.sha256
