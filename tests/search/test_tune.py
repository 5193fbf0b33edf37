"""`automl.tune`."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler

from automl.errors import ConfigError, SpaceError, TrialError
from automl.records import Config
from automl.search.tune import tune

SPACE = {
    "parameters": {
        "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
        "opt": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"opt": "sgd"}},
    }
}


def train(config: Config) -> Iterator[dict[str, float]]:
    for epoch in range(1, 10):
        yield {"loss": config["lr"] + 1 / epoch, "seconds": 2.0}


def run(**changes: Any) -> Any:
    common: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_epochs": 9,
        "n_trials": 12,
        "parallel": 2,
        "engine": "simulated",
    }
    return tune(changes.pop("objective", train), changes.pop("space", SPACE), **{**common, **changes})


def test_dict_space_gives_the_documented_tables() -> None:
    result = run()
    assert list(result.trials.columns) == [
        "number",
        "state",
        "params",
        "epochs",
        "value",
        "seconds",
        "started",
        "ended",
    ]
    assert list(result.reports.columns) == ["number", "epoch", "value", "time"]
    assert list(result.trials["number"]) == list(range(12))
    assert len(result.reports) == result.trials["epochs"].sum()
    assert result.reports["time"].is_monotonic_increasing
    best = result.trials.loc[result.trials["value"].idxmin()]
    assert (best["params"], best["value"]) == (result.best_config, result.best_value)
    assert set(result.trials["state"]) == {"complete", "pruned"}


def test_result_shows_itself_in_one_line() -> None:
    assert "\n" not in repr(run()) and "best_value=" in repr(run())


@pytest.mark.parametrize(("given", "seconds"), [("30s", 30), (30, 30), ("0.5m", 30)])
def test_time_limit_takes_seconds_and_text(given: Any, seconds: float) -> None:
    result = run(n_trials=None, time_limit=given)
    assert result.reports["time"].max() == seconds and result.stopped == "time is up"


def test_portfolio_is_tried_first() -> None:
    first = {"lr": 1e-5, "opt": "adam"}
    assert run(portfolio=[first]).trials["params"][0] == first


def test_same_seed_gives_the_same_tables() -> None:
    one, two = run(seed=3), run(seed=3)
    pd.testing.assert_frame_equal(one.trials, two.trials)
    pd.testing.assert_frame_equal(one.reports, two.reports)


def test_stored_study_goes_on_to_a_higher_total(tmp_path: Any) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    first = run(storage=storage, n_trials=5)
    more = run(storage=storage, n_trials=9)
    assert len(more.trials) == 9
    assert list(more.trials["params"][:5]) == list(first.trials["params"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"n_trials": None}, "a search needs n_trials or time_limit"),
        ({"time_limit": "soon"}, "time_limit must be a duration"),
        ({"engine": "rai"}, "did you mean 'ray'"),
        ({"policy": "asah"}, "did you mean 'asha'"),
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"mode": "up"}, "unknown mode 'up'"),
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, got 0"),
        ({"parallel": 1.5}, "parallel must be a whole number"),
        ({"n_trials": 0, "parallel": 0}, "parallel .*; n_trials must be"),
        ({"engine": None}, "engine must be one of the names local, ray, simulated, got None"),
        ({"policy": 3}, "policy must be one of the names asha, .* or an optuna.pruners.BasePruner, got 3"),
        ({"sampler": print}, "sampler must be one of the names .* or an optuna.samplers.BaseSampler, got"),
        ({"portfolio": "lr"}, r"portfolio must be a list of configurations such as .*, got 'lr'"),
        ({"portfolio": [3]}, "each configuration of the portfolio must be a dict such as .*, got 3"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, got None"),
        ({"seed": "a"}, "seed must be a whole number of at least 0, got 'a'"),
        (
            {"directory": "/dev/null/x"},
            r"directory must be a folder .*, got '/dev/null/x' \(Not a directory\)",
        ),
    ],
)
def test_wrong_option_is_a_config_error(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(**wrong)


def test_whole_numbers_and_parts_of_other_packages_are_taken() -> None:
    portfolio = ({"lr": 0.1, "opt": "adam"},)
    found = run(seed=np.int64(3), sampler=RandomSampler(seed=1), policy=NopPruner(), portfolio=portfolio)
    assert found.trials["params"][0] == portfolio[0]


def test_wrong_space_is_a_space_error() -> None:
    with pytest.raises(SpaceError, match="must be a SearchSpace or a dict"):
        run(space=3)


def test_portfolio_outside_of_the_space_is_refused_before_anything_runs() -> None:
    with pytest.raises(SpaceError, match="lr"):
        run(portfolio=[{"lr": 5.0, "opt": "adam"}])


def test_number_that_no_float_holds_is_infinite() -> None:
    def huge(config: Config) -> Iterator[dict[str, Any]]:
        yield {"loss": 10**400, "seconds": 1.0}
        yield {"loss": 1.0, "other": -(10**400), "seconds": 1.0}

    found = tune(
        huge, SPACE, metric="loss", mode="min", max_epochs=2, n_trials=1, engine="simulated", policy="none"
    )
    assert found.best_value == 1.0


@pytest.mark.parametrize("fails", [False, True])
def test_simulated_clock_that_stands_still_before_its_time_limit_is_told(fails: bool) -> None:
    begun = 0

    def instant(config: Config) -> Iterator[dict[str, Any]]:
        nonlocal begun
        begun += 1
        if fails and begun > 1:
            raise ValueError("broken")
        yield {"loss": 1.0, "seconds": 0}

    with pytest.raises(
        TrialError, match=r"rounds must take time until the time limit of 5 s, .* give n_trials"
    ):
        run(objective=instant, n_trials=None, time_limit=5, sampler="random", policy="none")
    begun = 0
    assert len(run(objective=instant, time_limit=5).trials) == 12


async def asynchronous(config: Config) -> dict[str, float]:
    return {"loss": 1.0}


async def asynchronous_generator(config: Config) -> AsyncIterator[dict[str, float]]:
    yield {"loss": 1.0}


class Asynchronous:
    async def __call__(self, config: Config) -> dict[str, float]:
        return {"loss": 1.0}


def two(config: Config, rows: int) -> Iterator[dict[str, float]]:
    yield {"loss": float(rows)}


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        (
            asynchronous,
            "must be an ordinary function or generator, got the asynchronous <function asynchronous",
        ),
        (asynchronous_generator, "must be an ordinary function or generator, got the asynchronous"),
        (partial(asynchronous), "must be an ordinary function or generator, got the asynchronous"),
        (Asynchronous(), "must be an ordinary function or generator, got the asynchronous"),
        (train({"lr": 1.0}), "must be a function of a configuration, got <generator object train"),
        (None, "must be a function of a configuration, got None: pass the function itself"),
        (two, r"must take one argument, .* \(missing a required argument: 'rows'\): give the others with"),
        (lambda: None, r"must take one argument, .* with the arguments \(\) \(too many positional"),
    ],
)
def test_objective_that_cannot_be_called_is_refused_before_anything_runs(objective: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(objective=objective)


@pytest.mark.parametrize(
    "objective", [partial(two, rows=3), lambda config: train(config), lambda *configs: train(configs[0])]
)
def test_objective_that_takes_a_configuration_in_any_way_is_taken(objective: Any) -> None:
    assert run(objective=objective, n_trials=1).best_value > 0.0


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda: asynchronous({}), "must return an iterator of dicts .*, got <coroutine"),
        (lambda: 0.5, "must return an iterator of dicts .*, got 0.5"),
        (lambda: np.array(0.5), r"must return an iterator of dicts .*, got array\(0.5\)"),
        (lambda: torch.tensor(0.5), r"must return an iterator of dicts .*, got tensor\(0.5"),
        (lambda: (0.5, 1), "must give a dict of metrics, got 0.5"),
        (lambda: np.zeros(3), r"must give a dict of metrics, got (np.float64\()?0.0"),
        (lambda: iter([None]), "must give a dict of metrics, got None"),
        (lambda: [["x" * 10_000]], r"must give a dict of metrics, got \['x{98}\.\.\. "),
        (lambda: [{"loss": None}], "'loss' must be a number, but trial 0 reported None"),
        (lambda: [{"loss": True}], "'loss' must be a number, but trial 0 reported True"),
        (lambda: [{"loss": "0.5"}], "'loss' must be a number, but trial 0 reported '0.5'"),
        (lambda: [{"loss": 1j}], "'loss' must be a number, but trial 0 reported 1j"),
        (lambda: [{"loss": np.zeros(2)}], "'loss' must be a number, but trial 0 reported array"),
        (lambda: [{"loss": 1.0, "seconds": 1j}], "'seconds' of an epoch must be a finite number .*, got 1j"),
        (lambda: [{"loss": 1.0, "seconds": "soon"}], "'seconds' of an epoch must be .*, got 'soon'"),
    ],
)
def test_what_is_no_report_is_told_in_one_sentence(returned: Any, told: str) -> None:
    with pytest.raises(TrialError, match=told):
        run(objective=lambda config: returned())


@pytest.mark.parametrize(
    "value", [np.array(0.5), np.float32(0.5), torch.tensor([0.5], requires_grad=True), np.array([[0.5]])]
)
def test_array_or_tensor_with_one_number_is_a_number(value: Any) -> None:
    assert run(objective=lambda config: [{"loss": value}], n_trials=1, policy="none").best_value == 0.5
