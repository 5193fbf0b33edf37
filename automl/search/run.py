"""`search`: one search from its settings to its result."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import ConfigError, TimeLimitError, TrialError, unknown_name
from automl.interrupt import INTERRUPTED, ctrl_c_asks
from automl.records import Observer, Silent
from automl.search.control.coordinator import Coordinator, Parts
from automl.search.engines.base import Engine
from automl.search.engines.registry import ENGINES, load_engine
from automl.search.objective import Objective
from automl.search.policy import POLICIES, Policy, PolicyContext, make_policy
from automl.search.reasons import Code, Reason
from automl.search.result import BestTrial, SearchResult
from automl.search.sampling.feasibility import feasibility
from automl.search.sampling.registry import SAMPLERS, context_of, make_sampler, within_constraints
from automl.search.settings import SearchSettings
from automl.search.space import Space
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.fingerprint import fingerprint
from automl.search.storage.store import Store

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def search(
    objective: Objective,
    space: Space,
    settings: SearchSettings,
    observer: Observer | None = None,
    *,
    engine: Engine | None = None,
) -> SearchResult:
    """Runs a search, or continues one.

    `engine` is one that was made before, such as a Ray engine that is starting up; by default the one that
    the settings name is made. After Ctrl-C the result says so in `stopped`.

    Raises ConfigError for an unknown engine, policy or sampler, StudyError if the study exists with other settings,
    SpaceError for a portfolio outside of the space and for
    constraints that nothing keeps, TrialError if nothing but failures came of it, TimeLimitError if not one round was
    done in time, the errors of the storage and the engine, and KeyboardInterrupt after a Ctrl-C that came before any
    value.
    """
    check_names(engine=settings.engine, policy=settings.policy, sampler=settings.sampler)
    for config in settings.portfolio if settings.portfolio is not None else space.portfolio:
        space.to_params(config)
    note = feasibility(space)
    if note and observer is not None:
        observer.note(note)
    engine = load_engine(settings.engine)() if engine is None else engine
    with _directory(settings) as directory, _open_store(space, settings) as store:
        coordinator = Coordinator(
            Parts(
                store=store,
                policy=policy_of(settings),
                space=space,
                settings=settings,
                observer=observer or Silent(),
                files=TrialFiles(directory, logs=settings.directory is not None, limit=settings.max_disk),
                clock=engine.clock,
            )
        )
        try:
            with ctrl_c_asks(lambda _: coordinator.request_stop(Reason(Code.INTERRUPTED))):
                engine.run(coordinator, objective, settings)
        except BaseException as error:
            # Whatever broke, the trials stay where they are and the study can be continued.
            coordinator.request_stop(Reason(Code.SEARCH_BROKE, {"error": type(error).__name__}))
            raise
        finally:
            coordinator.finish()
        return _result(coordinator, store, settings, directory)


def check_names(*, engine: str = "ray", policy: object = "auto", sampler: object = "auto") -> None:
    """Raises ConfigError with all names that are unknown. A pruner or a sampler of Optuna has no name to check."""
    rows = (("engine", engine, ENGINES), ("policy", policy, POLICIES), ("sampler", sampler, SAMPLERS))
    problems = [
        unknown_name(kind, name, valid)
        for kind, name, valid in rows
        if isinstance(name, str) and name not in valid
    ]
    if problems:
        raise ConfigError("; ".join(problems))


def _result(
    coordinator: Coordinator, store: Store, settings: SearchSettings, directory: Path
) -> SearchResult:
    if coordinator.fatal is not None:
        raise coordinator.fatal
    trials = tuple(store.trials())
    best = coordinator.incumbent.best
    stopped = coordinator.why_stopped()
    if best is None:
        error = _nothing_found(coordinator, settings)
        if not (settings.deliver_anyway and isinstance(error, TimeLimitError)):
            raise error
        first = BestTrial(0, coordinator.first_config(), math.nan, 0, None)
        return SearchResult(first, trials, settings.mode, stopped, coordinator.elapsed())
    place = TrialFiles(directory, logs=False).checkpoint(best.trial)
    kept = settings.directory is not None and place.exists()
    found = BestTrial(
        number=best.trial,
        config=coordinator.config(best.trial),
        value=best.value,
        round=best.round,
        checkpoint=place if kept else None,
    )
    leader = coordinator.incumbent.leader
    return SearchResult(
        found,
        trials,
        settings.mode,
        stopped,
        coordinator.elapsed(),
        coordinator.first_report,
        ahead=None if leader is None or leader.trial == best.trial else leader,
    )


def _nothing_found(coordinator: Coordinator, settings: SearchSettings) -> BaseException:
    why = coordinator.stop_reason
    if why is not None and why.code is Code.INTERRUPTED:
        return KeyboardInterrupt(INTERRUPTED)
    if why is not None:
        return TrialError(f"the search stopped before any trial had a value: {why}")
    cause = coordinator.common_cause()
    if cause:
        return TrialError(f"no trial gave a value, and trials failed: {cause}")
    if coordinator.remaining() <= 0:
        return TimeLimitError(
            "the time limit must hold at least one round of one trial, but none ended in "
            f"{coordinator.elapsed():.1f} s: give more time"
        )
    return TrialError(
        f"no trial reported a finite {settings.metric!r}: look at the objective's values in the reports"
    )


def policy_of(settings: SearchSettings) -> Policy:
    """The policy that the settings name, fresh; one of Optuna's pruners is made into one."""
    context = PolicyContext(settings.max_rounds, settings.mode)
    if isinstance(settings.policy, str):
        return make_policy(settings.policy, context)
    from automl.search.policy.optuna_pruner import PrunerPolicy

    return PrunerPolicy(context, settings.policy)


@contextmanager
def _directory(settings: SearchSettings) -> Iterator[Path]:
    """The study's folder, or a temporary one that goes away with the search."""
    if settings.directory is not None:
        settings.directory.mkdir(parents=True, exist_ok=True)
        # Workers are told absolute paths: their working directory is another.
        yield settings.directory.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="automl-") as folder:
        yield Path(folder)


@contextmanager
def _open_store(space: Space, settings: SearchSettings) -> Iterator[Store]:
    store = Store.open(
        settings.storage,
        settings.study,
        fingerprint=fingerprint(space, settings),
        make_sampler=lambda count: _sampler(space, settings, count),
        objectives=settings.objectives,
    )
    try:
        yield store
    finally:
        store.close()


def _sampler(space: Space, settings: SearchSettings, count: int) -> BaseSampler:
    context = context_of(space, settings, seed=_seed(settings.seed, count))
    if isinstance(settings.sampler, str):
        return make_sampler(settings.sampler, context)
    return within_constraints(settings.sampler, context)


def _seed(seed: int, count: int) -> int:
    """The sampler's seed for a run that begins with `count` trials: a continued study must not repeat its
    draws.
    """
    return int(np.random.SeedSequence([seed, count]).generate_state(1)[0])
