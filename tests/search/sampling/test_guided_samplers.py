"""Every sampler begins where the priors are, and none leaves the constraints."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest

from automl.errors import SpaceError
from automl.log import quiet_optuna
from automl.records import Config
from automl.search.sampling.feasibility import feasibility, share_allowed
from automl.search.sampling.registry import SAMPLERS, SamplerContext, make_sampler, within_constraints
from automl.search.tune import tune
from automl.spaces import SearchSpace
from automl.spaces.draw import at_random, walk
from tests.search.toy import Listener

AVAILABLE = [name for name in SAMPLERS if name != "cmaes" or importlib.util.find_spec("cmaes")]
_BELIEFS: dict[str, Any] = {
    "parameters": {
        "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True, "prior": 1e-2},
        "kind": {"type": "categorical", "choices": ["a", "b", "c"], "weights": [1, 1, 18]},
        "size": {"type": "int", "low": 1, "high": 9, "prior": 3, "when": {"kind": "c"}},
    }
}
_LIMITED: dict[str, Any] = {
    "parameters": {
        "kind": {"type": "categorical", "choices": ["a", "b"]},
        "x": {"type": "float", "low": 0, "high": 1},
        "y": {"type": "float", "low": 0, "high": 1},
        "extra": {"type": "int", "low": 1, "high": 50, "when": {"kind": "b"}},
    },
    "constraints": ["x + y <= 0.7", "kind == 'b' or y > 0.2", "extra % 7 == 3"],
}


def _context(space: SearchSpace, seed: int = 0) -> SamplerContext:
    allows = space.allows if space.constraints else None
    return SamplerContext(seed, space.suggest, 9, priors=space.priors, allows=allows)


def _run(
    sampler: optuna.samplers.BaseSampler, space: SearchSpace, count: int
) -> tuple[list[Config], optuna.Study]:
    """Complete trials, the better the higher x or lr."""
    with quiet_optuna():
        study = optuna.create_study(sampler=sampler, direction="maximize")
        found = []
        for _ in range(count):
            trial = study.ask()
            config = space.suggest(trial)
            value = float(config["x"] if "x" in config else config["lr"])
            trial.report(value, 9)
            study.tell(trial, value)
            found.append(config)
    return found, study


@pytest.mark.parametrize("name", AVAILABLE)
def test_search_begins_where_the_priors_are(name: str) -> None:
    space = SearchSpace.from_dict(_BELIEFS)
    found = [
        config
        for seed in range(6)
        for config in _run(make_sampler(name, _context(space, seed)), space, 10)[0]
    ]
    near = np.mean([10**-2.6 < config["lr"] < 10**-1.4 for config in found])
    assert near > 0.45  # .3 without priors
    assert np.mean([config["kind"] == "c" for config in found]) > 0.6


@pytest.mark.parametrize("name", AVAILABLE)
def test_priors_leave_optuna_its_plain_distributions(name: str) -> None:
    space = SearchSpace.from_dict(_BELIEFS)
    _, study = _run(make_sampler(name, _context(space)), space, 3)
    trial = study.trials[0]
    assert trial.distributions["lr"] == optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)
    assert trial.distributions["kind"] == optuna.distributions.CategoricalDistribution(["a", "b", "c"])


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name != "random"])
def test_first_trial_is_where_the_priors_are_and_given_ones_do_not_count(name: str) -> None:
    space = SearchSpace.from_dict(
        {
            "parameters": {
                **_BELIEFS["parameters"],
                "kind": {"type": "categorical", "choices": ["c", "d"], "prior": "c"},
            }
        }
    )
    with quiet_optuna():
        study = optuna.create_study(sampler=make_sampler(name, _context(space)))
        study.enqueue_trial({"lr": 1e-4, "kind": "d"})
        assert space.suggest(study.ask()) == {"lr": 1e-4, "kind": "d"}
        assert space.suggest(study.ask()) == {"lr": 1e-2, "kind": "c", "size": 3}


def test_random_sampler_draws_by_weights_to_the_end() -> None:
    space = SearchSpace.from_dict(_BELIEFS)
    found, _ = _run(make_sampler("random", _context(space)), space, 300)
    assert np.mean([config["kind"] == "c" for config in found]) == pytest.approx(0.9, abs=0.05)
    assert len({config["lr"] for config in found}) == 300


def test_wrong_prior_is_left_again() -> None:
    spec = {"lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True, "prior": 1e-5}}
    space = SearchSpace.from_dict({"parameters": spec})
    found, _ = _run(make_sampler("auto", _context(space)), space, 30)
    assert max(config["lr"] for config in found[-15:]) > 0.08


@pytest.mark.parametrize("name", AVAILABLE)
def test_sampler_keeps_the_constraints(name: str) -> None:
    space = SearchSpace.from_dict(_LIMITED)
    found, study = _run(make_sampler(name, _context(space)), space, 12 if name == "gp" else 25)
    assert all(space.allows(config) for config in found)
    assert {config["kind"] for config in found} == {"a", "b"}
    # what the study holds is what was run
    assert [trial.params for trial in study.trials] == [space.to_params(config) for config in found]
    assert all(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.trials)


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name != "gp"])
def test_constrained_draws_repeat_for_a_seed(name: str) -> None:
    space = SearchSpace.from_dict(
        {**_LIMITED, "parameters": {**_LIMITED["parameters"], "z": {**_BELIEFS["parameters"]["lr"]}}}
    )
    runs = [_run(make_sampler(name, _context(space, seed)), space, 12)[0] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


class _Stubborn(optuna.samplers.RandomSampler):
    """Wishes for the same each time."""

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return {"kind": "a", "x": 0.9, "y": 0.6}.get(param_name, 1)


def test_sampler_that_insists_gets_something_near_that_is_allowed() -> None:
    space = SearchSpace.from_dict(_LIMITED)
    found, _ = _run(within_constraints(_Stubborn(), _context(space)), space, 10)
    assert all(space.allows(config) for config in found)
    rng = np.random.default_rng(0)
    anywhere = [
        way.config
        for way in (walk(space.suggest, at_random(rng)) for _ in range(2000))
        if space.allows(way.config)
    ]
    near, far = (np.mean([abs(c["x"] - 0.9) + abs(c["y"] - 0.6) for c in each]) for each in (found, anywhere))
    assert near < far - 0.05


def _objective(config: Config) -> Iterator[dict[str, float]]:
    for _ in range(3):
        yield {"value": config["x"] - config["y"], "seconds": 1.0}


@pytest.mark.parametrize("sampler", ["auto", "tpe", optuna.samplers.TPESampler(seed=0)])
def test_tune_keeps_the_constraints_also_with_a_sampler_of_ones_own(sampler: Any) -> None:
    found = tune(
        _objective,
        _LIMITED,
        metric="value",
        max_epochs=3,
        n_trials=25,
        engine="simulated",
        parallel=3,
        sampler=sampler,
    )
    space = SearchSpace.from_dict(_LIMITED)
    assert all(space.allows(config) for config in found.trials.params)
    assert found.best_value > 0.3


def test_portfolio_that_breaks_a_constraint_stops_the_search() -> None:
    with pytest.raises(SpaceError, match=r"must satisfy the constraint 'x \+ y <= 0.7'"):
        tune(
            _objective,
            _LIMITED,
            metric="value",
            max_epochs=3,
            n_trials=2,
            engine="simulated",
            portfolio=[{"kind": "a", "x": 0.5, "y": 0.5}],
        )


def test_space_that_hardly_ever_holds_says_so() -> None:
    parameters = {"x": {"type": "int", "low": 1, "high": 1000}}
    rare = SearchSpace.from_dict({"parameters": parameters, "constraints": ["x <= 3"]})
    assert share_allowed(rare) == pytest.approx(0.003, abs=0.002)
    assert "hold for about 0." in feasibility(rare)
    never = SearchSpace.from_dict({"parameters": parameters, "constraints": ["x * x < 1"]})
    with pytest.raises(
        SpaceError,
        match=r"none of 20000 random configurations keeps all constraints .* \(x \* x < 1\): loosen one",
    ):
        feasibility(never)
    assert feasibility(SearchSpace.from_dict(_LIMITED)) == ""
    assert share_allowed(SearchSpace.from_dict(_BELIEFS)) == 1.0


def test_search_tells_of_rare_configurations() -> None:
    from automl.search.run import search
    from tests.search.toy import settings

    class Notes(Listener):
        def __init__(self) -> None:
            super().__init__()
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    spec = {
        "parameters": {
            "x": {"type": "int", "low": 1, "high": 1000},
            "y": {"type": "float", "low": 0, "high": 1},
        }
    }
    space = SearchSpace.from_dict({**spec, "constraints": ["x <= 3"]})
    notes = Notes()
    found = search(_objective, space, settings(metric="value", max_rounds=3, sampler="auto"), notes)
    assert [trial.config["x"] <= 3 for trial in found.trials] == [True] * 12
    assert ["hold for about" in note for note in notes.notes] == [True]
