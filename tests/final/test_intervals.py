"""Intervals cover what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automl.final.intervals import interval, wilson


def test_wilson_matches_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    low, high = wilson(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilson_of_all_right_stays_below_one_from_below() -> None:
    low, high = wilson(1.0, 50)
    assert 0.9 < low < 1.0 and high == pytest.approx(1.0)


def test_wilson_of_no_rows_says_nothing() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_bootstrap_covers_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(40):
        targets = rng.normal(size=(60, 1))
        found = interval(
            "mae", targets, targets + rng.normal(scale=1.0, size=(60, 1)), "regression", seed=seed
        )
        covered += found.low <= math.sqrt(2 / math.pi) <= found.high
    assert 33 <= covered <= 40


def test_interval_is_the_same_for_the_same_seed() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 3, 90), rng.dirichlet(np.ones(3), 90)
    found = [interval("balanced_accuracy", targets, scores, "classification", seed=s) for s in (1, 1, 2)]
    assert found[0] == found[1] and found[0] != found[2]
    assert found[0].low <= found[0].value <= found[0].high


def test_interval_of_a_metric_that_is_not_defined_is_nan() -> None:
    found = interval("roc_auc", np.zeros(5, dtype=int), np.full((5, 2), 0.5), "classification", seed=0)
    assert math.isnan(found.value) and math.isnan(found.low)
    assert str(found).startswith("nan")


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_wilson_contains_the_share(share: float) -> None:
    low, high = wilson(share, 17)
    assert low <= share + 1e-12 and share <= high + 1e-12
