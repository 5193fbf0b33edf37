"""`search`: run one search from its settings to its result."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import ConfigError, TimeLimitError, TrialError, unknown_name
from automl.interrupt import search_begins, stop_on_interrupt
from automl.records import HeadTrial, Observer, Silent
from automl.search.control.coordinator import Coordinator
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
from automl.search.storage.reader import StoredTrial
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
    """Run a search, or continue one.

    `engine` is one that exists already, such as a Ray engine that is starting up. By default the engine that the
    settings name is made. After Ctrl-C the result says so in `stopped`. The result has no value if the time, or with
    heads a Ctrl-C, came before any.

    Raises ConfigError for an unknown engine, policy or sampler, StudyError if the study exists with other settings,
    SpaceError for a portfolio outside of the space and for constraints that no configuration keeps, TrialError if all
    trials failed, TimeLimitError if no round ended in time, the errors of storage and engine, and KeyboardInterrupt
    after a Ctrl-C that came before any value.
    """
    check_names(engine=settings.engine, policy=settings.policy, sampler=settings.sampler)
    for config in settings.portfolio if settings.portfolio is not None else space.portfolio:
        space.to_params(config)
    note = feasibility(space)
    if note and observer is not None:
        observer.note(note)
    engine = load_engine(settings.engine)() if engine is None else engine
    with _directory(settings) as directory, closing(_open_store(space, settings)) as store:
        store.keep_heads(settings.heads)
        coordinator = Coordinator(
            store=store,
            policy=policy_of(settings),
            space=space,
            settings=settings,
            observer=observer or Silent(),
            files=TrialFiles(
                directory,
                logs=settings.directory is not None,
                limit=settings.max_disk,
                output=settings.keeps_prints,
            ),
            clock=engine.clock,
        )
        search_begins()
        try:
            with stop_on_interrupt(lambda: coordinator.request_stop(Reason(Code.INTERRUPTED))):
                engine.run(coordinator, objective, settings)
        except BaseException as error:
            # Whatever broke, trials stay paused and the study can be continued.
            coordinator.request_stop(Reason(Code.SEARCH_BROKE, {"error": type(error).__name__}))
            raise
        finally:
            coordinator.finish()
        return _result(coordinator, store, settings, directory)


def keep_heads(space: Space, settings: SearchSettings, heads: Sequence[HeadTrial]) -> tuple[StoredTrial, ...]:
    """Write linear heads into the study of a search that is over, and return all that it has then.

    Raises StorageError and StudyError.
    """
    with closing(_open_store(space, settings)) as store:
        store.keep_heads(heads)
        return tuple(store.heads())


def check_names(*, engine: str = "ray", policy: object = "auto", sampler: object = "auto") -> None:
    """Raise ConfigError with all names that are unknown, and all parts that are neither a name nor Optuna's."""
    rows: tuple[tuple[str, object, Mapping[str, object], str], ...] = (
        ("engine", engine, ENGINES, ""),
        ("policy", policy, POLICIES, "optuna.pruners.BasePruner"),
        ("sampler", sampler, SAMPLERS, "optuna.samplers.BaseSampler"),
    )
    problems = [
        unknown_name(kind, part, valid)
        if isinstance(part, str)
        else f"{kind} must be one of the names {', '.join(sorted(valid))}{f' or an {own}' * bool(own)}, got {part!r}"
        for kind, part, valid, own in rows
        if (part not in valid if isinstance(part, str) else not (own and _is_of_optuna(part, own)))
    ]
    if problems:
        raise ConfigError("; ".join(problems))


def _is_of_optuna(part: object, own: str) -> bool:
    """Return whether a part is of Optuna's class `own`, which is imported for parts that are no names only."""
    module, _, name = own.rpartition(".")
    return isinstance(part, getattr(import_module(module), name))


def _result(
    coordinator: Coordinator, store: Store, settings: SearchSettings, directory: Path
) -> SearchResult:
    if coordinator.fatal is not None:
        raise coordinator.fatal
    trials, heads = tuple(store.trials()), tuple(store.heads())
    best = coordinator.incumbent.best
    stopped = coordinator.why_stopped()
    if best is None:
        error = _nothing_found(coordinator, settings, reported=any(trial.reports for trial in trials))
        late, asked = isinstance(error, TimeLimitError), isinstance(error, KeyboardInterrupt)
        if not ((settings.deliver_anyway and late) or (settings.heads and asked)):
            raise error
        number = min(coordinator.trials, default=len(heads))
        first = BestTrial(number, coordinator.first_config(), math.nan, 0, None)
        seconds = coordinator.time.elapsed()
        return SearchResult(first, trials, settings.mode, stopped, seconds, heads=heads)
    files = TrialFiles(directory, logs=False)
    files.go_back(best.trial, best.round)
    place = files.checkpoint(best.trial)
    kept = settings.directory is not None and place.exists()
    found = BestTrial(
        number=best.trial,
        config=coordinator.trials[best.trial].config,
        value=best.value,
        round=best.round,
        checkpoint=place if kept else None,
        rows=best.rows,
    )
    leader = coordinator.incumbent.leader
    return SearchResult(
        found,
        trials,
        settings.mode,
        stopped,
        coordinator.time.elapsed(),
        coordinator.first_report,
        leader=None if leader is None or leader.trial == best.trial else leader,
        heads=heads,
    )


def _nothing_found(coordinator: Coordinator, settings: SearchSettings, *, reported: bool) -> BaseException:
    why = coordinator.stop_reason
    if why is not None and why.code is Code.INTERRUPTED:
        return KeyboardInterrupt(str(why))
    if why is not None:
        return TrialError(f"the search stopped before any trial had a value: {why}")
    cause = coordinator.failures.common_cause()
    if cause:
        return TrialError(f"no trial gave a value, and trials failed: {cause}")
    # Without a report nothing is wrong with the values: workers were too slow to start, and no round fitted any more.
    timed = math.isfinite(coordinator.time.remaining())
    if coordinator.time.remaining() <= 0 or (timed and not reported):
        return TimeLimitError(
            f"no trial ended its first round within {coordinator.time.elapsed():.1f} s: give a longer time limit"
        )
    return TrialError(
        f"no trial reported a finite {settings.metric!r}: check the values that the objective reports"
    )


def policy_of(settings: SearchSettings) -> Policy:
    """Return a fresh policy, by the name in the settings or around one of Optuna's pruners."""
    context = PolicyContext(settings.max_rounds, settings.mode, settings.significance)
    if isinstance(settings.policy, str):
        return make_policy(settings.policy, context)
    from automl.search.policy.optuna_pruner import PrunerPolicy

    return PrunerPolicy(context, settings.policy)


@contextmanager
def _directory(settings: SearchSettings) -> Iterator[Path]:
    """Give the study's folder, or a temporary one that is removed after the search."""
    if settings.directory is not None:
        try:
            settings.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"directory must be a folder that can be made, got {str(settings.directory)!r} ({error.strerror}): "
                "give another one"
            ) from error
        # Absolute, because workers have another working directory.
        yield settings.directory.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="automl-") as folder:
        yield Path(folder)


def _open_store(space: Space, settings: SearchSettings) -> Store:
    return Store.open(
        settings.storage,
        settings.study,
        fingerprint=fingerprint(space, settings),
        make_sampler=lambda count: _sampler(space, settings, count),
        objectives=settings.objectives,
        attributes=settings.attributes,
    )


def _sampler(space: Space, settings: SearchSettings, count: int) -> BaseSampler:
    context = context_of(space, settings, seed=_seed(settings.seed, count))
    if isinstance(settings.sampler, str):
        return make_sampler(settings.sampler, context)
    return within_constraints(settings.sampler, context)


def _seed(seed: int, count: int) -> int:
    """Return the sampler's seed for a run that begins with `count` trials: a continued study draws other points."""
    return int(np.random.SeedSequence([seed, count]).generate_state(1)[0])
