"""Portfolios learnt from earlier studies."""

from collections.abc import Callable

import numpy as np
import pytest

from automl.records import Config, Mode
from automl.search.sampling.portfolio import PastStudy, learn_portfolio
from automl.spaces import SearchSpace

SPACE = SearchSpace.from_dict(
    {
        "parameters": {
            "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
            "opt": {"type": "categorical", "choices": ["sgd", "adamw"]},
        }
    }
)
Height = Callable[[Config], float]


def study(name: str, height: Height, *, seed: int, mode: Mode = "max", weight: float = 1.0) -> PastStudy:
    """Thirty random trials of which every third ran to the end of nine rounds, the others two."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(30):
        config: Config = {"lr": float(10 ** rng.uniform(-4, 0)), "opt": str(rng.choice(["sgd", "adamw"]))}
        sign = 1.0 if mode == "max" else -1.0
        rounds = (2, 6, 9) if number % 3 == 0 else (2,)
        trials.append((config, {round: sign * (height(config) - 1 / round) for round in rounds}))
    return PastStudy(name, mode, 9, trials, weight)


def near(lr: float, opt: str) -> Height:
    return lambda config: -((np.log10(config["lr"]) - np.log10(lr)) ** 2) - (config["opt"] != opt)


def test_portfolio_begins_with_what_is_good_everywhere() -> None:
    studies = [study("a", near(0.01, "adamw"), seed=0), study("b", near(0.02, "adamw"), seed=1)]
    found = learn_portfolio(studies, SPACE, size=3)
    assert found.studies == ("a", "b")
    assert found.configs[0]["opt"] == "adamw" and 0.003 < found.configs[0]["lr"] < 0.07
    assert found.regret[0] < 0.3


def test_next_configuration_serves_the_studies_that_the_first_did_not() -> None:
    studies = [study("a", near(0.3, "sgd"), seed=0), study("b", near(0.001, "adamw"), seed=1)]
    first, second = learn_portfolio(studies, SPACE, size=2).configs
    assert {first["opt"], second["opt"]} == {"sgd", "adamw"}


def test_regret_falls_with_every_configuration() -> None:
    studies = [study(str(i), near(10.0**-i, "sgd"), seed=i) for i in range(4)]
    regret = learn_portfolio(studies, SPACE, size=4).regret
    assert list(regret) == sorted(regret, reverse=True) and regret[-1] < regret[0]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_smaller_is_better_where_the_study_says_so(mode: Mode) -> None:
    found = learn_portfolio([study("a", near(0.01, "sgd"), seed=3, mode=mode)], SPACE, size=1)
    assert 0.001 < found.configs[0]["lr"] < 0.1


def test_study_that_weighs_more_decides() -> None:
    heavy = study("a", near(0.3, "sgd"), seed=0, weight=1.0)
    light = study("b", near(0.001, "adamw"), seed=1, weight=0.01)
    assert learn_portfolio([light, heavy], SPACE, size=1).configs[0]["opt"] == "sgd"


def test_configurations_outside_of_the_space_and_small_studies_take_no_part() -> None:
    narrow = SearchSpace.from_dict(
        {"parameters": {"lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}}
    )
    found = learn_portfolio([study("a", near(0.01, "sgd"), seed=0)], narrow)
    assert found.configs == () and found.studies == ()
    few = study("a", near(0.01, "sgd"), seed=0)
    found = learn_portfolio([PastStudy("a", "max", 9, few.trials[:4])], SPACE)
    assert found.configs == ()


def test_trials_without_a_finite_value_do_not_count() -> None:
    good = study("a", near(0.01, "sgd"), seed=0)
    broken = [(config, {2: float("nan")}) for config, _ in good.trials]
    assert learn_portfolio([PastStudy("a", "max", 9, broken)], SPACE).configs == ()


def test_same_studies_give_the_same_portfolio() -> None:
    studies = [study(str(i), near(10.0**-i, "sgd"), seed=i) for i in range(3)]
    assert learn_portfolio(studies, SPACE) == learn_portfolio(studies, SPACE)
