"""What runs in a Ray worker: one trial after another, in one process."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from ray.tune import Trainable

from automl.search.engines.printed import Shown, printed
from automl.search.objective import Launch, Objective, Step, Stepper, cause_of, shown
from automl.search.storage.store import Worker
from automl.training.hardware.out_of_memory import is_out_of_memory

LAUNCH = "launch"
OUTCOME = "outcome"


@dataclass(frozen=True)
class Outcome:
    """A round's step, or the cause of a failure. `spent`: the process should run no other trial.

    `printed` is what the objective printed, if that is to be shown.
    """

    worker: Worker
    step: Step | None
    cause: str = ""
    spent: bool = False
    printed: str = ""


class RayTrial(Trainable):
    """Runs the objective round by round. The same process takes the next trial through `reset_config`.

    A failure is reported like a result, so that the process lives on. Only an out-of-memory error is raised, so that
    the process ends: nothing says what it still holds. An objective that survived one, with smaller batches, says
    itself whether its memory came back (`spent`).
    """

    def setup(
        self, config: dict[str, Any], objective: Objective | None = None, *, shows: bool = False
    ) -> None:
        """Begin the first trial of this process. `shows`: what the objective prints comes with each outcome."""
        self._objective = objective
        self._stepper: Stepper | None = None
        self._shown = Shown() if shows else None
        self._launch: Launch = config[LAUNCH]
        self._worker = Worker(f"{platform.node()}:{os.getpid()}", platform.node(), os.getpid())

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial, after the last one has released its memory."""
        self._drop()
        self._launch = new_config[LAUNCH]
        return True

    def step(self) -> dict[str, Any]:
        """Run one round."""
        with printed(self._launch.output, self._shown):
            outcome = self._outcome()
        return {OUTCOME: outcome if self._shown is None else replace(outcome, printed=self._shown.take())}

    def _outcome(self) -> Outcome:
        try:
            if self._stepper is None:
                if self._objective is None:
                    raise RuntimeError("the objective did not reach the worker")
                self._stepper = Stepper(self._objective, self._launch)
            return Outcome(self._worker, _sendable(self._stepper.step()), spent=self._stepper.spent)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._drop()
            return Outcome(self._worker, None, cause_of(error))

    def save_state(self) -> bool:
        """Save the trial at its last round, because it may go on later. Return whether it was saved."""
        return self._stepper is not None and self._stepper.save_if_possible()

    def cleanup(self) -> None:
        """Close the trial: the process ends."""
        self._drop()

    def _drop(self) -> None:
        stepper, self._stepper = self._stepper, None
        if stepper is not None:
            stepper.close()


def _sendable(step: Step) -> Step:
    """Return the step with metrics that can be pickled. A value that cannot is replaced by what it looks like."""
    return replace(step, metrics={name: _picklable(value) for name, value in step.metrics.items()})


def _picklable(value: Any) -> Any:
    if isinstance(value, int | float | str):
        return value
    cloudpickle: Any = import_module("ray.cloudpickle")  # it has no types
    try:
        cloudpickle.dumps(value)
    except Exception:  # whatever the code of a stranger's object raises
        return shown(value)
    return value
