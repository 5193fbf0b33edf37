"""Samplers by name."""

import importlib.util

import optuna
import pytest

from automl.errors import ConfigError
from automl.log import quiet_optuna
from automl.search.sampling.registry import SAMPLERS, make_sampler
from tests.search.toy import ToySpace, context

NEEDS = {"cmaes": "cmaes"}


def draws(name: str, seed: int) -> list[object]:
    with quiet_optuna():
        study = optuna.create_study(sampler=make_sampler(name, context(seed)))
        found: list[object] = []
        for _ in range(12):
            trial = study.ask()
            config = ToySpace().suggest(trial)
            study.tell(trial, config["x"])
            found.append(config)
    return found


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_sampler_repeats_its_draws_for_a_seed_and_not_for_another(name: str) -> None:
    package = NEEDS.get(name)
    if package and importlib.util.find_spec(package) is None:
        with pytest.raises(ConfigError, match=f"'{name}' needs the package '{package}'"):
            make_sampler(name, context(0))
        return
    assert draws(name, 1) == draws(name, 1)
    assert draws(name, 1) != draws(name, 2)
