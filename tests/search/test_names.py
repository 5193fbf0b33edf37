"""Names of engines, policies and samplers are checked in one place."""

import pytest
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler

from automl.errors import ConfigError
from automl.search.run import check_names


@pytest.mark.parametrize(
    ("kind", "given", "closest"),
    [("engine", "locl", "local"), ("policy", "ahsa", "asha"), ("sampler", "randm", "random")],
)
def test_unknown_name_names_the_closest(kind: str, given: str, closest: str) -> None:
    with pytest.raises(ConfigError, match=f"^unknown {kind} '{given}': did you mean '{closest}'"):
        check_names(**{kind: given})


def test_unknown_names_are_all_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"unknown engine 'locl'.*; unknown policy 'ahsa'.*"):
        check_names(engine="locl", policy="ahsa")


def test_known_names_and_parts_of_optuna_are_accepted() -> None:
    check_names(engine="simulated", policy=MedianPruner(), sampler=RandomSampler())
    check_names(engine="local", policy="none", sampler="tpe")
