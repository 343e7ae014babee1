"""Confidence intervals of accuracies, and tests of their differences.

Questions that share a gold SQL fail and succeed together (Spider dev: 1,034 questions,
546 golds), so intervals draw whole clusters; treating questions as independent makes
them too narrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import comb
from statistics import NormalDist
from typing import NamedTuple

RESAMPLES = 10_000


class Interval(NamedTuple):
    """A mean and the bounds around it, all on the scale of the values."""

    mean: float
    low: float
    high: float


def cluster_bootstrap(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Percentile bootstrap of the mean, drawing clusters with replacement.

    For a difference of two models on the same questions, pass the differences: see
    paired_difference(). Raises: ValueError for no values or lists of unequal length.
    """
    import numpy as np

    if not values or len(values) != len(clusters):
        raise ValueError("one cluster is needed for each value, and at least one of them")
    numbers: dict[Hashable, int] = {}
    member = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    sums = np.bincount(member, weights=np.asarray(values, dtype=float))
    sizes = np.bincount(member)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, 2_000_000 // len(sizes))  # rows of draws at a time, to stay small
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(len(sizes), size=(rows, len(sizes)), dtype=np.int32)
        means[start : start + rows] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(np.mean(values)), float(low), float(high))


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """How much higher is the mean of `second`? Paired: both hold the same questions in
    the same order."""
    differences = [after - before for before, after in zip(first, second, strict=True)]
    return cluster_bootstrap(
        differences, clusters, confidence=confidence, seed=seed, resamples=resamples
    )


class McNemar(NamedTuple):
    """`only_first` and `only_second` count the questions that one of the two has right;
    `p` is two-sided and exact."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """The exact McNemar test (binomial, one half), for two models on the same questions."""
    pairs = list(zip(first, second, strict=True))
    only_first = sum(a and not b for a, b in pairs)
    only_second = sum(b and not a for a, b in pairs)
    changed = only_first + only_second
    tail = sum(comb(changed, k) for k in range(min(only_first, only_second) + 1))
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**changed))


def wilson(right: float, total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's interval for a share of independent draws, as of a random sample. `right` need not
    be whole: where draws cannot be told apart, each counts as their mean.

    Raises: ValueError for an empty sample.
    """
    if total <= 0:
        raise ValueError("a share of nothing has no interval")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z / scale * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
