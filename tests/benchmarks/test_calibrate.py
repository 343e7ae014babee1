"""Fitting the confidence: on the right runs alone, and worth what it says."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from click.testing import CliRunner

from benchmarks.calibrate import L2, calibrated, fit, out_of_fold
from benchmarks.cli import main
from benchmarks.datasets import DataError
from benchmarks.run_folder import Run
from t2sql_tui.core.answers.confidence import probability


def answers(n=600, databases=6, seed=0):
    """Lines whose truth is known: P(right) = logistic(1 + 2 logprob), and a useless feature."""
    random, lines = Random(seed), []
    for number in range(n):
        logprob, noise = random.gauss(0, 1), random.gauss(0, 1)
        right = random.random() < 1 / (1 + math.exp(-1 - 2 * logprob))
        lines.append(
            {
                "id": f"q{number}",
                "database": f"db{number % databases}",
                "accepted": True,
                "features": {"logprob": logprob, "noise": noise, "never": 0.0},
                "score": {"correct": right},
            }
        )
    return lines


def run_of(tmp_path, lines, name="r", **identity):
    identity = {
        "suite": "spider-train-holdout",
        "model": "m",
        "model_sha256": "abc",
        "prompt_version": "v1",
        **identity,
    }
    folder = tmp_path / name
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"identity": identity, "provenance": {}}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "predictions.jsonl").write_text(text)
    return Run(folder, name, {"identity": identity, "provenance": {}}, lines)


def test_the_fit_finds_what_the_answers_were_made_of():
    found = fit(answers(30_000))  # so many that the penalty hardly counts
    logprob, noise = found["features"]["logprob"], found["features"]["noise"]
    assert logprob["weight"] / logprob["scale"] == pytest.approx(2, abs=0.25)
    assert abs(noise["weight"]) < 0.15 and found["features"]["never"]["weight"] == 0
    assert probability({"logprob": 0.0}, found) == pytest.approx(1 / (1 + math.exp(-1)), abs=0.05)


def test_the_fit_is_the_maximum_of_the_penalised_likelihood():
    lines = answers(80)
    found = fit(lines)

    def loss(fitted):
        total = L2 * sum(f["weight"] ** 2 for f in fitted["features"].values()) / 2
        for line in lines:
            p = probability(line["features"], fitted)
            total -= math.log(p if line["score"]["correct"] else 1 - p)
        return total

    best = loss(found)
    for name in ("logprob", "noise"):
        for change in (-0.01, 0.01):
            moved = json.loads(json.dumps(found))
            moved["features"][name]["weight"] += change
            assert loss(moved) > best


def test_a_feature_that_some_answers_lack_counts_as_the_mean():
    lines = answers(200)
    for line in lines[::2]:
        del line["features"]["noise"]
    found = fit(lines)
    known = [line["features"]["noise"] for line in lines[1::2]]
    assert found["features"]["noise"]["mean"] == pytest.approx(sum(known) / len(known))


def test_a_fold_where_all_are_right_ends():
    lines = [{**line, "score": {"correct": True}} for line in answers(50)]
    assert probability({"logprob": 0.0}, fit(lines)) > 0.95


def test_the_error_is_of_databases_not_seen():
    found = out_of_fold(answers(3000))
    assert found["n"] == 3000 and found["auc"] > 0.8
    assert found["ece_equal_mass"] < 0.08 and found["brier"] < 0.2
    # On each database logprob means another thing: seen ones say nothing of the next.
    lines = answers(400, databases=2)
    for line in lines:
        line["score"]["correct"] = (line["features"]["logprob"] > 0) == (line["database"] == "db0")
    assert out_of_fold(lines)["auc"] < 0.2


def test_rejected_answers_are_wrong_for_certain_and_teach_nothing(tmp_path):
    lines = answers(300)
    rejected = [
        {**line, "id": f"x{line['id']}", "accepted": False, "score": {"correct": False}}
        for line in answers(100, seed=1)
    ]
    assert fit(lines)["intercept"] == calibrated([run_of(tmp_path, lines + rejected)])["intercept"]
    assert out_of_fold(lines + rejected)["n"] == 400


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"suite": "spider-dev"}, "run of spider-dev, on which nothing may be fitted"),
        ({"suite": "spider-test"}, "nothing may be fitted"),
        ({"suite": "demo"}, "nothing may be fitted"),
        ({"suite": "spider-train"}, "nothing may be fitted"),
        ({"schema": "gold"}, "saw less of the schema"),
        ({"model_sha256": "other"}, "another model_sha256 than the first"),
    ],
)
def test_runs_that_may_not_be_fitted_on(tmp_path, identity, message):
    runs = [run_of(tmp_path, answers(50)), run_of(tmp_path, answers(50), "s", **identity)]
    with pytest.raises(DataError, match=message):
        calibrated(runs)


def test_old_lines_and_too_few_are_refused(tmp_path):
    old = [{k: v for k, v in line.items() if k != "features"} for line in answers(10)]
    with pytest.raises(DataError, match="older version"):
        calibrated([run_of(tmp_path, old)])
    with pytest.raises(DataError, match="on 1 database"):
        calibrated([run_of(tmp_path, answers(10, databases=1), "s")])


def test_the_command_writes_what_the_app_reads(tmp_path):
    run = run_of(tmp_path, answers(), candidates=4, decoding="beam4", temperature=0.0, repairs=0)
    out = tmp_path / "confidence.json"
    result = CliRunner().invoke(main, ["calibrate", str(run.folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "600 answers of m on 6 databases" in result.stdout and "logprob" in result.stdout
    fitted = json.loads(out.read_text())
    assert 0 < probability(run.lines[0]["features"], fitted) < 1
    assert fitted["fitted_on"]["model_sha256"] == "abc" and fitted["provenance"]["command"]
    (origin,) = fitted["fitted_on"]["runs"]
    assert origin["suite"] == "spider-train-holdout"
    assert origin["decoding"] == "beam4" and len(origin["predictions_sha256"]) == 64
    # A model that is in no catalog has no folder of its own.
    result = CliRunner().invoke(main, ["calibrate", str(run.folder)])
    assert result.exit_code == 5 and "--out FILE" in result.stderr
