"""Ray Tune's searcher, scheduler, callback and stopper, which only translate between Tune and the coordinator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import ray
from ray.exceptions import RayError
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from automl.errors import AutomlError, EngineError
from automl.search.control.coordinator import Coordinator
from automl.search.engines.ray.trainable import LAUNCH, OUTCOME, Outcome
from automl.search.objective import cause_of
from automl.search.policy import Action, Decision, NextKind
from automl.search.reasons import Reason, crashed

GRACE_SECONDS = 1.0  # for trials that cut themselves short at the deadline
LONGER_GRACE = 4.0  # while no trial at all has reported: the first report decides what is delivered
STOP_GRACE = 8.0  # the most after Ctrl-C, for trials whose round ends within that: they are saved there
SPARE = 1.5  # times its last one that a round may take
SAVE_SECONDS = 10.0  # the most that saving a trial may take when the search ends
LOOK_SECONDS = 1.0  # between two checks for hanging trials
# A string, although `suggest` is declared to return a dict.
FINISHED: dict[str, Any] = cast(Any, Searcher.FINISHED)


def short_name(trial: Trial) -> str:
    """Return a name such as `t0007`: parameters in names would break path limits."""
    return f"t{trial.config[LAUNCH].number:04d}"


class TrialMap:
    """Maps Tune's trials to ours.

    `chosen` and `given_up` hold, by our numbers, why Tune should resume a trial, and why a hanging trial's process
    was killed.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._trials: dict[int, Trial] = {}
        self._known: set[int] = set()
        self.chosen: dict[int, Reason] = {}
        self.given_up: dict[int, Reason] = {}

    def expect(self, tune_id: str, number: int) -> None:
        """Tune will make a trial with this id."""
        self._numbers[tune_id] = number
        self._known.add(number)

    def add(self, trial: Trial) -> None:
        """Tune has made the trial."""
        self._trials[self.number(trial)] = trial

    def number(self, trial: Trial) -> int:
        """Return our number of Tune's trial."""
        return self._numbers[trial.trial_id]

    def knows(self, number: int) -> bool:
        """Return whether Tune has, or is about to make, the trial."""
        return number in self._known

    def trial(self, number: int) -> Trial | None:
        """Return Tune's trial, None until it is made."""
        return self._trials.get(number)

    def forget(self, trial: Trial) -> None:
        """Tune will not run the trial any more. Another may be made for the same number."""
        number = self.number(trial)
        if self._trials.get(number) is trial:
            del self._trials[number]
            self._known.discard(number)

    def running(self) -> list[Trial]:
        """Return the trials that Tune has running."""
        return [trial for trial in self._trials.values() if trial.status == Trial.RUNNING]


class CoordinatorSearcher(Searcher):
    """Makes Tune's trials: new ones, and those of an earlier run that are resumed."""

    def __init__(self, coordinator: Coordinator, trial_map: TrialMap) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._map = trial_map

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return a trial that the coordinator wants and Tune does not have, None if there is none."""
        choice = self._coordinator.next()
        if choice.kind is NextKind.FINISH:
            return FINISHED
        if choice.kind is NextKind.START:
            launch = self._coordinator.start()
        elif choice.kind is NextKind.RESUME and choice.trial is not None:
            if self._map.knows(choice.trial):
                return None
            launch = self._coordinator.launch(choice.trial)
            self._map.chosen[choice.trial] = choice.reason
        else:
            return None
        self._map.expect(trial_id, launch.number)
        return {LAUNCH: launch}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Do nothing: the scheduler has handled it."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the state."""


class CoordinatorScheduler(TrialScheduler):
    """Passes results to the coordinator, and its decisions to Tune."""

    def __init__(self, coordinator: Coordinator, trial_map: TrialMap) -> None:
        # The base class's __init__ is left out: it only tells Ray's usage statistics which scheduler is in use.
        self._coordinator = coordinator
        self._map = trial_map

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Note the trial that Tune made of a suggestion."""
        self._map.add(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Take in a round, or the failure of one."""
        number = self._map.number(trial)
        with suppress(OSError):  # a stdout that is full or closed ends no search
            for line in result[OUTCOME].printed.splitlines():
                print(f"trial {number}: {line}", flush=True)
        try:
            decision = self._decide(number, result[OUTCOME])
        except AutomlError as error:
            # Raised here, Tune would turn it into text.
            self._coordinator.fatal = self._coordinator.fatal or error
            return str(TrialScheduler.STOP)
        if decision.action is Action.CONTINUE:
            return str(TrialScheduler.CONTINUE)
        step = result[OUTCOME].step
        if step is not None and self._coordinator.trials[number].ought_to_be_saved(step) and _save(trial):
            self._coordinator.saved(number)
        with _process_kept(tune_controller, not result[OUTCOME].spent):
            return self._leave(tune_controller, trial, decision)

    def _leave(self, tune_controller: Any, trial: Any, decision: Decision) -> str:
        if decision.action is Action.STOP:
            tune_controller.stop_trial(trial)
            return str(TrialScheduler.NOOP)
        # The trial has saved itself where the next worker looks, so Tune must not save it.
        trial.set_config({LAUNCH: self._coordinator.launch(self._map.number(trial))})
        tune_controller.pause_trial(trial, should_checkpoint=False)
        return str(TrialScheduler.NOOP)

    def _decide(self, number: int, outcome: Outcome) -> Decision:
        self._coordinator.placed(number, outcome.worker)
        if outcome.step is None:
            return self._coordinator.failed(number, crashed(outcome.cause))
        return self._coordinator.report(number, outcome.step)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the paused trial to resume. Tune starts new ones by itself."""
        choice = self._coordinator.next()
        if choice.kind is not NextKind.RESUME or choice.trial is None:
            return None
        trial = self._map.trial(choice.trial)
        if trial is None or trial.status not in (Trial.PAUSED, Trial.PENDING):
            return None
        self._map.chosen[choice.trial] = choice.reason
        return trial

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Report that the worker died, was killed, or ran out of memory."""
        error = trial.get_pickled_error()
        inner = getattr(error, "cause", None) or error
        cause = cause_of(inner) if inner is not None else "the worker process died"
        number = self._map.number(trial)
        why = self._map.given_up.pop(number, crashed(cause))
        self._coordinator.failed(number, why, lost=True)
        # Tune will not run it again. A trial that was paused when its process died may still be promoted.
        self._map.forget(trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Do nothing: this scheduler ended the trial."""

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Do nothing: this scheduler ended the trial."""

    def debug_string(self) -> str:
        """Return nothing for Tune to print."""
        return ""


@contextmanager
def _process_kept(tune_controller: Any, kept: bool) -> Iterator[None]:
    """A trial that leaves its worker in this block leaves its process to the next trial only if `kept`.

    Tune has no public way: it gives schedulers a wrapper of its controller, which decides by an attribute.
    """
    # Private to Ray Tune: `_tune_controller` and `_reuse_actors`. Without them, a process that did not get its memory
    # back after an out-of-memory error is used again, and its next trials have less memory.
    controller = vars(tune_controller).get("_tune_controller")
    if kept or controller is None:
        yield
        return
    controller._reuse_actors = False
    try:
        yield
    finally:
        controller._reuse_actors = True


class StartListener(Callback):
    """Tells the coordinator when a paused trial runs."""

    def __init__(self, coordinator: Coordinator, trial_map: TrialMap) -> None:
        self._coordinator = coordinator
        self._map = trial_map

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        number = self._map.number(trial)
        if number not in self._coordinator.running:
            self._coordinator.resume(number, self._map.chosen[number])


class NoOutput(TrialProgressCallback):
    """Replaces Tune's own callback, which prints completed trials on stdout even with `verbose=0`."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Print nothing."""

    def log_result(self, trial: Trial, result: dict[str, Any], error: bool = False) -> None:
        """Print nothing."""


class FinishStopper(Stopper):
    """Ends Tune's run when the coordinator says FINISH.

    At the deadline it waits a moment for results of trials that cut themselves short. Workers that are still busy then
    are killed, because Tune would wait for the end of their round.
    """

    def __init__(
        self, coordinator: Coordinator, trial_map: TrialMap, failed_starts: Callable[[], str | None]
    ) -> None:
        """`failed_starts` returns the error of worker processes that ended before they ran anything."""
        self._coordinator = coordinator
        self._map = trial_map
        self._failed_starts = failed_starts
        self._started = False
        self._over_since: float | None = None
        self._look_again = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes its state to a temporary folder now and then, with this object. Nothing reads it.
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: the scheduler ends single trials."""
        return False

    def stop_all(self) -> bool:
        """Return whether to end. Tune asks after every event, at least ten times a second."""
        self._end_hanging()
        if self._coordinator.next().kind is not NextKind.FINISH:
            return False
        if self._over_since is None:
            self._over_since = time.monotonic()
        waited = time.monotonic() - self._over_since
        if self._coordinator.running and waited < self._grace():
            return False
        for trial in self._map.running():
            _kill(trial)
        return True

    def _grace(self) -> float:
        """Return for how many seconds running trials may go on after the end."""
        coordinator = self._coordinator
        if coordinator.incumbent.best is None:
            return LONGER_GRACE
        rounds = [coordinator.trials[number].seconds for number in coordinator.running]
        ending = [seconds for seconds in rounds if seconds * SPARE <= STOP_GRACE]
        stopped = coordinator.stop_reason is not None
        return max(GRACE_SECONDS, SPARE * max(ending, default=0.0)) if stopped else GRACE_SECONDS

    def _end_hanging(self) -> None:
        """Kill the processes of hanging trials. Tune then tells the scheduler, as for any that died.

        If no worker can start, the search ends with the error of those that tried.
        """
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + LOOK_SECONDS
        self._started = self._started or bool(self._map.running())
        if not self._started and (cause := self._failed_starts()) is not None:
            error = EngineError(f"Ray's worker processes cannot start on this machine: {cause}")
            self._coordinator.fatal = self._coordinator.fatal or error
        for number, why in self._coordinator.hanging().items():
            trial = self._map.trial(number)
            if trial is not None and number not in self._map.given_up:
                self._map.given_up[number] = why
                _kill(trial)


def _save(trial: Trial) -> bool:
    """Let the trial's process, which waits between two rounds, save it. Return whether it did."""
    actor = trial.temporary_state.ray_actor
    try:
        return actor is not None and bool(ray.get(actor.save_state.remote(), timeout=SAVE_SECONDS))
    except RayError:  # the process died, or writes too slowly: an earlier checkpoint stays
        return False


def _kill(trial: Trial) -> None:
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        ray.kill(actor)
