"""How well a stated probability of being right holds, and how well it tells right from wrong.

All take `stated` probabilities and whether each answer is `right`, in one order. Answers
with the same probability are not told apart: each counts as the mean of them all, so that
nothing depends on the order of the questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from benchmarks.metrics.statistics import wilson

BINS = 10
SURE = 0.85  # what the app shows in green
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)

Bins = list[dict[str, Any]]


def calibration(stated: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Every number of this module, as plain JSON, with the points of the two figures."""
    mass, width = equal_mass(stated, right), equal_width(stated, right)
    steps = range(1, 51)
    return {
        "n": len(stated),
        "mean": sum(stated) / len(stated),
        "ece_equal_mass": expected_error(mass),
        "ece_equal_width": expected_error(width),
        "brier": brier(stated, right),
        "auc": auc(stated, right),
        "wrong": sum(not r for r in right),
        "wrong_but_sure": sum(p >= SURE and not r for p, r in zip(stated, right, strict=True)),
        "bins": {"equal mass": mass, "equal width": width},
        "coverage": [at_coverage(stated, right, coverage) for coverage in COVERAGES],
        "risk": [[n / 50, 1 - at_coverage(stated, right, n / 50)["value"]] for n in steps],
    }


def brier(stated: Sequence[float], right: Sequence[bool]) -> float:
    """The mean squared error of the probability (Brier 1950, for two outcomes)."""
    return sum((p - bool(r)) ** 2 for p, r in zip(stated, right, strict=True)) / len(stated)


def expected_error(bins: Bins) -> float:
    """Expected calibration error: how far the mean probability of a bin is from its share of
    right answers, weighted by the bins' sizes (Naeini et al. 2015; Guo et al. 2017)."""
    n = sum(part["n"] for part in bins)
    return sum(part["n"] * abs(part["stated"] - part["value"]) for part in bins) / n


def equal_width(stated: Sequence[float], right: Sequence[bool], count: int = BINS) -> Bins:
    """Bins of [0, 1) that are equally wide, the last with 1; empty ones are left out."""
    groups = defaultdict(list)
    for p, r in zip(stated, right, strict=True):
        groups[min(int(p * count), count - 1)].append((p, float(r)))
    return [_bin(groups[number]) for number in sorted(groups)]


def equal_mass(stated: Sequence[float], right: Sequence[bool], count: int = BINS) -> Bins:
    """Bins of as many answers each, as nearly as can be (Nixon et al. 2019)."""
    ranked = _ranked(stated, right)[::-1]
    bounds = [round(number * len(ranked) / count) for number in range(count + 1)]
    return [_bin(ranked[low:high]) for low, high in pairwise(bounds) if high > low]


def _bin(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    share = wilson(sum(r for _, r in pairs), len(pairs))
    return {
        "stated": sum(p for p, _ in pairs) / len(pairs),
        "value": share.mean,
        "low": share.low,
        "high": share.high,
        "n": len(pairs),
    }


def at_coverage(
    stated: Sequence[float], right: Sequence[bool], coverage: float
) -> dict[str, float]:
    """The share of right answers among the surest, where only that part of all is answered
    (El-Yaniv and Wiener 2010). `least` is the lowest probability among them."""
    ranked = _ranked(stated, right)
    n = max(1, round(coverage * len(ranked)))
    share = wilson(sum(r for _, r in ranked[:n]), n)
    return {
        "coverage": coverage,
        "n": n,
        "value": share.mean,
        "low": share.low,
        "high": share.high,
        "least": ranked[n - 1][0],
    }


def auc(stated: Sequence[float], right: Sequence[bool]) -> float | None:
    """How often a right answer has a higher probability than a wrong one, ties counting
    half (the area under the ROC curve). None where all are right, or all wrong."""
    groups: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for p, r in zip(stated, right, strict=True):
        groups[p][bool(r)] += 1
    wins = wrong_below = 0.0
    for p in sorted(groups):
        wrong, correct = groups[p]
        wins += correct * (wrong_below + wrong / 2)
        wrong_below += wrong
    pairs = wrong_below * (len(stated) - wrong_below)
    return wins / pairs if pairs else None


def _ranked(stated: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """Surest first; `right` is the mean of all answers of that probability."""
    groups = defaultdict(list)
    for p, r in zip(stated, right, strict=True):
        groups[p].append(bool(r))
    means = {p: sum(values) / len(values) for p, values in groups.items()}
    return [(p, means[p]) for p in sorted(stated, reverse=True)]
