"""Answers that are left out: bounds, tables, and that promises hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from automl.final.confidence.selective import (
    MOST_POINTS,
    RISK,
    RiskTable,
    fewest_rows,
    lowest_share,
    risk_table,
)


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated answers of two classes: a confidence of 0.5 to 1 is right as often as it says."""
    confidence = 0.5 + 0.5 * rng.beta(2.0, 0.7, n)
    right = rng.random(n) < confidence
    return np.where(right, 1, 0), np.stack([1 - confidence, confidence], axis=1)


def test_bound_is_that_of_clopper_and_pearson() -> None:
    assert lowest_share(18, 20, 0.05) == pytest.approx(float(beta.ppf(0.05, 18, 3)))
    assert lowest_share(18, 20, 0.05) == pytest.approx(
        binomtest(18, 20, alternative="greater").proportion_ci(0.95, "exact").low
    )
    assert lowest_share(0, 20, 0.05) == 0.0


@pytest.mark.parametrize("frequency", [0.8, 0.9, 0.95, 0.99])
def test_fewest_rows_just_prove_the_frequency(frequency: float) -> None:
    n = fewest_rows(frequency)
    assert lowest_share(n, n, RISK) >= frequency > lowest_share(n - 1, n - 1, RISK)


def test_promises_hold_on_new_rows_in_nine_of_ten_studies() -> None:
    rng = np.random.default_rng(0)
    new, sure = drawn(rng, 200_000)
    broken = promised = 0
    for _ in range(200):
        table = risk_table(*drawn(rng, 400))
        assert table is not None
        found = table.threshold(0.95)
        if found is not None:
            promised += 1
            answered = sure.max(axis=1) >= found.confidence
            broken += bool((sure.argmax(axis=1) == new)[answered].mean() < 0.95)
    assert promised > 60 and broken <= RISK * 200


def test_coverage_falls_as_more_is_asked_for() -> None:
    table = risk_table(*drawn(np.random.default_rng(1), 3000))
    assert table is not None
    found = [table.threshold(frequency) for frequency in (0.8, 0.9, 0.95)]
    assert all(each is not None and each.right >= 0.8 for each in found)
    coverages = [each.coverage for each in found if each is not None]
    assert coverages == sorted(coverages, reverse=True) and coverages[0] > coverages[-1]
    assert table.threshold(0.9999) is None


def test_too_few_rows_promise_nothing() -> None:
    targets, scores = np.ones(44, dtype=np.int64), np.tile([0.1, 0.9], (44, 1))
    table = risk_table(targets, scores)
    assert table is not None and table.threshold(0.95) is None and table.threshold(0.9) is not None
    assert risk_table(targets[:0], scores[:0]) is None
    assert risk_table(targets, np.where(scores > 0.5, np.nan, scores)) is None


def test_table_is_the_same_after_json_and_stays_short() -> None:
    table = risk_table(*drawn(np.random.default_rng(2), 5000))
    assert table is not None and len(table.points) <= MOST_POINTS and table.points[-1][1] == 5000
    assert RiskTable.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    "points",
    [
        [],
        [[0.9, 2, 3]],
        [[0.9, 2, 0], [0.95, 4, 1]],
        [[0.9, 4, 0], [0.8, 2, 0]],
        [[0.9, 2, 1], [0.8, 4, 0]],
        [[1.5, 4, 0]],
        [[float("nan"), 4, 0]],
        [[0.9, 3, 0]],
    ],
)
def test_impossible_table_is_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="the table of confidences must count answers"):
        RiskTable.from_json({"rows": 4, "points": points})
