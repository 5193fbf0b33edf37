"""Which parameters matter, also in a study in which hardly any trial came to its full length."""

from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from automl.log import quiet_optuna
from automl.records import Mode

FEWEST_TRIALS = 4


def importances(trials: list[FrozenTrial], mode: Mode) -> list[dict[str, Any]]:
    """Return name, importance and kind of each parameter, the most important first, as the dashboard's page reads them.

    Trials are compared at the last round that at least half of them reached, by PED-ANOVA (Watanabe et al., 2023).
    Empty for fewer than 4 such trials, and where they have no parameter in common.
    """
    compared = _at_common_round(trials)
    if len(compared) < FEWEST_TRIALS:
        return []
    with quiet_optuna(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
        study.add_trials(compared)
        try:
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):  # all values or all parameters are the same
            return []
    kinds = {name: type(each).__name__ for trial in compared for name, each in trial.distributions.items()}
    return [{"name": name, "importance": value, "distribution": kinds[name]} for name, value in found.items()]


def _at_common_round(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return trainings with their values at the last round that half of them reached."""
    known = [trial for trial in trials if trial.params and trial.intermediate_values]
    lengths = sorted(max(trial.intermediate_values) for trial in known)
    if not lengths:
        return []
    common = lengths[len(lengths) // 2]
    return [
        optuna.trial.create_trial(
            params=trial.params,
            distributions=trial.distributions,
            value=trial.intermediate_values[common],
            state=OptunaState.COMPLETE,
        )
        for trial in known
        if math.isfinite(trial.intermediate_values.get(common, math.nan))
    ]
