"""A trial as the dashboard shows it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from automl.records import TrialRow, TrialState
from automl.review.dashboard.names import parameter_words
from automl.review.dashboard.snapshot import Snapshot
from automl.review.describe import config_words
from automl.search.storage.kinds import HEADS
from automl.training.models.complexity import MACS, PARAMS

# Attributes that `_attributes` has in other words, and one of Optuna for each of two network sizes.
_REPLACED = {"paused", "reason", "unfinished", "cause", "kind", "seconds", f"{PARAMS} (min)", f"{MACS} (min)"}


def shown_trial(trial: FrozenTrial, snapshot: Snapshot) -> FrozenTrial:
    """Return a trial with its true times, readable names, and a state whose charts have it.

    A paused trial is Pruned for the page, which draws no curve, history or time of one that is Waiting. It keeps its
    last value, and ends at its pause. An unfinished one is Complete: no other had beaten it, and the page follows the
    best value over these alone. The attribute `state` says what a trial is.
    """
    row = snapshot.trials.get(trial.number)
    if row is None:
        return trial
    names = {name: parameter_words(name) for name in trial.params}
    if len(set(names.values())) < len(names):
        names = {name: name for name in trial.params}
    paused = trial.state is OptunaState.WAITING and row.rounds > 0
    value = row.value if paused else trial.values[0] if trial.values else None
    value = value if value is not None and math.isfinite(value) else None
    started, ended = _times(trial, row, snapshot)
    return FrozenTrial(
        number=trial.number,
        state=_state(trial, row, paused=paused, scored=value is not None),
        value=value,
        datetime_start=started,
        datetime_complete=ended if paused or trial.state.is_finished() else None,
        params={names[name]: each for name, each in trial.params.items()},
        distributions={names[name]: each for name, each in trial.distributions.items()},
        user_attrs=_attributes(trial, row),
        system_attrs=trial.system_attrs,
        intermediate_values=_curve(trial, row),
        trial_id=trial._trial_id,
    )


def _state(trial: FrozenTrial, row: TrialRow, *, paused: bool, scored: bool) -> OptunaState:
    if paused:
        return OptunaState.PRUNED
    return OptunaState.COMPLETE if row.state is TrialState.UNFINISHED and scored else trial.state


def _times(trial: FrozenTrial, row: TrialRow, snapshot: Snapshot) -> tuple[datetime | None, datetime | None]:
    """Return when a trial began and when it ended, or last paused. Optuna overwrites the first at each resume."""
    known = snapshot.moments.get(trial.number)
    started, ended = _utc(trial.datetime_start), _utc(trial.datetime_complete)
    if known is None:
        return started, ended
    return known.first, ended if row.state is not TrialState.PAUSED and ended is not None else known.last


def _utc(moment: datetime | None) -> datetime | None:
    """Return a moment with its zone, without which a browser reads it as local time."""
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _curve(trial: FrozenTrial, row: TrialRow) -> dict[int, float]:
    """Return the value of each round; of a linear head, which has none, its value before the first."""
    if row.kind in HEADS and row.value is not None:
        return {0: row.value}
    return trial.intermediate_values


def _attributes(trial: FrozenTrial, row: TrialRow) -> dict[str, Any]:
    """Return what a table of trials should show, and last what others wrote."""
    said: dict[str, Any] = {
        "state": str(row.state),
        "kind": row.kind,
        "rounds": row.rounds,
        "epochs": None if row.epochs is None else round(row.epochs, 2),
        "training seconds": round(row.seconds, 2),
        "why": row.reason,
        "configuration": "" if trial.params else config_words(row.config, everything=True),
        "network parameters": row.objectives.get(PARAMS),
        "multiplications": row.objectives.get(MACS),
    }
    gone = _REPLACED | (row.config.keys() if row.kind in HEADS else set())
    left = {key: value for key, value in trial.user_attrs.items() if key not in gone}
    return {key: value for key, value in {**said, **left}.items() if value not in (None, "")}
