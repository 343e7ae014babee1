"""Intervals and tests, against values known from elsewhere."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.metrics.statistics import (
    cluster_bootstrap,
    mcnemar,
    paired_difference,
    wilson,
)


def test_wilson_is_the_published_interval() -> None:
    # Newcombe 1998 (Statistics in Medicine 17), table I, method 3: 15/148 and 0/20.
    assert wilson(15, 148) == pytest.approx((15 / 148, 0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((1, 1 - 0.1611, 1), abs=1e-4)
    with pytest.raises(ValueError):
        wilson(0, 0)


def test_mcnemar_is_the_binomial_test() -> None:
    first = [True] * 50 + [True] * 2 + [False] * 8 + [False] * 40
    second = [True] * 50 + [False] * 2 + [True] * 8 + [False] * 40
    # scipy.stats.binomtest(2, 10).pvalue
    assert mcnemar(first, second) == (2, 8, pytest.approx(0.109375))
    assert mcnemar(second, first) == (8, 2, pytest.approx(0.109375))
    assert mcnemar([True, False], [True, False]) == (0, 0, 1.0)
    assert mcnemar([False] * 1034, [True] * 1034).p < 1e-300
    with pytest.raises(ValueError):
        mcnemar([True], [])


def test_singleton_clusters_give_the_interval_of_independent_draws() -> None:
    values = [1.0] * 300 + [0.0] * 700
    found = cluster_bootstrap(values, range(1000))
    independent = wilson(300, 1000)
    assert found.mean == pytest.approx(0.3)
    assert found[1:] == pytest.approx(independent[1:], abs=0.004)


def test_clusters_that_agree_make_the_interval_as_wide_as_their_number() -> None:
    random = Random(3)
    right = [random.random() < 0.5 for _ in range(100)]
    values = [float(answer) for answer in right for _ in range(10)]
    found = cluster_bootstrap(values, [n // 10 for n in range(1000)])
    assert found.high - found.low == pytest.approx(
        wilson(sum(right), 100).high - wilson(sum(right), 100).low, abs=0.02
    )


def test_bootstrap_is_seeded_and_clusters_may_have_any_name() -> None:
    values, clusters = [1, 0, 1, 1, 0], ["a", "b", "a", "c", "b"]
    assert cluster_bootstrap(values, clusters) == cluster_bootstrap(values, clusters)
    assert cluster_bootstrap(values, clusters, seed=1).mean == 0.6
    assert cluster_bootstrap([1, 1], ["a", "b"]) == (1, 1, 1)
    for bad in ([], [1]):
        with pytest.raises(ValueError):
            cluster_bootstrap(bad, clusters)


def test_paired_difference_is_narrower_than_two_intervals() -> None:
    random = Random(5)
    first = [random.random() < 0.6 for _ in range(1000)]
    second = [right or random.random() < 0.1 for right in first]
    found = paired_difference(first, second, range(1000))
    assert found.mean == pytest.approx((sum(second) - sum(first)) / 1000)
    assert 0 < found.low < found.mean < found.high
    assert found.high - found.low < 0.03
    with pytest.raises(ValueError):
        paired_difference([1], [1, 0], [0, 1])
