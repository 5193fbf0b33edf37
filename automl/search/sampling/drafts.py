"""Drafts: configurations that a sampler drew for a trial that does not exist yet."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial

from automl.log import quiet_optuna
from automl.records import Config
from automl.search.sampling.study_view import SamplerView

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class Draft:
    """A configuration, its future Optuna trial, and the sampler's notes about the study."""

    config: Config
    trial: FrozenTrial
    notes: Mapping[str, Any]


def draw(
    view: SamplerView,
    study: optuna.Study,
    suggest: Callable[[optuna.Trial], Config],
    *,
    fixed: Mapping[str, Any] | None = None,
    sampler: BaseSampler | None = None,
) -> Draft:
    """Return a draft that follows the view at this moment. View and study do not change, and others may change them.

    `fixed` are parameters by Optuna's names. `sampler` replaces the study's own. Samplers are not thread-safe: one draw
    at a time.
    """
    twin = view.snapshot()
    with quiet_optuna():
        scratch = optuna.load_study(
            study_name=study.study_name, storage=twin, sampler=sampler or study.sampler
        )
        if fixed is not None:
            scratch.enqueue_trial(dict(fixed))
        trial = scratch.ask()
        config = suggest(trial)
    study_id = twin.get_study_id_from_name(study.study_name)
    drawn = twin.get_trial(twin.get_trial_id_from_study_id_trial_number(study_id, trial.number))
    return Draft(config, drawn, twin.get_study_system_attrs(study_id))


def adopt(view: SamplerView, study: optuna.Study, draft: Draft) -> FrozenTrial:
    """Make a running trial of a draft, with the next number. It starts at this moment."""
    study_id = view.get_study_id_from_name(study.study_name)
    known = view.get_study_system_attrs(study_id)
    for key, value in draft.notes.items():
        if known.get(key) != value:
            view.set_study_system_attr(study_id, key, value)
    trial = copy.copy(draft.trial)
    trial.datetime_start = datetime.now()
    return view.get_trial(view.create_new_trial(study_id, template_trial=trial))
