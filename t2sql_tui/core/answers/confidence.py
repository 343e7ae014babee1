"""How probable is it that an answer gives the right rows? A logistic regression over features
of the answer, fitted by `benchmarks calibrate` and kept beside the model's card.

The app, the benchmarks and the fit all take their features from here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from t2sql_tui.core.answers.warnings.table import WARNINGS
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import read_object
from t2sql_tui.core.models.catalog import load_catalog, models_source
from t2sql_tui.core.types import Answer, CheckedQuery, ModelSpec

CONFIDENCE = "confidence.json"


def features(answer: Answer) -> dict[str, float]:
    """The features of an answer that `probability` uses. Those without a value are left out: of
    the readings where candidates were not run, of the tokens where nothing measured them.

    `share` and `votes` are the best reading's part of the probability and of the candidates,
    `margin` is how far its share is above the runner-up's (1 where there is none),
    `unused_share` the share of the question that its SQL does not use (the schema match),
    `unmet_phrases` how many phrases of the question its SQL has no construction for.
    """
    best, last = answer.candidate, answer.generations[-1] if answer.generations else None
    values = {
        "joins": float(len(re.findall(r"\bjoin\b", best.sql, re.IGNORECASE))),
        "selects": float(len(re.findall(r"\bselect\b", best.sql, re.IGNORECASE))),
        "tables": float(len(answer.query.tables)) if answer.query else 0.0,
        "repaired": float(len(answer.generations) > 1),
        "rewritten": float(bool(best.rewrites)),
    }
    if best.logprob is not None and best.tokens:
        values["logprob"] = best.logprob
        values["logprob_per_token"] = best.logprob / best.tokens
    if last and last.candidates:
        passed = sum(isinstance(c.verdict, CheckedQuery) for c in last.candidates)
        values["accepted"] = passed / len(last.candidates)
    if answer.readings:
        first, *others = answer.readings
        values["share"] = first.share
        values["margin"] = first.share - others[0].share if others else 1.0
        values["votes"] = first.votes / sum(reading.votes for reading in answer.readings)
        values["readings"] = float(len(answer.readings))
        values["unused_share"] = first.unused_share
        values["unmet_phrases"] = float(len(first.unmet_phrases))
        values |= {f"warning {name}": float(name in first.warnings) for name in WARNINGS}
    return values


def probability(values: Mapping[str, float], fitted: Mapping[str, Any]) -> float:
    """P(right) of an answer with these features. A missing one counts as the mean of the
    answers that `fitted` was made of."""
    score = fitted["intercept"] + sum(
        feature["weight"] * (values[name] - feature["mean"]) / feature["scale"]
        for name, feature in fitted["features"].items()
        if name in values
    )
    return (1 + math.tanh(score / 2)) / 2  # the logistic function; exp() would overflow


def confidence(answer: Answer, fitted: Mapping[str, Any]) -> float:
    """P(right) of `answer`: 0 if no candidate passed the check, for then nothing can run."""
    return probability(features(answer), fitted) if answer.query else 0.0


def confidence_file(name: str) -> Path:
    """Where the fit of a model in the catalog is kept."""
    return models_source() / name / CONFIDENCE


def load_confidence(spec: ModelSpec) -> dict[str, Any] | None:
    """What was fitted for `spec`, for `confidence`. None where nothing was, or where the
    weights, the prompt version or the adapter are not those of the catalog, for which the
    fit is wrong.

    Raises: ModelError when the file is damaged.
    """
    if load_catalog().get(spec.name) != replace(spec, path=None):
        return None
    file = confidence_file(spec.name)
    if not file.exists():
        return None
    try:
        fitted = read_object(file)
        _check_fit(fitted)
        return fitted
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{file} is damaged: {error}", "Install t2sql-tui again.") from error


def _check_fit(fitted: Mapping[str, Any]) -> None:
    """Raises: ValueError, TypeError, KeyError or AttributeError where `probability` would fail."""
    numbers = [fitted["intercept"]]
    for name, feature in fitted["features"].items():
        numbers += [feature[key] for key in ("weight", "mean", "scale")]
        if not feature["scale"]:
            raise ValueError(f"the scale of {name} is 0")
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError("a number is missing, or is none")
