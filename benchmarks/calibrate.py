"""The fit of the confidence that the app states.

It is a logistic regression for the probability that an answer's rows are right, fitted on runs
over held-out training databases, on which the model was not trained; the suites that are for
measuring are left untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.datasets import DataError
from benchmarks.decodings import described
from benchmarks.metrics.calibration import BINS, calibration
from benchmarks.provenance import provenance
from benchmarks.records import Line, rows_are_right
from benchmarks.run_folder import Run, predictions_sha256, write_json
from benchmarks.suites import suite_role, suites_for
from t2sql_tui.core.answers.confidence import confidence_file, probability
from t2sql_tui.core.models.catalog import load_catalog

#: Half the weight of the squared norm of the (standardised) weights, in nats. Twenty features
#: are many for 1,668 answers of which 303 are wrong: on databases left out, 100 gives the least
#: calibration error and Brier score of 3 to 200.
L2 = 100.0

# What is equal in all runs of one fit, of their identity.
_OF_THE_MODEL = ("model", "model_sha256", "prompt_version")


def calibrated(runs: Sequence[Run]) -> dict[str, Any]:
    """The fit, how well it holds on databases that it was not fitted on, and what it was fitted
    on; plain JSON, as confidence.json keeps it for core/answers/confidence.py.

    Raises: DataError where the runs are of several models, of a suite that is for measuring,
    without features, or on a single database.
    """
    first = runs[0].identity
    for run in runs:
        _refuse_unfit(run, first)
    lines = [line for run in runs for line in run.lines]
    databases = sorted({line["database"] for line in lines})
    accepted = [line for line in lines if line["accepted"]]
    right = [rows_are_right(line["score"]) for line in accepted]
    if len(databases) < 2 or len(set(right)) < 2:
        raise DataError(
            f"There are answers on {len(databases)} database(s), {sum(right)} of "
            f"{len(lines)} right: too few to learn from.",
            "Run the whole suite.",
        )
    return {
        **fit(accepted),
        "out_of_fold": out_of_fold(lines),
        "out_of_fold_accepted": out_of_fold(accepted),
        "out_of_fold_logprob_alone": out_of_fold(lines, ("logprob",)),
        "fitted_on": {
            **{key: first.get(key) for key in _OF_THE_MODEL},
            "answers": len(lines),
            "databases": len(databases),
            "right": sum(right),
            "runs": [_origin(run) for run in runs],
        },
    }


def write_confidence(fitted: Mapping[str, Any], out: Path | None) -> Path:
    """Writes the fit to `out`, by default to the folder of its model. Returns the file.

    Raises: DataError for a model without a folder.
    """
    name = fitted["fitted_on"]["model"]
    if out is None and name not in load_catalog():
        raise DataError(f"There is no folder models/{name}.", "Say where to write it: --out FILE.")
    out = out or confidence_file(name)
    write_json(out, {**fitted, "provenance": provenance()})
    return out


def _origin(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "suite": run.identity["suite"],
        "data_sha256": run.identity.get("data_sha256"),
        "decoding": described(run.identity),
        "predictions_sha256": predictions_sha256(run.folder),
    }


def _refuse_unfit(run: Run, first: Mapping[str, Any]) -> None:
    """Raises DataError for a run that may not be fitted on, or not together with the `first`."""
    # A folder of a person's own has no role and may be fitted on. spider-syn-holdout asks in
    # synonyms, as people do who do not know the schema's names: a fit on both does not expect
    # that an answer is right because Spider's own questions repeat those names.
    role = suite_role(run.identity["suite"])
    if role not in (None, "choose"):
        raise DataError(
            f"{run.name} is a run of {run.identity['suite']}, on which nothing may be fitted "
            f"(its role is '{role}').",
            f"Run {' or '.join(suites_for('choose'))} instead.",
        )
    if "schema" in run.identity:
        raise DataError(
            f"In {run.name} the model saw less of the schema than in the app.",
            "Run the suite without --schema.",
        )
    for key in _OF_THE_MODEL:
        if run.identity.get(key) != first.get(key):
            raise DataError(
                f"{run.name} has another {key} than the first run.",
                "Fit one model's runs at a time.",
            )
    if any("features" not in line for line in run.lines):
        raise DataError(
            f"{run.name} was made by an older version, without the answers' features.",
            "Run it again: benchmarks run ... --restart",
        )


# --- the fit ------------------------------------------------------------------------


def fit(lines: Sequence[Line], names: Sequence[str] = ()) -> dict[str, Any]:
    """Intercept and weights, by Newton's method on the penalised log-likelihood. `lines` are of
    answers that passed the check; `names` are the features to use, by default all."""
    import numpy as np  # 0.1 s, and only the fit needs it

    names = names or sorted({name for line in lines for name in line["features"]})
    table = np.array([[line["features"].get(name, np.nan) for name in names] for line in lines])
    mean = np.array([known.mean() if (known := c[~np.isnan(c)]).size else 0.0 for c in table.T])
    table = np.where(np.isnan(table), mean, table)  # as core/answers/confidence.py does
    scale = table.std(axis=0)
    scale[scale < 1e-9] = 1.0  # a feature that never changes gets the weight 0
    x = np.column_stack([np.ones(len(lines)), (table - mean) / scale])
    y = np.array([rows_are_right(line["score"]) for line in lines], dtype=float)
    penalty = np.full(x.shape[1], L2)
    penalty[0] = 1e-3  # the intercept is free, but finite where all answers are right
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        p = (1 + np.tanh(x @ weights / 2)) / 2
        gradient = x.T @ (y - p) - penalty * weights
        curvature = (x.T * (p * (1 - p))) @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return {
        "intercept": float(weights[0]),
        "features": {
            name: {"weight": float(w), "mean": float(m), "scale": float(s)}
            for name, w, m, s in zip(names, weights[1:], mean, scale, strict=True)
        },
    }


def out_of_fold(lines: Sequence[Line], names: Sequence[str] = ()) -> dict[str, Any]:
    """Calibration error, Brier score and AUC of the confidence on databases that the fit has not
    seen, leaving out each in turn."""
    stated: list[float] = []
    right: list[bool] = []
    for database in sorted({line["database"] for line in lines}):
        seen = [line for line in lines if line["accepted"] and line["database"] != database]
        fitted = fit(seen, names)
        for line in lines:
            if line["database"] == database:
                known = probability(line["features"], fitted) if line["accepted"] else 0.0
                stated.append(known)
                right.append(rows_are_right(line["score"]))
    found = calibration(stated, right)
    return {key: found[key] for key in ("n", "ece_equal_mass", "ece_equal_width", "brier", "auc")}


def calibration_text(fitted: Mapping[str, Any]) -> str:
    """The fit as text: how well it holds, and its weights."""
    on = fitted["fitted_on"]
    rows = [
        (
            title,
            *(f"{found[key]:.3f}" for key in ("ece_equal_mass", "ece_equal_width", "brier")),
            "" if found["auc"] is None else f"{found['auc']:.3f}",
        )
        for title, found in (
            ("all answers", fitted["out_of_fold"]),
            ("those that pass the check", fitted["out_of_fold_accepted"]),
            ("all, log-probability alone", fitted["out_of_fold_logprob_alone"]),
        )
    ]
    headers = (
        "",
        f"calibration error, {BINS} bins of equal mass",
        "of equal width",
        "Brier",
        "AUC",
    )
    weights = sorted(fitted["features"].items(), key=lambda item: -abs(item[1]["weight"]))
    return "\n\n".join(
        (
            f"{on['answers']:,} answers of {on['model']} on {on['databases']} databases, "
            f"{on['right']:,} right. Measured on databases left out of the fit:",
            tabulate(
                rows, headers, tablefmt="simple", disable_numparse=True, maxheadercolwidths=24
            ),
            tabulate(
                [
                    (name, f"{f['weight']:+.2f}", f"{f['mean']:.2f}", f"{f['scale']:.2f}")
                    for name, f in weights
                ],
                ("feature", "weight (standardised)", "mean", "deviation"),
                tablefmt="simple",
                disable_numparse=True,
            ),
        )
    )
