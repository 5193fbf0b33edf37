"""The one object that engines talk to: it stands between them and policy, store and whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from automl.errors import AutomlError, TrialError
from automl.records import Config, Observer, OnFailure, Report, TrialState
from automl.search.control.deadline import carried, too_late_to_start
from automl.search.control.failures import Failures
from automl.search.control.incumbent import Incumbent
from automl.search.control.overrides import no_value, overridden
from automl.search.control.progress import Teller
from automl.search.control.suggestions import PORTFOLIO, Limit, Suggestions
from automl.search.control.timing import Timing
from automl.search.control.trial import LiveTrial, hanging, recall, weaker_half
from automl.search.metric import metric_value, numbers_of
from automl.search.objective import Launch, Step
from automl.search.policy import Action, Decision, Next, NextKind, Policy
from automl.search.reasons import Code, Reason, crashed
from automl.search.round_time import LOOK_BACK, Forecast
from automl.search.settings import SearchSettings
from automl.search.space import Space
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.event_log import LogEntry
from automl.search.storage.reader import StoredTrial
from automl.search.storage.store import Store, Worker

FINAL = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED})
HERE = Worker("", "", 0)


@dataclass(frozen=True)
class Parts:
    """What a coordinator is made of. `clock` gives seconds: of the wall, or of the simulator."""

    store: Store
    policy: Policy
    space: Space
    settings: SearchSettings
    observer: Observer
    files: TrialFiles
    clock: Callable[[], float]


class Coordinator:
    """Runs one search, told by an engine what happens and telling it what to do.

    An engine asks `next` when a worker is free, calls `start` or `resume` when a trial runs, `report` after
    each round and `failed` when a trial broke, and leaves when `next` says FINISH; then `finish` settles all
    trials. All calls come from one thread, except for `request_stop`. Nothing here raises because of a trial:
    `fatal` holds what ended the search early.
    """

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._policy = parts.policy
        self._settings = parts.settings
        self._files = parts.files
        self._clock = parts.clock
        self._time = Timing(parts.settings, parts.clock)
        self.incumbent = Incumbent(parts.settings.mode, parts.settings.noise)
        self.fatal: AutomlError | None = None
        self.stop_reason: Reason | None = None
        self.first_report: float | None = None
        self._trials: dict[int, LiveTrial] = {}
        self._lost: list[int] = []
        self._tells = Teller(parts.observer, parts.settings, self._time, self.incumbent)
        self._forecast = Forecast(parts.settings.expect)
        # Counted along: a look at thousands of trials for each report would take milliseconds.
        self._running = set[int]()
        self._failures = Failures(parts.settings.on_failure, parts.settings.max_failures)
        past = self._store.trials()
        self._restore(past)
        self._first_rung = min(self._policy.rungs())
        self._suggestions = Suggestions(parts.store, parts.space, parts.settings, self._forecast, past)

    # Time ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the study's first search began; a continued study goes on where it had stopped."""
        return self._time.now()

    def remaining(self) -> float:
        """Seconds until the deadline, negative after it; infinite without one."""
        return self._time.remaining()

    def elapsed(self) -> float:
        """Seconds since this search began."""
        return self._time.elapsed()

    @property
    def over(self) -> bool:
        """Whether the search has to end now: the deadline, a request, or an error."""
        return self.fatal is not None or self.stop_reason is not None or self.remaining() <= 0

    def request_stop(self, reason: Reason) -> None:
        """Asks the search to end in order; trials stay paused, so that it can be continued. Any thread may ask."""
        self.stop_reason = self.stop_reason or reason

    # What runs ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> list[int]:
        """The trials that run, by number."""
        return sorted(self._running)

    def next(self) -> Next:
        """What a free worker should do; asking changes nothing."""
        if self.over:
            return Next(NextKind.FINISH, self._why_over())
        if len(self._running) >= self._settings.parallel:
            return Next(NextKind.WAIT, Reason(Code.WORKERS_BUSY))
        return self._choose()

    def start(self, worker: Worker = HERE) -> Launch:
        """A new trial runs: from the portfolio as long as it lasts, then from the sampler."""
        first, why = min(self._policy.rungs()), self._policy.next().reason
        if first != self._first_rung:
            self._first_rung = first
            self._tells.note(f"From now on trials are first compared at round {first}: {why}.")
        found = self._suggestions.take(Limit(first, self.remaining()))
        number = self._store.adopt(found.draft, time=self.now(), origin=found.origin)
        self._trials[number] = LiveTrial(number, found.draft.config)
        self.incumbent.began(number, trusted=found.origin == PORTFOLIO)
        self._run(number, worker, why.with_notes(*found.notes))
        self._suggestions.taken()
        return self.launch(number)

    def ask_ahead(self) -> None:
        """Suggestions are computed in a thread before they are needed. For engines whose workers would wait."""
        self._suggestions.ask_ahead()

    def resume(self, number: int, why: Reason, worker: Worker = HERE) -> Launch:
        """A paused trial runs again, for the reason that `next` gave."""
        self._trials[number].state = TrialState.RUNNING
        self._lost = [lost for lost in self._lost if lost != number]
        self._run(number, worker, why, resumed=True)
        return self.launch(number)

    def launch(self, number: int) -> Launch:
        """What is needed to run the trial from where it stands."""
        live = self._trials[number]
        place = self._files.checkpoint(number)
        return Launch(number, live.config, live.round, place, frozenset(self._policy.rungs(number)))

    def moved(self, number: int, worker: Worker) -> None:
        """It became known which worker runs the trial; only the first call of a run counts."""
        live = self._trials[number]
        if not live.moved:
            live.moved = True
            self._store.moved(number, worker)

    # What happened ------------------------------------------------------------------------------------------

    def report(self, number: int, step: Step) -> Decision:
        """A round is done, or the objective had nothing more to do. The decision has been carried out."""
        live = self._trials[number]
        if live.state is not TrialState.RUNNING:
            # A result that was under way when the search ended.
            return Decision(Action.STOP, live.state, self._why_over())
        if step.ended:
            return self._ended(live)
        if step.interrupted and self._settings.metric not in step.metrics:
            return self._close(live, Decision(Action.STOP, TrialState.PRUNED, Reason(Code.TIME_IS_UP)))
        try:
            value = metric_value(step.metrics, self._settings.metric, number, self._settings.objectives)
        except TrialError as error:
            self.fatal = self.fatal or error
            return self.failed(number, crashed(str(error)))
        seconds = step.wall if step.seconds is None else float(step.seconds)
        report = Report(number, step.round, value, seconds, numbers_of(step.metrics))
        return self._take(live, report, step)

    def failed(self, number: int, why: Reason, *, lost: bool = False) -> Decision:
        """The trial broke, or its process is `lost`, which may not be its fault; the others are not touched."""
        live = self._trials[number]
        if live.state is not TrialState.RUNNING:
            return Decision(Action.STOP, live.state, why)
        if lost and not live.tries and self._settings.on_failure == OnFailure.RETRY and not self.over:
            live.tries += 1
            self._lost.append(number)
            live.round = min(live.round, live.checkpoint)
            self._release(live, Reason(Code.TRIED_AGAIN, {"round": live.round, "cause": str(why)}))
            return Decision(Action.PAUSE, TrialState.PAUSED, why)
        self.incumbent.drop(number)
        return self._close(live, Decision(Action.STOP, TrialState.FAILED, why))

    def finish(self) -> None:
        """Settles every trial: none is left running, and none paused unless the search was asked to stop."""
        self._suggestions.close()
        why = self._why_over()
        for live in self._trials.values():
            if live.state is TrialState.RUNNING and self.stop_reason:
                self._release(live, why)
            elif live.state is TrialState.RUNNING:
                self._close(live, Decision(Action.STOP, TrialState.PRUNED, why))
            elif live.state is TrialState.PAUSED and not self.stop_reason:
                reason = self.why_stopped() or Reason(Code.NEVER_PROMOTED)
                self._close(live, Decision(Action.STOP, TrialState.PRUNED, reason))

    def silent(self) -> dict[int, Reason]:
        """The running trials that hang; the engine ends their processes."""
        return hanging(self._trials.values(), now=self._clock(), patience=self._settings.patience)

    def first_config(self) -> Config:
        """What the first trial tries or, where none was started in time, would have tried."""
        for live in self._trials.values():
            return live.config
        return self._suggestions.take(Limit(self._first_rung, self.remaining())).draft.config

    def config(self, number: int) -> Config:
        """The configuration of a trial."""
        return self._trials[number].config

    def common_cause(self) -> str:
        """What most of the failed trials have in common, for an error message."""
        return self._failures.common_cause()

    # ------------------------------------------------------------------------------------------------------

    def why_stopped(self) -> Reason | None:
        """What cut the search short; None if it came to its end."""
        return self._why_over() if self.over or self._too_late() else None

    def _choose(self) -> Next:
        settings, left, yardstick = self._settings, self.remaining(), self.incumbent.yardstick
        if self._lost:
            return Next(NextKind.RESUME, Reason(Code.LOST), self._lost[0])
        urgent = carried(self._trials, yardstick, settings.mode, rungs=self._policy.rungs(), remaining=left)
        if urgent is not None:
            return urgent
        late, limit = self._too_late(), settings.n_trials
        choice = self._policy.next(may_start=not late and (limit is None or len(self._store) < limit))
        if late and choice.kind is NextKind.FINISH:
            return Next(NextKind.FINISH, Reason(Code.TIME_IS_UP))
        return choice

    def _too_late(self) -> bool:
        remaining = self.remaining()
        if math.isinf(remaining):
            return False
        latest = islice(reversed(self._trials.values()), LOOK_BACK)
        quick = self._forecast.quick((live.number, live.config) for live in latest)
        return too_late_to_start(
            first_rung=min(self._policy.rungs()), round_seconds=quick, remaining=remaining
        )

    def _run(self, number: int, worker: Worker, why: Reason, *, resumed: bool = False) -> None:
        live = self._trials[number]
        self._running.add(number)
        live.moved, live.heard = worker is not HERE, self._clock()
        self._policy.started(number, resumed)
        kind = NextKind.RESUME if resumed else NextKind.START
        first = min(self._policy.rungs(number))
        self._store.started(number, worker, self.now(), LogEntry(kind.value, live.round, why, first))
        self._tells.trial(live, f"resumed after round {live.round}" if resumed else "started")

    def _take(self, live: LiveTrial, report: Report, step: Step) -> Decision:
        """Carries a report through policy, store, files and observer."""
        decision = self._override(self._policy.report(report), report, step)
        live.round, live.value, live.seconds = report.round, report.value, report.seconds
        live.heard = self._clock()
        self._forecast.learn(live.number, live.config, report.seconds)
        self.first_report = self.first_report or time.time()
        if decision.state is not TrialState.FAILED:
            before = self.incumbent.best
            self.incumbent.report(report)
            if before is not None and not self.incumbent.is_best(before.trial):
                self._tidy(self._trials[before.trial])
        # The database has the same numbers as a log that cannot be written.
        if not self._files.log(report) or step.disk_full:
            self._make_room()
        if step.restarted:
            self._tells.note(f"Trial {live.number} began again: {step.restarted}.")
        self._store.report(report, decision, self.now())
        if step.saved:
            live.checkpoint = report.round
            self._store.checkpoint(live.number, report.round, str(self._files.checkpoint(live.number)))
        crowded = step.saved and self._files.crowded(live.number)
        if decision.state is TrialState.PAUSED:
            live.state = TrialState.PAUSED
            self._running.discard(live.number)
            self._failures.success()
            self._store.pause(live.number, live.round, decision.reason, self.now())
            if crowded:
                self._make_room("Checkpoints fill --max-disk", stop=False)
        elif decision.state in FINAL:
            return self._close(live, decision, recorded=True)
        self._tells.trial(live, str(decision.reason))
        self._tells.note(self._forecast.revision())
        self._suggestions.news()
        return decision

    def _make_room(self, why: str = "The disk is full", *, stop: bool = True) -> None:
        """The weaker half of the waiting trials lose their checkpoints; where none has any, the search stops."""
        best = None if self.incumbent.best is None else self.incumbent.best.trial
        gone = weaker_half(self._trials.values(), mode=self._settings.mode, best=best)
        for live in gone:
            self._drop_checkpoint(live)
        if gone:
            numbers = ", ".join(str(live.number) for live in gone)
            self._tells.note(f"{why}: the checkpoints of trials {numbers} were removed.")
        elif stop:
            self.request_stop(Reason(Code.DISK_FULL))

    def _override(self, decision: Decision, report: Report, step: Step) -> Decision:
        over = self._why_over() if self.over else None
        metric, stop = self._settings.metric, self.stop_reason
        found = overridden(decision, report, step, metric=metric, stop=stop, over=over)
        if found is not decision:
            self._policy.ended(report.trial, found.state)
        return found

    def _ended(self, live: LiveTrial) -> Decision:
        if live.value is None:
            return self.failed(live.number, Reason(Code.NO_ROUND))
        if not math.isfinite(live.value):
            return self.failed(live.number, no_value(self._settings.metric, live.value, live.round))
        return self._close(live, Decision(Action.STOP, TrialState.COMPLETE, Reason(Code.ENDED_BY_ITSELF)))

    def _close(self, live: LiveTrial, decision: Decision, *, recorded: bool = False) -> Decision:
        """The trial is over for good. `recorded`: the policy and the decisions know already."""
        now = self.now()
        live.state = decision.state
        self._running.discard(live.number)
        self._tells.done += 1
        if not recorded:
            self._policy.ended(live.number, decision.state)
            self._store.decided(live.number, live.round, decision, now)
        if decision.state is TrialState.COMPLETE and live.value is not None:
            self._store.complete(live.number, live.value, now)
        else:
            self._store.end(live.number, decision, now, live.value)
        if decision.state is TrialState.FAILED:
            self.incumbent.drop(live.number)
            self.fatal = self.fatal or self._failures.count(decision.reason)
        else:
            self._failures.success()
        self._tidy(live)
        self._tells.trial(live, str(decision.reason))
        self._suggestions.news()
        return decision

    def _release(self, live: LiveTrial, reason: Reason) -> None:
        """The search stops while the trial is in the middle: it can be carried on from its checkpoint."""
        decision = Decision(Action.PAUSE, TrialState.PAUSED, reason)
        live.state = TrialState.PAUSED
        self._running.discard(live.number)
        self._store.pause(live.number, live.checkpoint, reason, self.now())
        self._store.decided(live.number, live.round, decision, self.now())
        self._tells.trial(live, str(reason))

    def _tidy(self, live: LiveTrial) -> None:
        """Only trials that may still be promoted and the incumbent keep their state on disk."""
        if live.state in FINAL and not self.incumbent.is_best(live.number):
            self._drop_checkpoint(live)

    def _drop_checkpoint(self, live: LiveTrial) -> None:
        self._files.drop_checkpoint(live.number)
        if live.checkpoint:
            live.checkpoint = 0
            self._store.checkpoint(live.number, None)

    def _why_over(self) -> Reason:
        if self.fatal is not None:
            return Reason(Code.SEARCH_FAILED, {"error": str(self.fatal)})
        return self.stop_reason or Reason(Code.TIME_IS_UP)

    def _restore(self, past: Sequence[StoredTrial]) -> None:
        """Takes in the trials of earlier runs; those that were running then are paused at their checkpoint."""
        moments = [moment for trial in past for moment in (*trial.report_times, trial.ended or 0.0)]
        self._time.offset = max(moments, default=0.0)
        views = []
        for trial in past:
            view, live = recall(trial, self._files)
            views.append(view)
            self._trials[trial.number] = live
            self._forecast.learn(trial.number, trial.config, live.seconds)
            self._tells.done += live.state in FINAL
            failed = trial.state is TrialState.FAILED
            self.incumbent.began(trial.number, trusted=trial.origin == PORTFOLIO and not failed)
            if trial.state is TrialState.RUNNING:
                self._release(live, Reason(Code.SEARCH_DIED))
            if not failed and trial.reports:
                self._failures.success()
                for report in trial.reports:
                    self.incumbent.report(report)
        self._policy.restore(views)
        self._store.begun(self.now())
