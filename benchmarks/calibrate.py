"""Fits the confidence that the app states: a logistic regression for P(the rows are right).

On runs over held-out training databases: there the model was not trained, and the suites
that are for measuring are left untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.datasets import DataError
from benchmarks.decodings import described
from benchmarks.metrics.calibration import BINS, calibration
from benchmarks.runner import predictions_sha256
from benchmarks.suites import suite_role, suites_for
from t2sql_tui.core.answers.confidence import probability

Line = Mapping[str, Any]

#: Half the weight of the squared norm of the (standardised) weights, in nats. Twenty features
#: are many for 1,668 answers of which 303 are wrong: on databases left out, 100 gives the least
#: calibration error and Brier score of 3 to 200.
L2 = 100.0


def calibrated(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `core.confidence` needs, how well it holds on databases that it was not fitted on,
    and what it was fitted on; plain JSON, as confidence.json keeps it.

    Raises: DataError where the runs are of several models, of a suite that is for measuring,
    without features, or on a single database.
    """
    first = runs[0]["info"]["identity"]
    for run in runs:
        _refuse(run, first)
    lines = [line for run in runs for line in run["lines"]]
    databases = sorted({line["database"] for line in lines})
    accepted = [line for line in lines if line["accepted"]]
    right = [bool(line["score"]["correct"]) for line in accepted]
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
            **{key: first.get(key) for key in ("model", "model_sha256", "prompt_version")},
            "answers": len(lines),
            "databases": len(databases),
            "right": sum(right),
            "runs": [
                {
                    "name": run["name"],
                    "suite": run["info"]["identity"]["suite"],
                    "data_sha256": run["info"]["identity"].get("data_sha256"),
                    "decoding": described(run["info"]["identity"]),
                    "predictions_sha256": predictions_sha256(run["folder"]),
                }
                for run in runs
            ],
        },
    }


def _refuse(run: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    identity = run["info"]["identity"]
    # A folder of a person's own has no role and may be fitted on. spider-syn-holdout asks in
    # synonyms, as people do who do not know the schema's names: a fit on both does not expect
    # that an answer is right because Spider's own questions repeat those names.
    role = suite_role(identity["suite"])
    if role not in (None, "choose"):
        raise DataError(
            f"{run['name']} is a run of {identity['suite']}, on which nothing may be fitted "
            f"(its role is '{role}').",
            f"Run {' or '.join(suites_for('choose'))} instead.",
        )
    if "schema" in identity:
        raise DataError(
            f"In {run['name']} the model saw less of the schema than in the app.",
            "Run the suite without --schema.",
        )
    for key in ("model", "model_sha256", "prompt_version"):
        if identity.get(key) != first.get(key):
            raise DataError(
                f"{run['name']} has another {key} than the first run.",
                "Fit one model's runs at a time.",
            )
    if any("features" not in line for line in run["lines"]):
        raise DataError(
            f"{run['name']} was made by an older version, without the answers' features.",
            "Run it again: benchmarks run ... --restart",
        )


# --- the fit ------------------------------------------------------------------------


def fit(lines: Sequence[Line], names: Sequence[str] = ()) -> dict[str, Any]:
    """Newton's method on the penalised log-likelihood. `lines` are of answers that passed the
    check; `names` are the features to use, by default all."""
    import numpy as np

    names = names or sorted({name for line in lines for name in line["features"]})
    table = np.array([[line["features"].get(name, np.nan) for name in names] for line in lines])
    mean = np.array([known.mean() if (known := c[~np.isnan(c)]).size else 0.0 for c in table.T])
    table = np.where(np.isnan(table), mean, table)  # as core.confidence takes them
    scale = table.std(axis=0)
    scale[scale < 1e-9] = 1.0  # a feature that never changes gets the weight 0
    x = np.column_stack([np.ones(len(lines)), (table - mean) / scale])
    y = np.array([bool(line["score"]["correct"]) for line in lines], dtype=float)
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
    """How well a fit holds on a database that it has not seen, each in turn."""
    stated: list[float] = []
    right: list[bool] = []
    for database in sorted({line["database"] for line in lines}):
        seen = [line for line in lines if line["accepted"] and line["database"] != database]
        fitted = fit(seen, names)
        for line in lines:
            if line["database"] == database:
                known = probability(line["features"], fitted) if line["accepted"] else 0.0
                stated.append(known)
                right.append(bool(line["score"]["correct"]))
    found = calibration(stated, right)
    return {key: found[key] for key in ("n", "ece_equal_mass", "ece_equal_width", "brier", "auc")}


def calibration_text(fitted: Mapping[str, Any]) -> str:
    """What a person wants to see of a fit."""
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
