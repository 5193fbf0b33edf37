"""Charts show what the log says, and say in words where they cannot."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from automl.records import Mode, Report, TrialState
from automl.review.report.charts.importance import importance
from automl.review.report.charts.parallel import axes
from automl.review.report.charts.progress import expected_best, incumbent, random_search
from automl.review.report.charts.timeline import bars
from automl.review.report.history import History, Stretch, read_history
from automl.review.studies import StudyFolder
from automl.review.trials import stored_rows
from automl.search.storage.reader import StoredTrial


def trial(number: int, values: list[float], lr: float = 0.1, opt: str = "sgd", **more: Any) -> StoredTrial:
    reports = tuple(Report(number, k, value, 2.0) for k, value in enumerate(values, 1))
    times = tuple(10.0 * number + 2.0 * k for k in range(1, len(values) + 1))
    made = StoredTrial(
        number,
        TrialState.COMPLETE,
        {"lr": lr, "opt": opt},
        "sampler",
        reports,
        times,
        0,
        None,
        False,
        0.0,
        times[-1],
    )
    return replace(made, **more)


def history(*trials: StoredTrial, mode: Mode = "max") -> History:
    stretches = tuple(Stretch(one.number, "slot 0", 0.0, one.ended) for one in trials)
    return History("accuracy", mode, tuple(stored_rows(trials)), trials, stretches)


def test_expected_best_is_the_mean_over_all_draws() -> None:
    values = [0.1, 0.5, 0.5, 0.9]
    for draws in (1, 2, 3):
        every = [max(drawn) for drawn in itertools.product(values, repeat=draws)]
        assert expected_best(values, draws) == pytest.approx(sum(every) / len(every))
        least = [min(drawn) for drawn in itertools.product(values, repeat=draws)]
        assert expected_best(values, draws, -1.0) == pytest.approx(sum(least) / len(least))
    assert math.isnan(expected_best([], 1))


def test_incumbent_counts_latest_scores_and_ignores_failed_trials() -> None:
    failed = trial(0, [0.99], state=TrialState.FAILED)
    found = incumbent(history(failed, trial(1, [0.5, 0.4]), trial(2, [0.3, 0.7])))
    assert found == [(12.0, 0.5), (14.0, 0.4), (24.0, 0.7)]
    assert incumbent(history(trial(1, [0.5, 0.4]), mode="min")) == [(12.0, 0.5), (14.0, 0.4)]
    back = history(trial(1, [0.6, 0.2]), trial(2, [0.3, 0.1]))
    assert incumbent(back) == [(12.0, 0.6), (14.0, 0.2), (22.0, 0.3), (24.0, 0.2)]


def test_incumbent_ends_at_the_best_trial_and_is_compared_like_for_like() -> None:
    """A lucky early round is no score that the search has at its end, as it is none of random search."""
    found = history(*(trial(k, [0.9, 0.1 * k]) for k in range(1, 6)))
    assert found.best is not None and incumbent(found)[-1][1] == found.best.value == 0.5
    estimate = random_search(found)
    assert estimate is not None and estimate.curve[-1][1] <= 0.5


def test_random_search_counts_draws_of_full_length_and_needs_five_trials() -> None:
    few = [trial(k, [0.1, 0.1 * k]) for k in range(1, 5)]
    assert random_search(history(*few)) is None
    found = random_search(history(*few, trial(5, [0.1, 0.5])))
    assert found is not None and (found.draws, found.seconds, found.parallel) == (5, 4.0, 1)
    assert (
        random_search(replace(history(*few, trial(5, [0.1, 0.5])), full=30)) is None
    )  # no time for a full training
    seconds, value = found.curve[-1]
    assert seconds == 54.0
    assert value == pytest.approx(expected_best([0.1, 0.2, 0.3, 0.4, 0.5], 54.0 / 4.0))


def test_bars_have_the_state_of_the_log_and_its_reason(leaves: StudyFolder) -> None:
    found = read_history(leaves)
    shown = bars(found)
    assert len(shown) == len(found.stretches) >= 12
    states = {row.trial: str(row.state) for row in found.rows}
    last = {bar.stretch.trial: bar for bar in shown}
    for number, bar in last.items():
        assert bar.state in (states[number], "paused"), bar
    assert any("resumed (promoted" in bar.words for bar in shown)


def test_importance_needs_complete_trials_and_then_finds_what_matters() -> None:
    few = importance(history(*(trial(k, [0.5]) for k in range(3))))
    assert few.why_not == "3 of at least 30 complete trials are there" and not few.shares
    many = [trial(k, [1.0 - abs(k - 40) / 80], lr=10 ** (-4 + k / 20), opt="ab"[k % 2]) for k in range(80)]
    found = importance(history(*many))
    assert found.trials == 80 and found.shares[0][0] == "lr" and found.shares[0][1] > 0.8
    assert sum(share for _, share in found.shares) == pytest.approx(1.0)


def test_axes_are_what_differs_on_a_scale_that_fits() -> None:
    rows = stored_rows([trial(0, [0.1], lr=1e-4), trial(1, [0.2], lr=1e-2), trial(2, [0.3], lr=1e-3)])
    (lr,) = axes(rows)
    assert lr.name == "lr" and lr.at(1e-3) == pytest.approx(0.5) and lr.at(None) is None
    words = axes([*rows, *stored_rows([trial(3, [0.1], opt="adamw")])])[1]
    assert words.at("adamw") == 0.0 and words.at("sgd") == 1.0
