"""Seconds of a round, before and after some were measured."""

import math

import pytest

from automl.records import Config
from automl.search.round_time import Expected, Forecast


def expect(config: Config) -> Expected:
    return Expected(config["family"], config["size"])


SMALL, LARGE, OTHER = (
    {"family": "a", "size": 1.0},
    {"family": "a", "size": 4.0},
    {"family": "b", "size": 4.0},
)


def test_before_anything_was_measured_it_is_what_was_expected() -> None:
    assert Forecast(expect).seconds(LARGE) == 4.0
    assert Forecast().seconds(LARGE) is None and Forecast().quick([(0, SMALL)]) is None


def test_family_that_takes_longer_is_expected_to_in_other_sizes_too() -> None:
    forecast = Forecast(expect)
    for _ in range(20):
        forecast.learn(0, SMALL, 3.0)
        forecast.learn(1, OTHER, 4.0)
    large, other = forecast.seconds(LARGE), forecast.seconds(OTHER)
    assert large == pytest.approx(12.0, rel=0.15) and other == pytest.approx(4.0, rel=0.15)


def test_family_without_a_trial_follows_all_others() -> None:
    forecast = Forecast(expect)
    for _ in range(30):
        forecast.learn(0, SMALL, 2.0)
    assert forecast.seconds(OTHER) == pytest.approx(8.0, rel=0.15)


def test_recent_rounds_count_more() -> None:
    forecast = Forecast(expect)
    for seconds in [1.0] * 30 + [2.0] * 30:
        forecast.learn(0, SMALL, seconds)
    assert forecast.seconds(SMALL) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_seconds_that_are_none_teach_nothing(seconds: float) -> None:
    forecast = Forecast(expect)
    forecast.learn(0, SMALL, seconds)
    assert forecast.seconds(SMALL) == 1.0 and forecast.usual() is None


def test_without_expectations_the_median_trial_stands_for_all() -> None:
    forecast = Forecast()
    for trial, seconds in enumerate([1.0, 2.0, 30.0]):
        forecast.learn(trial, SMALL, 99.0)
        forecast.learn(trial, SMALL, seconds)
    assert forecast.seconds(LARGE) == forecast.quick([(0, SMALL)]) == 2.0


def test_quick_is_what_a_quarter_takes_at_most() -> None:
    sizes = [{"family": "a", "size": float(size)} for size in range(1, 9)]
    assert Forecast(expect).quick(enumerate(sizes)) == 3.0


def test_revision_is_told_once_and_again_only_after_as_large_a_change() -> None:
    forecast = Forecast(expect)
    told = []
    for _ in range(20):
        forecast.learn(0, SMALL, 2.0)
        told.append(forecast.revision())
    (text,) = filter(None, told)
    assert told.index(text) == 4  # after five rounds
    assert "rounds take 1." in text and "times as long as what was measured" in text
    for _ in range(60):
        forecast.learn(0, SMALL, 0.5)
    assert "only" in forecast.revision() and forecast.revision() == ""
