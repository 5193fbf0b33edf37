"""The coordinator: the only object of the search that engines talk to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice

from automl.errors import AutomlError, TrialError
from automl.machine import Moment
from automl.records import Config, Observer, OnFailure, Report, TrialState
from automl.search.control import deadline
from automl.search.control.disk_space import DiskSpace
from automl.search.control.failures import Failures
from automl.search.control.incumbent import Incumbent
from automl.search.control.overrides import PRUNED_BY_OBJECTIVE, no_value, overridden
from automl.search.control.progress import Progress
from automl.search.control.suggestions import PORTFOLIO, Limit, Suggestions
from automl.search.control.timing import Timing
from automl.search.control.trial import FINAL, LiveTrial, hanging, objectives_of, restored, search_notes
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

UNKNOWN_WORKER = Worker("", "", 0)


class Coordinator:
    """Runs one search: engines report to it, and it tells them what to do.

    An engine asks `next` when a worker is free, calls `start` or `resume` when a trial runs, `report` after each round
    and `failed` when a trial breaks, and returns when `next` says FINISH. Then `finish` settles all trials. All calls
    come from one thread, except for `request_stop`. No method raises because of a trial: `fatal` holds the error that
    ended the search early.
    """

    def __init__(
        self,
        *,
        store: Store,
        policy: Policy,
        space: Space,
        settings: SearchSettings,
        observer: Observer,
        files: TrialFiles,
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives seconds: wall time, or the simulator's."""
        self._store, self._policy, self._settings = store, policy, settings
        self._files, self._clock = files, clock
        self.time = Timing(settings, clock)
        self.incumbent = Incumbent(settings.mode, settings.significance)
        self.failures = Failures(settings.on_failure, settings.max_failures)
        self.fatal: AutomlError | None = None
        self.stop_reason: Reason | None = None
        self.first_report: Moment | None = None
        self.trials: dict[int, LiveTrial] = {}
        self._lost: list[int] = []
        self._cut = set[int]()  # trials that ran when an earlier search ended, and have not run since
        # Kept up to date with each event: a loop over thousands of trials for each report would take milliseconds.
        self._running = set[int]()
        self._disk = DiskSpace(store, files, self.incumbent, settings)
        self._progress = Progress(observer, settings, self.time, self.incumbent, self.trials)
        self._forecast = Forecast(settings.expect)
        past = store.trials()
        self._idle = bool(past)  # a continued search in which nothing has run
        self._restore(past)
        self._first_rung = min(policy.rungs())
        self._suggestions = Suggestions(store, space, settings, self._forecast, past)

    # What to do ---------------------------------------------------------------------------------------------

    @property
    def running(self) -> list[int]:
        """The running trials, by number."""
        return sorted(self._running)

    def next(self) -> Next:
        """Return what a free worker should do. Asking changes nothing."""
        end = self._end()
        if end is not None:
            return Next(NextKind.FINISH, end)
        if len(self._running) >= self._settings.parallel:
            return Next(NextKind.WAIT, Reason(Code.WORKERS_BUSY))
        if self._lost:
            return Next(NextKind.RESUME, Reason(Code.LOST), self._lost[0])
        mode, remaining = self._settings.mode, self.time.remaining()
        urgent = deadline.resumed_for_deadline(
            self.trials, self.incumbent.reference, mode, rungs=self._policy.rungs(), remaining=remaining
        )
        cut = (self.trials[number] for number in self._cut)
        urgent = urgent or deadline.resumed_unfinished(cut, mode, remaining)
        if urgent is not None:
            return urgent
        late = self._too_late()
        choice = self._policy.next(may_start=not late and self._may_start())
        if late and (choice.kind is NextKind.FINISH or self._idle):
            return Next(NextKind.FINISH, Reason(Code.TIME_IS_UP))
        return choice

    def start(self, worker: Worker = UNKNOWN_WORKER) -> Launch:
        """Begin a new trial: from the portfolio while it lasts, then from the sampler."""
        why = self._policy.next().reason
        if (first := min(self._policy.rungs())) != self._first_rung:
            self._first_rung = first
            self._progress.note(f"From now on trials are first compared at round {first}: {why}.")
        found = self._suggestions.take(Limit(self._least_rounds(), self.time.remaining()))
        number = self._store.adopt(found.draft, time=self.time.now(), origin=found.origin)
        self.trials[number] = LiveTrial(number, found.draft.config)
        self.incumbent.began(number, trusted=found.origin == PORTFOLIO)
        self._run(number, worker, why.with_notes(*found.notes), NextKind.START)
        self._suggestions.adopted()
        return self.launch(number)

    def resume(self, number: int, why: Reason, worker: Worker = UNKNOWN_WORKER) -> Launch:
        """Continue a paused trial, for the reason that `next` gave."""
        self.trials[number].state = TrialState.RUNNING
        self._lost = [lost for lost in self._lost if lost != number]
        self._run(number, worker, why, NextKind.RESUME)
        return self.launch(number)

    def launch(self, number: int) -> Launch:
        """Return what an engine needs to run the trial from where it stands."""
        live, files, rungs = self.trials[number], self._files, frozenset(self._policy.rungs(number))
        return Launch(number, live.config, live.round, files.checkpoint(number), rungs, files.output(number))

    def prefetch(self) -> None:
        """Compute suggestions in a thread before a worker needs them. For engines whose workers would wait."""
        self._suggestions.prefetch()

    # What happened ------------------------------------------------------------------------------------------

    def placed(self, number: int, worker: Worker) -> None:
        """Record which worker runs the trial. Only the first call of a run counts."""
        live = self.trials[number]
        if not live.placed:
            live.placed = True
            self._store.placed(number, worker)

    def report(self, number: int, step: Step) -> Decision:
        """Take in a round, or the objective's end, and return the decision. It is already in effect."""
        live = self.trials[number]
        if live.state is not TrialState.RUNNING:
            # Under way when the search ended: its weights have no score.
            self._files.go_back(number, live.round)
            return Decision(Action.STOP, live.state, self._end() or Reason(Code.TIME_IS_UP))
        if step.ended or step.pruned:
            return self._close(live, PRUNED_BY_OBJECTIVE) if step.pruned else self._objective_ended(live)
        if step.interrupted and self._settings.metric not in step.metrics:
            return self._close(live, Decision(Action.STOP, TrialState.UNFINISHED, Reason(Code.TIME_IS_UP)))
        try:
            value = metric_value(step.metrics, self._settings.metric, number, self._settings.objectives)
        except TrialError as error:
            self.fatal = self.fatal or error
            return self.failed(number, crashed(str(error)))
        seconds = step.wall if step.seconds is None else float(step.seconds)
        report = Report(number, step.round, value, seconds, numbers_of(step.metrics))
        return self._take(live, report, step)

    def failed(self, number: int, why: Reason, *, lost: bool = False) -> Decision:
        """End a trial that broke. One whose process is `lost`, perhaps by no fault of its own, may run once more."""
        live = self.trials[number]
        if live.state is not TrialState.RUNNING:
            return Decision(Action.STOP, live.state, why)
        retry = self._settings.on_failure == OnFailure.RETRY and not live.tries
        if lost and retry and self._end() is None:
            live.tries += 1
            self._lost.append(number)
            live.round = min(live.round, live.checkpoint)
            self._release(live, Reason(Code.TRIED_AGAIN, {"round": live.round, "cause": str(why)}))
            return Decision(Action.PAUSE, TrialState.PAUSED, why)
        self.incumbent.drop(number)
        return self._close(live, Decision(Action.STOP, TrialState.FAILED, why))

    def saved(self, number: int) -> None:
        """Record that a trial was saved at its last round: by itself, or by an engine because the search ended."""
        live = self.trials[number]
        live.checkpoint = live.round
        self._store.checkpoint(number, live.round, str(self._files.checkpoint(number)))
        self._files.accept(number)

    def hanging(self) -> dict[int, Reason]:
        """Return the running trials that hang. The engine ends their processes."""
        return hanging(self.trials.values(), now=self._clock(), patience=self._settings.patience)

    # How it ends --------------------------------------------------------------------------------------------

    def request_stop(self, reason: Reason) -> None:
        """Ask the search to end in order. Trials stay paused, so that it can be continued. Any thread may ask."""
        self.stop_reason = self.stop_reason or reason

    def finish(self) -> None:
        """Settle every trial: none is left running, and none paused unless the search was asked to stop.

        A paused trial is pruned if others were better where it paused; else it is unfinished, as a running one is. What
        an earlier search left unfinished stays so, unless others are better now where it paused. If the time of a
        continued search held no round, all trials stay as they were.
        """
        self._suggestions.close()
        if self._idle and self.why_stopped() is not None and self._has_work():
            if not (self.stop_reason or self.fatal):
                self._progress.note(deadline.no_round_fits(self.time, self._quick_round(), self._settings))
            return
        why = self._end() or Reason(Code.TIME_IS_UP)
        for live in self.trials.values():
            if live.state is TrialState.RUNNING and self.stop_reason:
                self._release(live, why)
            elif live.state is TrialState.RUNNING:
                self._close(live, Decision(Action.STOP, TrialState.UNFINISHED, why))
            elif live.state is TrialState.PAUSED and not self.stop_reason:
                beaten = None if live.number in self._cut else self._policy.beaten(live.number)
                if beaten is None and live.reopened:
                    continue
                state = TrialState.UNFINISHED if beaten is None else TrialState.PRUNED
                reason = beaten or self.why_stopped() or Reason(Code.NEVER_PROMOTED)
                self._close(live, Decision(Action.STOP, state, reason))
        if not self.stop_reason:
            self._disk.keep_best_unfinished(self.trials.values())

    def why_stopped(self) -> Reason | None:
        """Return what cut the search short, None if it came to its end."""
        return self._end() or (Reason(Code.TIME_IS_UP) if self._too_late() else None)

    def first_config(self) -> Config:
        """Return the first trial's configuration, or what it would have been where none was started in time."""
        for live in self.trials.values():
            return live.config
        return self._suggestions.take(Limit(self._first_rung, self.time.remaining())).draft.config

    # --------------------------------------------------------------------------------------------------------

    def _end(self) -> Reason | None:
        """Return why the search has to end now, None while it may go on."""
        if self.fatal is not None:
            return Reason(Code.SEARCH_FAILED, {"error": str(self.fatal)})
        if self.stop_reason is not None:
            return self.stop_reason
        return Reason(Code.TIME_IS_UP) if self.time.remaining() <= 0 else None

    def _may_start(self) -> bool:
        return self._settings.n_trials is None or len(self._store) < self._settings.n_trials

    def _has_work(self) -> bool:
        """Return whether more time would let a trial run."""
        return bool(self._cut) or self._policy.next(may_start=self._may_start()).kind is not NextKind.FINISH

    def _quick_round(self) -> float | None:
        latest = islice(reversed(self.trials.values()), LOOK_BACK)
        return self._forecast.quick((live.number, live.config) for live in latest)

    def _too_late(self) -> bool:
        remaining = self.time.remaining()
        return not math.isinf(remaining) and deadline.too_late_to_start(
            rounds=self._least_rounds(), round_seconds=self._quick_round(), remaining=remaining
        )

    def _least_rounds(self) -> int:
        # One is enough where nothing else has run: what a continued search cannot finish, the next one can.
        return 1 if self._idle else min(self._policy.rungs())

    def _run(self, number: int, worker: Worker, why: Reason, kind: NextKind) -> None:
        live, resumed = self.trials[number], kind is NextKind.RESUME
        self._running.add(number)
        self._idle = live.reopened = False
        self._cut.discard(number)
        live.placed, live.heard = worker is not UNKNOWN_WORKER, self._clock()
        self._policy.started(number, resumed)
        first = min(self._policy.rungs(number))
        self._store.started(number, worker, self.time.now(), LogEntry(kind.value, live.round, why, first))
        self._progress.trial(live, f"resumed after round {live.round}" if resumed else "started")

    def _take(self, live: LiveTrial, report: Report, step: Step) -> Decision:
        """Pass a report to policy, store, files and observer."""
        decision = self._decide(report, step)
        live.take(report)
        live.objectives = objectives_of(report.metrics, self._settings.objectives)
        live.heard = self._clock()
        self._forecast.learn(live.number, live.config, report.seconds)
        self.first_report = self.first_report or Moment.now()
        if decision.state is not TrialState.FAILED:
            before = self.incumbent.best
            self.incumbent.report(report)
            if before is not None and not self.incumbent.is_best(before.trial):
                self._disk.drop_if_over(self.trials[before.trial])
        if not self._files.log(report) or step.disk_full:  # the database has the log's numbers
            self._make_room("The disk is full", stop=True)
        if step.restarted:
            self._progress.note(f"Trial {live.number} began again: {step.restarted}.")
        self._store.report(report, decision, self.time.now())
        if step.saved:
            self.saved(live.number)
        crowded = step.saved and self._files.crowded(live.number)
        if decision.state in FINAL:
            return self._close(live, decision, recorded=True)
        if decision.state is TrialState.PAUSED:
            live.state = TrialState.PAUSED
            self._running.discard(live.number)
            self.failures.success()
            self._store.pause(live.number, live.round, decision.reason, self.time.now())
            if crowded:
                self._make_room("Checkpoints fill --max-disk", stop=False)
        self._progress.trial(live, str(decision.reason))
        self._progress.note(self._forecast.revision())
        self._suggestions.invalidate()
        return decision

    def _decide(self, report: Report, step: Step) -> Decision:
        """Return the policy's decision, or the search's own in its place."""
        decision = self._policy.report(report)
        metric, stop, end = self._settings.metric, self.stop_reason, self._end()
        found = overridden(decision, report, step, metric=metric, stop=stop, end=end)
        if found is not decision:
            self._policy.ended(report.trial, found.state)
        return found

    def _make_room(self, why: str, *, stop: bool) -> None:
        """Remove checkpoints of the weaker half. `stop`: the search stops where none can be removed."""
        gone = self._disk.make_room(self.trials.values())
        if gone:
            numbers = ", ".join(map(str, gone))
            self._progress.note(f"{why}: the checkpoints of trials {numbers} were removed.")
        elif stop:
            self.request_stop(Reason(Code.DISK_FULL))

    def _objective_ended(self, live: LiveTrial) -> Decision:
        if live.value is None:
            return self.failed(live.number, Reason(Code.NO_ROUND))
        if not math.isfinite(live.value):
            return self.failed(live.number, no_value(self._settings.metric, live.value, live.round))
        return self._close(live, Decision(Action.STOP, TrialState.COMPLETE, Reason(Code.ENDED_BY_ITSELF)))

    def _close(self, live: LiveTrial, decision: Decision, *, recorded: bool = False) -> Decision:
        """End the trial for good. `recorded`: policy and log have the decision already."""
        now = self.time.now()
        live.state = decision.state
        self._files.go_back(live.number, live.round)
        self._running.discard(live.number)
        self._progress.done += 1
        if not recorded:
            self._policy.ended(live.number, decision.state)
            self._store.decided(live.number, live.round, decision, now)
        if decision.state is TrialState.COMPLETE and live.value is not None:
            self._store.complete(live.number, live.value, now)
        else:
            self._store.end(live.number, decision, now, live.value)
        if decision.state is TrialState.FAILED:
            self.incumbent.drop(live.number)
            self.fatal = self.fatal or self.failures.count(decision.reason)
        else:
            self.failures.success()
        self._disk.drop_if_over(live)
        self._progress.trial(live, str(decision.reason))
        self._suggestions.invalidate()
        return decision

    def _release(self, live: LiveTrial, reason: Reason) -> None:
        """Pause a trial in the middle. It can be continued from its checkpoint."""
        decision, now = Decision(Action.PAUSE, TrialState.PAUSED, reason), self.time.now()
        live.state = TrialState.PAUSED
        self._files.go_back(live.number, live.round)
        self._running.discard(live.number)
        self._store.pause(live.number, live.checkpoint, reason, now)
        self._store.decided(live.number, live.round, decision, now)
        self._progress.trial(live, str(reason))

    def _restore(self, past: Sequence[StoredTrial]) -> None:
        """Take in the trials of earlier runs. Those that were running are paused at their checkpoint."""
        moments = [moment for trial in past for moment in (*trial.report_times, trial.ended or 0.0)]
        self.time.offset = max(moments, default=0.0)
        views = []
        for trial in past:
            view, live = restored(trial, self._files)
            views.append(view)
            self.trials[trial.number] = live
            live.objectives = objectives_of(trial.metrics, self._settings.objectives)
            self._disk.restore(live)
            if live.reopened and (trial.interrupted or live.round < trial.rounds):
                self._cut.add(trial.number)
            self._forecast.learn(trial.number, trial.config, live.seconds)
            self._progress.done += live.state in FINAL
            failed = trial.state is TrialState.FAILED
            self.incumbent.began(trial.number, trusted=trial.origin == PORTFOLIO and not failed)
            if trial.state is TrialState.RUNNING:
                self._release(live, Reason(Code.SEARCH_DIED))
            if not failed and trial.reports:
                self.failures.success()
        self.incumbent.restore(past)
        self._policy.restore(views)
        self._store.begun(self.time.now(), *search_notes(self._settings, self.trials.values()))
