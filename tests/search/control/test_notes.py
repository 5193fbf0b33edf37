"""What a search tells a person in sentences: a plan that does not hold, and a first rung that moves."""

from collections.abc import Iterator

import pytest

from automl.records import Config
from automl.search import search
from automl.search.round_time import Expected
from tests.search.toy import Listener, ToySpace, climb, settings


def expect(config: Config) -> Expected:
    return Expected(config["kind"], 1.0 + config["x"])


def notes(factor: float, **changes: object) -> list[str]:
    def train(config: Config) -> Iterator[dict[str, float]]:
        for report in climb(config):
            yield {**report, "seconds": factor * report["seconds"]}

    listener = Listener()
    search(train, ToySpace(), settings(expect=expect, **changes), listener)
    return listener.notes


@pytest.mark.parametrize(("factor", "told"), [(3.0, "times as long as"), (0.3, "only")])
def test_plan_is_revised_in_one_line_where_rounds_take_much_longer_or_shorter(
    factor: float, told: str
) -> None:
    found = notes(factor, policy="none")
    assert len(found) <= 3 and all(told in note for note in found)
    assert found[0].startswith("Plan revised: rounds take")


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_plan_that_about_holds_is_not_spoken_of(factor: float) -> None:
    assert notes(factor, policy="hyperband", n_trials=20) == []


def test_first_rung_that_moves_is_told_once_with_the_reason() -> None:
    found = notes(1.0, policy="asha-watched", n_trials=30)
    assert len(found) == 1
    assert found[0].startswith(
        "From now on trials are first compared at round 1: a worker is free; it is first"
    )
    assert "round 1 ranks" in found[0] and "trials as round 2 does" in found[0]
