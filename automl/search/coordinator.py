"""The one object that engines talk to: it stands between them and policy, store and whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from automl.errors import AutomlError, TrialError
from automl.records import Action, Config, Decision, Observer, OnFailure, Report, TrialEvent, TrialState
from automl.search.failures import Failures
from automl.search.hanging import hanging
from automl.search.incumbent import Incumbent
from automl.search.last_call import last_call, too_late_to_start
from automl.search.live_trial import LiveTrial, recall
from automl.search.metric import metric_value, numbers_of, require_numbers
from automl.search.objectives import Launch, Step
from automl.search.policy import Next, NextKind, Policy
from automl.search.room import weaker_half
from automl.search.settings import SearchSettings, Space
from automl.search.store import Store, Worker
from automl.search.timing import Timing
from automl.search.trial_files import TrialFiles

TIME_IS_UP = "time is up"
DISK_FULL = "the disk is full, and there are no more checkpoints that could go"
PORTFOLIO = "portfolio"
ENDED_BY_ITSELF = "the objective ended by itself"
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
    each epoch and `failed` when a trial broke, and leaves when `next` says FINISH; then `finish` settles all
    trials. All calls come from one thread, except for `request_stop`. Nothing here raises because of a trial:
    `fatal` holds what ended the search early.
    """

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._policy = parts.policy
        self._space = parts.space
        self._settings = parts.settings
        self._observer = parts.observer
        self._files = parts.files
        self._clock = parts.clock
        self._time = Timing(parts.settings, parts.clock)
        self.incumbent = Incumbent(parts.settings.mode)
        self.fatal: AutomlError | None = None
        self.stop_reason = ""
        self.first_report: float | None = None
        self._trials: dict[int, LiveTrial] = {}
        self._lost: list[int] = []
        # Counted along: a look at thousands of trials for each report would take milliseconds.
        self._running, self._done = set[int](), 0
        self._failures = Failures(parts.settings.on_failure, parts.settings.max_failures)
        self._restore()
        own = parts.space.portfolio if parts.settings.portfolio is None else parts.settings.portfolio
        self._portfolio = list(own)[self._portfolio_done :]

    # Time ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the study's first search began; a continued study goes on where it had stopped."""
        return self._time.offset + self.elapsed()

    def remaining(self) -> float:
        """Seconds until the deadline, negative after it; infinite without one."""
        return self._time.remaining()

    def elapsed(self) -> float:
        """Seconds since this search began."""
        return self._time.elapsed()

    @property
    def over(self) -> bool:
        """Whether the search has to end now: the deadline, a request, or an error."""
        return self.fatal is not None or bool(self.stop_reason) or self.remaining() <= 0

    def request_stop(self, reason: str) -> None:
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
            return Next(NextKind.WAIT, "all workers are busy")
        settings = self._settings
        if self._lost:
            return Next(NextKind.RESUME, "its process was lost: it is tried once more", self._lost[0])
        urgent = last_call(
            self._trials.values(),
            mode=settings.mode,
            max_epochs=settings.max_epochs,
            remaining=self.remaining(),
        )
        if urgent is not None:
            return urgent
        late, limit = self._too_late(), settings.n_trials
        choice = self._policy.next(may_start=not late and (limit is None or len(self._store) < limit))
        return Next(NextKind.FINISH, TIME_IS_UP) if late and choice.kind is NextKind.FINISH else choice

    def start(self, worker: Worker = HERE) -> Launch:
        """A new trial runs: from the portfolio as long as it lasts, then from the sampler."""
        fixed, origin = None, "sampler"
        if self._portfolio:
            fixed, origin = self._space.to_params(self._portfolio.pop(0)), PORTFOLIO
        now = self.now()
        number, config = self._store.create(self._space.suggest, time=now, fixed=fixed, origin=origin)
        self._trials[number] = LiveTrial(number, config)
        self._run(number, worker, resumed=False)
        return self.launch(number)

    def resume(self, number: int, worker: Worker = HERE) -> Launch:
        """A paused trial runs again."""
        self._trials[number].state = TrialState.RUNNING
        self._lost = [lost for lost in self._lost if lost != number]
        self._run(number, worker, resumed=True)
        return self.launch(number)

    def launch(self, number: int) -> Launch:
        """What is needed to run the trial from where it stands."""
        live = self._trials[number]
        place = self._files.checkpoint(number)
        return Launch(number, live.config, live.epoch, place, self._policy.checkpoint_epochs)

    def moved(self, number: int, worker: Worker) -> None:
        """It became known which worker runs the trial; only the first call of a run counts."""
        live = self._trials[number]
        if not live.moved:
            live.moved = True
            self._store.moved(number, worker)

    # What happened ------------------------------------------------------------------------------------------

    def report(self, number: int, step: Step) -> Decision:
        """An epoch is done, or the objective had nothing more to do. The decision has been carried out."""
        live = self._trials[number]
        if live.state is not TrialState.RUNNING:
            # A result that was under way when the search ended.
            return Decision(Action.STOP, live.state, self._why_over())
        if step.ended:
            return self._ended(live)
        if step.interrupted and self._settings.metric not in step.metrics:
            return self._close(live, Decision(Action.STOP, TrialState.PRUNED, TIME_IS_UP))
        try:
            value = metric_value(step.metrics, self._settings.metric, number)
            require_numbers(step.metrics, () if step.interrupted else self._settings.objectives, number)
        except TrialError as error:
            self.fatal = self.fatal or error
            return self.failed(number, str(error))
        seconds = step.wall if step.seconds is None else float(step.seconds)
        report = Report(number, step.epoch, value, seconds, numbers_of(step.metrics))
        return self._take(live, report, step)

    def failed(self, number: int, cause: str, *, lost: bool = False) -> Decision:
        """The trial broke, or its process is `lost`, which may not be its fault; the others are not touched."""
        live = self._trials[number]
        if live.state is not TrialState.RUNNING:
            return Decision(Action.STOP, live.state, cause)
        if lost and not live.tries and self._settings.on_failure == OnFailure.RETRY and not self.over:
            live.tries += 1
            self._lost.append(number)
            live.epoch = min(live.epoch, live.checkpoint)
            self._release(live, f"tried once more from epoch {live.epoch}: {cause}")
            return Decision(Action.PAUSE, TrialState.PAUSED, cause)
        self.incumbent.drop(number)
        return self._close(live, Decision(Action.STOP, TrialState.FAILED, cause))

    def finish(self, *, at_least_one: bool = False) -> None:
        """Settles every trial: none is left running, and none paused unless the search was asked to stop.

        `at_least_one`: where the time ended before a trial was started, one is written down all the same.
        """
        why = self._why_over()
        if at_least_one and not self._trials and self.fatal is None and not self.stop_reason:
            self.start()
        for live in self._trials.values():
            if live.state is TrialState.RUNNING and self.stop_reason:
                self._release(live, why)
            elif live.state is TrialState.RUNNING:
                self._close(live, Decision(Action.STOP, TrialState.PRUNED, why))
            elif live.state is TrialState.PAUSED and not self.stop_reason:
                reason = self.why_stopped() or "paused to the end: never promoted"
                self._close(live, Decision(Action.STOP, TrialState.PRUNED, reason))

    def silent(self) -> dict[int, str]:
        """The running trials that hang, and the sentence that says so; the engine ends their processes."""
        found = hanging(self._trials.values(), now=self._clock(), patience=self._settings.patience)
        return {number: f"hung: no report for {seconds:.0f} s" for number, seconds in found.items()}

    def config(self, number: int) -> Config:
        """The configuration of a trial."""
        return self._trials[number].config

    def common_cause(self) -> str:
        """What most of the failed trials have in common, for an error message."""
        return self._failures.common_cause()

    # ------------------------------------------------------------------------------------------------------

    def why_stopped(self) -> str:
        """What cut the search short; empty if it came to its end."""
        return self._why_over() if self.over or self._too_late() else ""

    def _too_late(self) -> bool:
        first_rung = min(self._policy.checkpoint_epochs, default=1)
        return too_late_to_start(self._trials.values(), first_rung=first_rung, remaining=self.remaining())

    def _run(self, number: int, worker: Worker, *, resumed: bool) -> None:
        live = self._trials[number]
        self._running.add(number)
        live.moved, live.heard = worker is not HERE, self._clock()
        self._store.started(number, worker, self.now())
        self._policy.started(number, resumed)
        self._tell(live, f"resumed after epoch {live.epoch}" if resumed else "started")

    def _take(self, live: LiveTrial, report: Report, step: Step) -> Decision:
        """Carries a report through policy, store, files and observer."""
        decision = self._override(self._policy.report(report), report, step)
        live.epoch, live.value, live.seconds = report.epoch, report.value, report.seconds
        live.heard = self._clock()
        self.first_report = self.first_report or time.time()
        if decision.state is not TrialState.FAILED:
            before = self.incumbent.best
            self.incumbent.report(report.trial, report.epoch, report.value)
            if before is not None and not self.incumbent.is_best(before.trial):
                self._tidy(self._trials[before.trial])
        # The database has the same numbers as a log that cannot be written.
        if not self._files.log(report) or step.disk_full:
            self._make_room()
        if step.restarted:
            self._observer.note(f"Trial {live.number} began again: {step.restarted}.")
        self._store.report(report, decision, self.now())
        if step.saved:
            live.checkpoint = report.epoch
            self._store.checkpoint(live.number, report.epoch, str(self._files.checkpoint(live.number)))
        if decision.state is TrialState.PAUSED:
            live.state = TrialState.PAUSED
            self._running.discard(live.number)
            self._failures.success()
            self._store.pause(live.number, live.epoch, decision.reason, self.now())
        elif decision.state in FINAL:
            return self._close(live, decision, recorded=True)
        self._tell(live, decision.reason)
        return decision

    def _make_room(self) -> None:
        """The disk is full: the weaker half of the waiting trials lose their checkpoints, then the search stops.

        A trial without one is trained again up to where it stood, should it be promoted.
        """
        best = self.incumbent.best
        gone = weaker_half(
            self._trials.values(), mode=self._settings.mode, best=None if best is None else best.trial
        )
        for live in gone:
            self._drop_checkpoint(live)
        if gone:
            numbers = ", ".join(str(live.number) for live in gone)
            self._observer.note(f"The disk is full: the checkpoints of trials {numbers} were removed.")
        else:
            self.request_stop(DISK_FULL)

    def _override(self, decision: Decision, report: Report, step: Step) -> Decision:
        """The policy's decision, unless the objective's end, the deadline or a broken value says otherwise."""
        found = decision
        if step.interrupted:
            found = Decision(Action.STOP, TrialState.PRUNED, TIME_IS_UP)
        elif step.done and decision.state is not TrialState.COMPLETE:
            found = Decision(Action.STOP, TrialState.COMPLETE, step.reason or ENDED_BY_ITSELF)
        elif decision.action is Action.CONTINUE and self.stop_reason:
            found = Decision(Action.PAUSE, TrialState.PAUSED, self.stop_reason)
        elif decision.action is Action.CONTINUE and self.over:
            found = Decision(Action.STOP, TrialState.PRUNED, self._why_over())
        if found.state is TrialState.COMPLETE and not math.isfinite(report.value):
            cause = f"{self._settings.metric} was {report.value} at the last epoch, {report.epoch}"
            found = Decision(Action.STOP, TrialState.FAILED, cause)
        if found is not decision:
            self._policy.ended(report.trial, found.state)
        return found

    def _ended(self, live: LiveTrial) -> Decision:
        if live.value is None:
            return self.failed(live.number, "the objective ended before its first epoch")
        if not math.isfinite(live.value):
            cause = f"{self._settings.metric} was {live.value} at the last epoch, {live.epoch}"
            return self.failed(live.number, cause)
        return self._close(live, Decision(Action.STOP, TrialState.COMPLETE, ENDED_BY_ITSELF))

    def _close(self, live: LiveTrial, decision: Decision, *, recorded: bool = False) -> Decision:
        """The trial is over for good. `recorded`: the policy and the decisions know already."""
        now = self.now()
        live.state = decision.state
        self._running.discard(live.number)
        self._done += 1
        if not recorded:
            self._policy.ended(live.number, decision.state)
            self._store.decided(live.number, live.epoch, decision, now)
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
        self._tell(live, decision.reason)
        return decision

    def _release(self, live: LiveTrial, reason: str) -> None:
        """The search stops while the trial is in the middle: it can be carried on from its checkpoint."""
        decision = Decision(Action.PAUSE, TrialState.PAUSED, reason)
        live.state = TrialState.PAUSED
        self._running.discard(live.number)
        self._store.pause(live.number, live.checkpoint, reason, self.now())
        self._store.decided(live.number, live.epoch, decision, self.now())
        self._tell(live, reason)

    def _tidy(self, live: LiveTrial) -> None:
        """Only trials that may still be promoted and the incumbent keep their state on disk."""
        if live.state in FINAL and not self.incumbent.is_best(live.number):
            self._drop_checkpoint(live)

    def _drop_checkpoint(self, live: LiveTrial) -> None:
        self._files.drop_checkpoint(live.number)
        if live.checkpoint:
            live.checkpoint = 0
            self._store.checkpoint(live.number, None)

    def _why_over(self) -> str:
        if self.fatal is not None:
            return f"the search ended early: {self.fatal}"
        return self.stop_reason or TIME_IS_UP

    def _tell(self, live: LiveTrial, reason: str) -> None:
        best = self.incumbent.is_best(live.number)
        event = TrialEvent(
            live.number, live.state, live.config, live.epoch, live.value, self.now(), reason, best
        )
        self._observer.trial(event)
        self._progress()

    def _progress(self) -> None:
        """Tells how far the search is: by time or by trials, whichever is nearer to its end."""
        spent = self._time.spent()
        ways = [] if spent is None else [spent]
        if self._settings.n_trials is not None:
            ways.append((float(self._done), float(self._settings.n_trials)))
        self._observer.progress(*max(ways, key=lambda way: way[0] / way[1]))

    def _restore(self) -> None:
        """Takes in the trials of earlier runs; those that were running then are paused at their checkpoint."""
        past = self._store.trials()
        moments = [moment for trial in past for moment in (*trial.report_times, trial.ended or 0.0)]
        self._time.offset = max(moments, default=0.0)
        self._portfolio_done = sum(trial.origin == PORTFOLIO for trial in past)
        histories = []
        for trial in past:
            history, live = recall(trial, self._files)
            histories.append(history)
            self._trials[trial.number] = live
            self._done += live.state in FINAL
            if trial.state is TrialState.RUNNING:
                self._release(live, "interrupted: the search stopped while it ran")
            if trial.state is not TrialState.FAILED and trial.reports:
                self._failures.success()
                self.incumbent.report(trial.number, trial.epochs, trial.value)
        self._policy.restore(histories)
