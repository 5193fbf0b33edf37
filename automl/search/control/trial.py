"""A trial of a running search: restored from an earlier run, or hanging."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from automl.records import Config, Report, TrialState
from automl.search.objective import Step
from automl.search.policy import TrialView
from automl.search.reasons import Code, Reason, in_words
from automl.search.settings import SearchSettings
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.reader import StoredTrial

FINAL = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.UNFINISHED, TrialState.FAILED})
# When a silent trial counts as hanging. Generous, because a retry costs all rounds since the last checkpoint.
SILENT_ROUNDS = 20.0  # times the longest round of any trial: rounds of architectures differ that much
STARTING = 2.0  # times as long while a process starts: it imports, decodes and loads
NO_ROUND_YET_S = 1800.0  # while no trial has reported at all


@dataclass
class LiveTrial:
    """A trial of a running search.

    `checkpoint` is the saved round, 0 if there is none. `seconds` and `metrics` are those of its last round. `placed`:
    its worker is known. `heard` is the engine's clock when it began to run or last reported. `tries` counts lost
    processes. `reopened`: an earlier search left it unfinished, and it has not run since. `objectives` are those of its
    last round.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    round: int = 0
    value: float | None = None
    checkpoint: int = 0
    placed: bool = False
    seconds: float = 0.0
    heard: float = 0.0
    tries: int = 0
    reopened: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    objectives: tuple[float, ...] = ()  # none before its first round

    def take(self, report: Report) -> None:
        """Take in a round."""
        self.round, self.value = report.round, report.value
        self.seconds, self.metrics = report.seconds, report.metrics

    def ought_to_be_saved(self, step: Step) -> bool:
        """Return whether the trial, which has just left its worker, may go on later from this step and is not saved."""
        goes_on = self.state in (TrialState.PAUSED, TrialState.UNFINISHED)
        return goes_on and 0 < self.round == step.round and not (step.saved or step.disk_full)


def restored(trial: StoredTrial, files: TrialFiles) -> tuple[TrialView, LiveTrial]:
    """Return a trial of an earlier run as the policy and the coordinator see it.

    A trial that a stop or a crash interrupted stands at its checkpoint, or at its beginning if it has none; later
    rounds run again. So does one that the search left unfinished with a finite value and a checkpoint: it is PAUSED
    there. Any other stands where it last reported.
    """
    files.go_back(trial.number, trial.rounds)
    saved = files.saved_round(trial.number)
    round, state, shown = trial.rounds, trial.state, trial.state
    reopened = trial.state is TrialState.UNFINISHED and saved > 0 and math.isfinite(trial.value)
    if reopened:
        round, state, shown = min(saved, trial.rounds), TrialState.PAUSED, TrialState.PAUSED
    elif trial.interrupted and trial.state is not TrialState.UNFINISHED:
        round, state, shown = min(saved, trial.rounds), TrialState.RUNNING, TrialState.PAUSED
    values = {report.round: report.value for report in trial.reports}
    rows = {report.round: report.rows for report in trial.reports}
    view = TrialView(trial.number, state, round, values, trial.first_rung, rows)
    value = trial.value if trial.reports else None
    seconds = trial.reports[-1].seconds if trial.reports else 0.0
    live = LiveTrial(
        trial.number, trial.config, shown, round, value, saved, seconds=seconds, reopened=reopened
    )
    return view, live


def objectives_of(metrics: Mapping[str, float], names: Iterable[str]) -> tuple[float, ...]:
    """Return the further objectives that a round reported; NaN for one that it did not."""
    return tuple(metrics.get(name, math.nan) for name in names)


def search_notes(settings: SearchSettings, trials: Iterable[LiveTrial]) -> list[Reason]:
    """Return what the log says of a search that begins: what `replay` needs to know beside the log itself."""
    reopened = {live.number: live.round for live in trials if live.reopened}
    notes = [Reason(Code.REOPENED, {"trials": in_words(reopened)})] if reopened else []
    if settings.significance is not None and settings.significance.source:
        notes.append(Reason(Code.JUDGED_BY, settings.significance.source))
    return notes


def hanging(trials: Iterable[LiveTrial], *, now: float, patience: float) -> dict[int, Reason]:
    """Return the running trials that hang. The reasons hold the seconds since they began to run or last reported.

    A trial may be silent for 20 times the longest round of any trial, and for `patience` seconds in any case; for
    twice as long while its process starts.
    """
    live = list(trials)
    longest = max((trial.seconds for trial in live), default=0.0)
    allowed = max(patience, SILENT_ROUNDS * longest if longest > 0.0 else NO_ROUND_YET_S)
    silent = {}
    for trial in live:
        limit = allowed if trial.placed else STARTING * allowed
        if trial.state is TrialState.RUNNING and now - trial.heard > limit:
            silent[trial.number] = Reason(Code.HUNG, {"seconds": round(now - trial.heard)})
    return silent
