"""`tune`: a search over anybody's training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automl.config.durations import parse_duration
from automl.errors import ConfigError, SpaceError
from automl.records import Config, Mode
from automl.search.result import reports_frame, trials_frame
from automl.search.run import search
from automl.search.settings import SearchSettings
from automl.search.space import Space

if TYPE_CHECKING:
    import pandas as pd
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from automl.search.objective import Objective


@dataclass(frozen=True)
class TuneResult:
    """What `tune` found. All times are seconds of the search's clock, virtual under the simulated engine.

    `best_config` and `best_value` are the incumbent's. `trials` has one row a trial: number, state ("complete",
    "pruned", "failed", "paused"), params, epochs, value, seconds, started, ended, and with several objectives a column
    for each and `pareto`. `pareto` are those rows of `trials` that no other one beats in everything, the best by the
    metric first; None without further objectives. `reports` has one row an epoch that was run: number, epoch, value,
    time. `stopped`: what cut the search short, or "".
    """

    best_config: Config
    best_value: float
    trials: pd.DataFrame = field(repr=False)
    reports: pd.DataFrame = field(repr=False)
    stopped: str = ""
    pareto: pd.DataFrame | None = field(default=None, repr=False)


def tune(
    objective: Objective,
    space: Space | Mapping[str, Any],
    *,
    metric: str,
    mode: Mode = "max",
    max_epochs: int,
    n_trials: int | None = None,
    time_limit: float | str | None = None,
    parallel: int = 1,
    engine: str = "ray",
    policy: str | BasePruner = "auto",
    sampler: str | BaseSampler = "auto",
    portfolio: Sequence[Config] | None = None,
    seed: int = 0,
    storage: str | None = None,
    objectives: Mapping[str, Mode] | None = None,
) -> TuneResult:
    """Searches the configuration with the best `metric`.

    `objective(config)` is a generator that yields one dict an epoch with the metric and, if it likes,
    `seconds` (of that epoch); or it gives an object with `step()`, `save(dir)` and `load(dir)`, and perhaps
    `close()`, where state must survive a pause: a generator is run again up to the epoch it had reached.
    `space` is a SearchSpace or the dict that makes one. `n_trials` is a total over all runs of a stored
    study; `time_limit` is seconds, or text such as "10m"; at least one of the two is needed. `storage` is a
    database URL, None keeps nothing. `policy` is a name or one of Optuna's pruners, `sampler` a name or one of Optuna's
    samplers. `objectives` are further numbers that every epoch yields, such as {"seconds_per_image": "min"}: they are
    kept with each trial and say which trials are on the Pareto front; the metric alone steers the search.

    Raises ConfigError for wrong options, SpaceError for a wrong space or portfolio, StudyError where the
    storage holds a study with other settings, TrialError if nothing but failures came of it, TimeLimitError
    if no epoch ended in time, StorageError and EngineError where these broke.
    """
    settings = SearchSettings(
        metric=metric,
        mode=mode,
        max_rounds=max_epochs,
        n_trials=n_trials,
        time_limit=_seconds(time_limit),
        parallel=parallel,
        engine=engine,
        policy=policy,
        sampler=sampler,
        portfolio=portfolio,
        seed=seed,
        study="tune",
        storage=storage,
        objectives={} if objectives is None else objectives,
    )
    found = search(objective, _space(space), settings)
    trials = trials_frame(found.trials, mode, settings.objectives)
    front = trials[trials["pareto"]] if settings.objectives else None
    return TuneResult(
        best_config=found.best.config,
        best_value=found.best.value,
        trials=trials,
        reports=reports_frame(found.trials),
        stopped="" if found.stopped is None else str(found.stopped),
        pareto=None if front is None else front.sort_values("value", ascending=mode == "min", kind="stable"),
    )


def _seconds(time_limit: float | str | None) -> float | None:
    if time_limit is None:
        return None
    try:
        return parse_duration(time_limit)
    except ValueError as error:
        raise ConfigError(f"time_limit {error}") from error


def _space(space: Space | Mapping[str, Any]) -> Space:
    if isinstance(space, Mapping):
        from automl.spaces import SearchSpace

        return SearchSpace.from_dict(dict(space))
    if hasattr(space, "suggest") and hasattr(space, "to_params"):
        return space
    raise SpaceError(f"space must be a SearchSpace or a dict that describes one, got {space!r}")
