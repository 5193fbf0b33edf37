"""The result of a search, and its trials as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from automl.machine import Moment
from automl.records import Config, Mode, Report, TrialState
from automl.search.pareto import on_front
from automl.search.reasons import Code, Reason
from automl.search.storage.reader import StoredTrial

if TYPE_CHECKING:
    import pandas as pd

TRIAL_COLUMNS = ("number", "state", "params", "epochs", "value", "seconds", "started", "ended")
REPORT_COLUMNS = ("number", "epoch", "value", "time")


@dataclass(frozen=True)
class BestTrial:
    """The incumbent: `value` is that of its last `round`, `checkpoint` its saved state, if there is one.

    If no trial had a value in time, it is the first configuration, with the value NaN and the round 0. `rows` is the
    number of validation rows that the value was scored on, 0 if it was all of them.
    """

    number: int
    config: Config
    value: float
    round: int
    checkpoint: Path | None
    rows: int = 0


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    `trials` are the trainings of the study, by number; `heads` are its linear heads, which have numbers, too, but are
    never `best`. `stopped` is what cut the search short, None if it came to its end. `seconds` is how long this run
    took, `first_report` the moment of its first report. `leader` is the last report of the trial with the best value,
    if that is not the best trial: the two are within one standard error (`Incumbent`).
    """

    best: BestTrial
    trials: tuple[StoredTrial, ...] = field(repr=False)
    mode: Mode
    stopped: Reason | None
    seconds: float
    first_report: Moment | None = None
    leader: Report | None = None
    heads: tuple[StoredTrial, ...] = field(default=(), repr=False)

    def stopped_for(self, code: Code) -> bool:
        """Return whether this cut the search short."""
        return self.stopped is not None and self.stopped.code is code

    @property
    def scored(self) -> bool:
        """Whether any training had a value."""
        return math.isfinite(self.best.value)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of trainings: total, complete, pruned, unfinished, failed, paused."""
        states = [trial.state for trial in self.trials]
        kinds = [kind for kind in TrialState if kind is not TrialState.RUNNING]
        return {"total": len(states), **{kind.value: states.count(kind) for kind in kinds}}

    @property
    def rounds_run(self) -> int:
        """The number of reported rounds of all trials."""
        return sum(len(trial.reports) for trial in self.trials)

    @property
    def images_trained(self) -> int:
        """The number of images in training steps, as trials reported it in `images`."""
        return round(sum(r.metrics.get("images", 0.0) for trial in self.trials for r in trial.reports))

    @property
    def best_rate(self) -> float:
        """Images a second of the best trial, its scoring included; infinite where it reported none."""
        images = math.fsum(report.metrics.get("images", 0.0) for report in self._best_reports)
        seconds = math.fsum(report.seconds for report in self._best_reports)
        return images / seconds if images > 0 and seconds > 0 else math.inf

    @property
    def best_epochs(self) -> float:
        """The best trial's passes through its training rows: what it reported as `epochs`, or else its rounds."""
        last = self._best_reports[-1:]
        return last[0].metrics.get("epochs", float(last[0].round)) if last else 0.0

    @property
    def busy_seconds(self) -> float:
        """The seconds in rounds, of all workers."""
        return math.fsum(trial.seconds for trial in self.trials)

    @property
    def _best_reports(self) -> tuple[Report, ...]:
        return next((trial.reports for trial in self.trials if trial.number == self.best.number), ())


def trials_frame(
    trials: Sequence[StoredTrial], mode: Mode = "max", objectives: Mapping[str, Mode] | None = None
) -> pd.DataFrame:
    """Return a row for each trial: number, state, params, epochs, value, seconds, started, ended.

    `started` and `ended` are seconds of the search's clock. With `objectives` there is a column for each, with its
    value of the last round (NaN for a failed trial), and `pareto`: whether the trial is on the Pareto front.
    """
    import pandas as pd

    rows = [
        (
            trial.number,
            trial.state.value,
            trial.config,
            trial.rounds,
            trial.value,
            trial.seconds,
            math.nan if trial.started is None else trial.started,
            math.nan if trial.ended is None else trial.ended,
        )
        for trial in trials
    ]
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    if objectives:
        reached = [objective_values(trial, objectives) for trial in trials]
        for place, name in enumerate(objectives):
            frame[name] = [values[place] for values in reached]
        points = [(trial.value, *values) for trial, values in zip(trials, reached, strict=True)]
        frame["pareto"] = on_front(points, [mode, *objectives.values()])
    return frame


def objective_values(trial: StoredTrial, objectives: Iterable[str]) -> tuple[float, ...]:
    """Return the objectives of the trial's last round; NaN where it reported none, and for a failed trial."""
    if trial.state is TrialState.FAILED or not trial.reports:
        return tuple(math.nan for _ in objectives)
    return tuple(trial.reports[-1].metrics.get(name, math.nan) for name in objectives)


def reports_frame(trials: Iterable[StoredTrial]) -> pd.DataFrame:
    """Return a row for each round, in the order of their times: number, epoch, value, time."""
    import pandas as pd

    rows = [
        (trial.number, report.round, report.value, moment)
        for trial in trials
        for report, moment in zip(trial.reports, trial.report_times, strict=True)
    ]
    rows.sort(key=lambda row: (row[3], row[0], row[1]))
    return pd.DataFrame(rows, columns=list(REPORT_COLUMNS))
