"""The curve sampler through Optuna."""

import time
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.log import quiet_optuna
from automl.search.sampling.curve_gp import CurveGPSampler
from automl.search.sampling.curve_gp.curves import Curves
from automl.search.sampling.curve_gp.encoding import Array, Encoding
from automl.search.sampling.curve_gp.model import CurveModel
from automl.search.tune import tune
from tests.search.toy import ToySpace, climb, value_at

LEVELS = (3, 9, 27)


def study_of(seed: int, *, maximize: bool = True) -> optuna.Study:
    sampler = CurveGPSampler(ToySpace().suggest, levels=LEVELS, seed=seed)
    with quiet_optuna():
        return optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")


def run(study: optuna.Study, count: int, *, rounds: int, sign: float = 1.0) -> list[dict[str, Any]]:
    """Trials that are all left after some rounds, as if they were paused."""
    found = []
    with quiet_optuna():
        for _ in range(count):
            trial = study.ask()
            config = ToySpace().suggest(trial)
            for round in range(1, rounds + 1):
                trial.report(sign * value_at(config, round), round)
            study.tell(trial, state=TrialState.PRUNED)
            found.append(config)
    return found


@pytest.mark.parametrize("maximize", [True, False])
def test_sampler_learns_from_trials_that_never_finished(maximize: bool) -> None:
    configs = run(study_of(0, maximize=maximize), 30, rounds=3, sign=1.0 if maximize else -1.0)
    assert np.median([config["x"] for config in configs[:10]]) < 0.7
    assert np.median([config["x"] for config in configs[-15:]]) > 0.9


def test_first_trials_are_spread_evenly() -> None:
    xs = sorted(config["x"] for config in run(study_of(3), 8, rounds=1))
    assert all(i / 8 - 0.125 <= x <= (i + 1) / 8 + 0.125 for i, x in enumerate(xs))


def test_running_trials_send_the_next_elsewhere() -> None:
    study = study_of(1)
    run(study, 14, rounds=27)
    with quiet_optuna():
        waiting = [ToySpace().suggest(study.ask()) for _ in range(6)]
    points = {
        (round(config["x"], 2), config["kind"], round(config.get("extra", -1), 2)) for config in waiting
    }
    assert len(points) >= 4


def test_the_model_is_told_of_every_running_trial_and_forgets_it_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = study_of(1)
    run(study, 14, rounds=27)
    told: list[int] = []
    condition = CurveModel.condition

    def watched(self: CurveModel, x: Array, y: Array) -> None:
        told.append(len(y))
        condition(self, x, y)

    monkeypatch.setattr(CurveModel, "condition", watched)
    with quiet_optuna():
        trials = [study.ask() for _ in range(3)]
        for trial in trials:
            ToySpace().suggest(trial)
        rows = 14 * len(LEVELS)
        assert max(told) == rows + 2  # the two others, however many were begun before one was drawn
        for trial in trials:
            study.tell(trial, state=TrialState.FAIL)
        told.clear()
        ToySpace().suggest(study.ask())
    assert max(told) == rows


def test_failed_trials_and_values_that_are_not_finite_are_left_out() -> None:
    study = study_of(2)
    run(study, 12, rounds=3)
    with quiet_optuna():
        for value in (float("nan"), 1e9):
            trial = study.ask()
            ToySpace().suggest(trial)
            trial.report(value, 1)
            study.tell(trial, state=TrialState.FAIL)
    curves = Curves(_encoding(), LEVELS, np.random.default_rng(0))
    curves.update(study.trials, maximize=True)
    assert curves.count == 12
    assert np.isfinite(curves.data()[1]).all()


def test_data_hold_the_levels_and_the_last_round() -> None:
    study = study_of(2)
    run(study, 1, rounds=11)
    curves = Curves(_encoding(), LEVELS, np.random.default_rng(0))
    curves.update(study.trials, maximize=True)
    x, y = curves.data()
    assert np.exp(x[:, -1] * np.log(27)) == pytest.approx([3, 9, 11])
    assert y.mean() == pytest.approx(0)


def test_too_many_values_keep_the_late_rounds() -> None:
    study = study_of(2)
    run(study, 30, rounds=27)
    run(study, 150, rounds=3)
    curves = Curves(_encoding(), LEVELS, np.random.default_rng(0))
    curves.update(study.trials, maximize=True)
    x, _ = curves.data()
    assert len(x) == 160
    assert (x[:, -1] == 1.0).sum() == 30


def test_trial_that_got_further_is_read_again() -> None:
    study = study_of(2)
    with quiet_optuna():
        trial = study.ask()
        ToySpace().suggest(trial)
        curves = Curves(_encoding(), LEVELS, np.random.default_rng(0))
        for round, rows in ((1, 1), (2, 1), (3, 1), (4, 2)):
            trial.report(0.1, round)
            curves.update(study.get_trials(deepcopy=False), maximize=True)
            assert len(curves.data()[1]) == rows


def test_suggestion_is_quick_with_many_trials() -> None:
    study = study_of(0)
    run(study, 60, rounds=9)
    begin = time.process_time()
    run(study, 20, rounds=9)
    assert (time.process_time() - begin) / 20 < 0.15


def test_search_with_it_finds_the_top_and_repeats_itself() -> None:
    found = [
        tune(
            climb,
            ToySpace(),
            metric="accuracy",
            max_epochs=27,
            n_trials=30,
            engine="simulated",
            parallel=3,
            sampler="curve-gp",
            seed=5,
        )
        for _ in range(2)
    ]
    assert found[0].best_config["x"] > 0.97
    assert found[0].trials.params.tolist() == found[1].trials.params.tolist()


def _encoding() -> Encoding:
    return Encoding(CurveGPSampler(ToySpace().suggest, levels=LEVELS, seed=0)._encoding.distributions)
