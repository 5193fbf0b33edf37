"""`tune`: a search over any training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.config.durations import parse_duration
from automl.errors import ConfigError, SpaceError
from automl.records import Config, Mode, Observer
from automl.search.objective import check_objective
from automl.search.result import reports_frame, trials_frame
from automl.search.run import search
from automl.search.settings import SearchSettings
from automl.search.space import Space
from automl.terminal.html_table import html_table
from automl.training.hardware.process_state import leaves_no_trace

if TYPE_CHECKING:
    import pandas as pd
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from automl.search.objective import Objective


@dataclass(frozen=True)
class TuneResult:
    """The result of `tune`. All times are seconds of the search's clock, which the simulated engine simulates.

    `best_config` and `best_value` are the incumbent's. `trials` has a row for each trial: number, state ("complete",
    "pruned", "unfinished", "failed", "paused"), params, epochs, value, seconds, started, ended, and with several
    objectives a column for each and `pareto`. `pareto` has the rows of `trials` on the Pareto front, the best by the
    metric first; None without further objectives. `reports` has a row for each epoch: number, epoch, value, time.
    `stopped` is what cut the search short, or "".
    """

    best_config: Config
    best_value: float
    trials: pd.DataFrame = field(repr=False)
    reports: pd.DataFrame = field(repr=False)
    stopped: str = ""
    pareto: pd.DataFrame | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        """Return the best configuration, and the trials, as a notebook shows them."""
        best = [
            ("best value", f"{self.best_value:.6g}"),
            *self.best_config.items(),
            ("stopped", self.stopped),
        ]
        shown = html_table([row for row in best if row[1] != ""], title="Best trial")
        return shown + str(self.trials.to_html(max_rows=20))


@leaves_no_trace
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
    name: str = "tune",
    directory: str | Path | None = None,
    observer: Observer | None = None,
) -> TuneResult:
    """Search the configuration with the best `metric`.

    This is `automl.tune`, which describes the options, without its views: `observer` is told the progress.

    Raises ConfigError for wrong options and an objective that cannot be called, SpaceError for a wrong space or
    portfolio, StudyError if the storage holds a study with other settings, TrialError if all trials failed,
    TimeLimitError if no epoch ended in time, and StorageError and EngineError if these failed.
    """
    check_objective(objective)
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
        study=_name(name),
        directory=None if directory is None else Path(directory).absolute(),
        keeps_prints=True,
        storage=storage,
        objectives={} if objectives is None else objectives,
    )
    if observer is not None:
        observer.stage("search", f"searching for the best {metric}")
    found = search(objective, _space(space), settings, observer)
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


def _name(name: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"name must be a text that is not empty, got {name!r}")
    return name


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
