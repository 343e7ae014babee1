"""Calibration, against values worked out by hand."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.metrics.calibration import (
    at_coverage,
    auc,
    brier,
    calibration,
    equal_mass,
    equal_width,
    expected_error,
)


def test_brier_and_the_area_under_the_curve() -> None:
    stated, right = [0.9, 0.6, 0.6, 0.2], [True, False, True, False]
    assert brier(stated, right) == pytest.approx((0.01 + 0.36 + 0.16 + 0.04) / 4)
    # Of the four pairs three are in order and one is a tie.
    assert auc(stated, right) == pytest.approx(3.5 / 4)
    assert auc([0.1, 0.2], [True, True]) is None


def test_the_error_is_the_gap_of_each_bin_weighted_by_its_size() -> None:
    stated = [0.05, 0.05, 0.95, 0.95, 0.95, 0.95, 1.0]
    right = [False, True, True, True, True, False, True]
    bins = equal_width(stated, right)
    assert [part["n"] for part in bins] == [2, 5]
    assert expected_error(bins) == pytest.approx((2 * 0.45 + 5 * (0.96 - 0.8)) / 7)
    assert sum(part["n"] for part in equal_mass(stated, right)) == 7


def test_equal_mass_bins_are_equal() -> None:
    stated = [n / 100 for n in range(100)]
    bins = equal_mass(stated, [p > 0.5 for p in stated])
    assert [part["n"] for part in bins] == [10] * 10
    assert bins[0]["stated"] == pytest.approx(0.045) and bins[-1]["value"] == 1
    assert bins[5]["low"] < bins[5]["value"] < bins[5]["high"]


def test_a_perfect_and_a_useless_confidence() -> None:
    right = [n % 4 > 0 for n in range(400)]
    perfect = calibration([float(r) for r in right], right)
    assert perfect["ece_equal_mass"] == perfect["ece_equal_width"] == perfect["brier"] == 0
    assert perfect["auc"] == 1
    assert [c["value"] for c in perfect["coverage"]] == [300 / 400, 300 / 360, 300 / 320, 1, 1]
    useless = calibration([0.75] * 400, right)
    assert useless["ece_equal_mass"] == pytest.approx(0) and useless["auc"] == 0.5
    assert {c["value"] for c in useless["coverage"]} == {0.75}


def test_the_order_of_the_questions_does_not_matter() -> None:
    random = Random(1)
    pairs = [(random.choice([0.2, 0.5, 0.8]), random.random() < 0.5) for _ in range(97)]
    shuffled = random.sample(pairs, len(pairs))
    first, second = (calibration(*zip(*p, strict=True)) for p in (pairs, shuffled))
    for key in ("ece_equal_mass", "ece_equal_width", "brier", "auc"):
        assert first[key] == pytest.approx(second[key])
    assert [risk for _, risk in first["risk"]] == pytest.approx([r for _, r in second["risk"]])


def test_coverage_answers_the_surest() -> None:
    found = at_coverage([0.9, 0.1, 0.8, 0.2], [True, False, True, True], 0.5)
    assert (found["n"], found["value"], found["least"]) == (2, 1.0, 0.8)
    assert at_coverage([0.5], [False], 0.02)["n"] == 1


def test_wrong_answers_that_are_sure_are_counted() -> None:
    found = calibration([0.9, 0.85, 0.84, 0.95], [False, False, False, True])
    assert (found["wrong_but_sure"], found["wrong"]) == (2, 3)
