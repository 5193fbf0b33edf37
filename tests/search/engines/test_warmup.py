"""Engines that are brought up early."""

from dataclasses import dataclass

import pytest

from automl.errors import ConfigError
from automl.search import search, warm_up
from tests.search.toy import ToySpace, climb, settings


@dataclass(frozen=True)
class Options:
    engine: str
    address: str | None = None


def test_engine_that_needs_no_start_is_handed_over_ready() -> None:
    with warm_up(Options("simulated")) as engine:
        assert search(climb, ToySpace(), settings(), engine=engine).seconds > 0


def test_unknown_engine_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'simulated'"), warm_up(Options("simulate")):
        raise RuntimeError("the block was entered")


@pytest.mark.ray
def test_ray_comes_up_beside_other_work_and_is_used() -> None:
    with warm_up(Options("ray"), cpus=2) as engine:
        result = search(climb, ToySpace(), settings(engine="ray", n_trials=4), engine=engine)
    assert result.counts["complete"] >= 1
