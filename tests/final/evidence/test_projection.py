"""What a longer training would reach, from curves whose law is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from automl.final.evidence.projection import (
    USUAL_FROM_SCRATCH,
    USUAL_FROM_WEIGHTS,
    best_of_kinds,
    project,
)
from automl.records import Report, TrialState
from automl.search.storage.reader import StoredTrial


def trial(number: int, values: list[float], *, pretrained: bool, seconds: float = 2.0) -> StoredTrial:
    reports = tuple(Report(number, i + 1, value, seconds) for i, value in enumerate(values))
    config = {"model": "resnet18", "lr": 0.1, "pretrained": pretrained}
    times = tuple(seconds * report.round for report in reports)
    return StoredTrial(number, TrialState.PAUSED, config, "", reports, times, 0, None, False, 0.0, None)


def seconds_of(one: StoredTrial) -> list[float]:
    return [report.seconds for report in one.reports]


def test_power_law_is_continued() -> None:
    work = [1.0, 2.0, 4.0, 8.0]
    values = [1.0 - 0.8 * w**-0.4 for w in work]
    assert project(work, values, 4.0, "accuracy") == pytest.approx(1.0 - 0.8 * 32.0**-0.4)
    assert project(work, values, 1.0, "accuracy") == pytest.approx(values[-1])


def test_last_half_of_the_work_says_how_steep_a_curve_is() -> None:
    """Seedlings from scratch: a fit on all rounds promises .90 for 11.7 times the work, and the retrain had .935."""
    curve = [0.420, 0.511, 0.591, 0.642, 0.701, 0.722]
    assert project([1, 2, 3, 4, 5, 6], curve, 11.7, "accuracy") == pytest.approx(0.935, abs=0.005)


def test_ants_and_bees_stay_as_flat_as_they_are() -> None:
    curve = [0.633, 0.612, 0.633, 0.653, 0.653]
    assert project([1, 2, 3, 4, 5], curve, 8.2, "accuracy") == pytest.approx(0.732, abs=0.01)


def test_losses_are_continued_downwards() -> None:
    work = [1.0, 2.0, 4.0]
    assert project(work, [w**-0.5 for w in work], 4.0, "log_loss") == pytest.approx(0.25)


def test_falling_curve_promises_no_more_than_its_level() -> None:
    found = project([1.0, 2.0, 3.0], [0.9, 0.88, 0.89], 10.0, "accuracy")
    assert 0.88 <= found <= 0.9


def test_steep_beginning_promises_no_miracle() -> None:
    """From .1 to .9 in a doubling would be .99 after the next."""
    assert project([1.0, 2.0], [0.1, 0.9], 4.0, "accuracy") < 0.96


def test_short_curves() -> None:
    assert project([3.0], [0.7], 9.0, "accuracy") == 0.7
    assert project([1.0, 2.0], [math.nan, 0.7], 9.0, "accuracy") == 0.7
    assert math.isnan(project([1.0], [math.nan], 2.0, "accuracy"))
    assert project([3.0], [0.6], 32.0, "accuracy", usual=0.4) == pytest.approx(0.9)
    assert project([3.0], [8.0], 32.0, "rmse", usual=0.4) == pytest.approx(2.0)
    assert project([1.0, 2.0], [0.7, 0.7], 9.0, "accuracy", usual=0.4) == pytest.approx(0.7)  # it has a curve


@pytest.mark.parametrize(
    ("tuned", "scratch", "best"), [(0.558, 0.506, False), (0.93, 0.7, True), (0.86, 0.3, True)]
)
def test_kinds_with_one_point_are_compared_by_what_such_curves_usually_reach(
    tuned: float, scratch: float, best: bool
) -> None:
    """Seedlings, ants and bees, and tiles. The promise, by which a head may be left, stays the value itself."""
    found = best_of_kinds(
        [trial(0, [scratch], pretrained=False), trial(1, [tuned], pretrained=True)],
        lambda one: bool(one.config["pretrained"]),
        lambda _: 6.0,
        "accuracy",
        seconds_of,
        lambda one: USUAL_FROM_WEIGHTS if one.config["pretrained"] else USUAL_FROM_SCRATCH,
    )
    assert max(found, key=lambda kind: found[kind].expected) is best
    assert (found[False].projected, found[True].projected) == (scratch, tuned)


def test_curve_that_still_rises_overtakes_one_that_is_flat() -> None:
    rising = trial(0, [0.3, 0.5, 0.65, 0.75], pretrained=False)
    flat = trial(1, [0.84, 0.84, 0.845, 0.85], pretrained=True)
    short = trial(2, [0.9], pretrained=True)
    found = best_of_kinds(
        [rising, flat, short],
        lambda one: bool(one.config["pretrained"]),
        lambda _: 8.0,
        "accuracy",
        seconds_of,
    )
    assert (found[True].trial, found[False].trial) == (1, 0)
    assert found[False].projected > found[True].projected > found[True].value
    at_once = best_of_kinds(
        [rising, flat], lambda one: bool(one.config["pretrained"]), lambda _: 1.0, "accuracy", seconds_of
    )
    assert at_once[True].projected > at_once[False].projected


def test_trials_without_a_value_stand_for_nothing() -> None:
    lost = trial(0, [math.nan], pretrained=True)
    failed = replace(trial(1, [0.8, 0.9], pretrained=True), state=TrialState.FAILED)
    assert best_of_kinds([lost, failed], lambda one: True, lambda _: 2.0, "accuracy", seconds_of) == {}


def test_trial_that_was_scored_on_a_few_rows_does_not_stand_for_its_kind() -> None:
    whole, lucky = trial(0, [0.8, 0.82], pretrained=True), trial(1, [0.7, 0.95], pretrained=True)
    last = replace(lucky.reports[-1], metrics={"val_rows": 20.0})
    lucky = replace(lucky, reports=(*lucky.reports[:-1], last))
    both = best_of_kinds([whole, lucky], lambda one: True, lambda _: 2.0, "accuracy", seconds_of)
    assert both[True].trial == 0
    alone = best_of_kinds([lucky], lambda one: True, lambda _: 2.0, "accuracy", seconds_of)
    assert alone[True].trial == 1
