"""Schedules against their closed forms."""

from __future__ import annotations

import math

import pytest

from automl.training.models.hyperparameters import Recipe
from automl.training.steps.schedules import SCHEDULES, schedule_of


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_starts_at_the_floor_and_peaks_at_one(name: str) -> None:
    schedule = SCHEDULES[name]
    assert schedule(0.0, 0.2) == pytest.approx(0.01)
    assert schedule(0.2, 0.2) == pytest.approx(1.0)
    assert max(schedule(i / 1000, 0.2) for i in range(1001)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"constant"}))
def test_schedule_ends_at_the_floor(name: str) -> None:
    assert SCHEDULES[name](1.0, 0.2) == pytest.approx(0.01)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_without_warmup_starts_at_the_full_rate(name: str) -> None:
    assert SCHEDULES[name](0.0, 0.0) == pytest.approx(1.0)


def test_cosine_half_way_down_is_the_mean_of_one_and_the_floor() -> None:
    assert SCHEDULES["cosine"](0.6, 0.2) == pytest.approx(0.505)


def test_onecycle_warms_up_along_half_a_cosine() -> None:
    expected = 0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * 0.25))
    assert SCHEDULES["onecycle"](0.05, 0.2) == pytest.approx(expected)


def test_wsd_is_flat_until_two_thirds_and_then_linear() -> None:
    assert SCHEDULES["wsd"](0.6, 0.1) == 1.0
    assert SCHEDULES["wsd"](5 / 6, 0.1) == pytest.approx(0.505)


def test_step_drops_to_a_tenth_at_half_of_the_training() -> None:
    assert [SCHEDULES["step"](p, 0.0) for p in (0.49, 0.5, 0.75)] == [1.0, 0.1, 0.01]


def test_recipe_without_a_schedule_is_stable_until_its_last_third() -> None:
    schedule, warmup = schedule_of(Recipe("resnet18", lr=0.1))
    assert [schedule(p, warmup) for p in (0.1, 0.4, 2 / 3)] == pytest.approx([1.0, 1.0, 1.0])
    assert schedule(0.8, warmup) < 0.7 and schedule(1.0, warmup) == pytest.approx(0.01)


def test_schedule_that_is_named_holds() -> None:
    assert schedule_of(Recipe("resnet18", lr=0.1, sched="step")) == (SCHEDULES["step"], 0.0)
    assert schedule_of(Recipe("resnet18", lr=0.1, sched="cosine", warmup=0.3)) == (SCHEDULES["cosine"], 0.3)
    assert schedule_of(Recipe("resnet18", lr=0.1, warmup=0.4))[1] == 0.4
