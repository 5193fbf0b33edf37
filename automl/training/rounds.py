"""The length of a round: an epoch, or as many steps as fit into a given time.

Under a time limit, configurations are compared after equal time: a slow one has then seen fewer images. The number of
steps is measured once, in the first steps of a training. From then on the training is as reproducible as with epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

WARM = 2  # steps that also pay for allocations
MEASURED, ENOUGH = 6, 1.0  # steps that are timed, and seconds after which fewer are enough
# The cost of a training step in forward passes: the forward pass itself, and about as many multiplications each for the
# gradients by activations and by weights. It follows from the arithmetic, not from a measurement.
STEP_COST = 3.0
MIN_SHARE = 1 / 3  # of a round is training, however long validation takes

Clock = Callable[[], float]


class Round:
    """The length of a training's rounds in steps of `rows` images each, measured during the first steps.

    `seconds`: the time of a round, including scoring `n_val` images; with None a round is an epoch of `epoch_steps`.
    The first `warm` steps are slower and do not count.
    """

    def __init__(
        self,
        epoch_steps: int,
        *,
        seconds: float | None,
        rows: int,
        n_val: int,
        clock: Clock,
        warm: int = WARM,
    ) -> None:
        self.epoch_steps, self.seconds, self.rows, self.n_val = epoch_steps, seconds, rows, n_val
        self._clock, self._warm = clock, warm
        self._times: list[float] = []
        self._known = epoch_steps if seconds is None else 0

    @property
    def known(self) -> int:
        """Steps of a round, 0 until they are measured."""
        return self._known

    @known.setter
    def known(self, steps: int) -> None:
        self._known = steps if self.seconds is not None else self.epoch_steps

    @property
    def steps(self) -> int:
        """Steps of a round; those of an epoch until they are measured."""
        return self._known or self.epoch_steps

    def ends(self, done: int) -> bool:
        """Return whether the round is over after `done` steps; must be called after each step."""
        if not self._known:
            self._measure()
        return self._known > 0 and done >= self._known

    def _measure(self) -> None:
        self._times.append(self._clock())
        timed = self._times[self._warm - 1 :]
        if len(timed) < 2 or (len(timed) <= MEASURED and timed[-1] - timed[0] < ENOUGH):
            return
        self._known = steps_in(
            self.seconds or 0.0, (timed[-1] - timed[0]) / (len(timed) - 1), rows=self.rows, n_val=self.n_val
        )


def steps_in(seconds: float, step: float, *, rows: int, n_val: int) -> int:
    """Return the steps of `step` seconds and `rows` images that fit into `seconds`, besides scoring `n_val` images.

    At least a third of the time is training, and there is at least one step.

    >>> steps_in(10.0, 0.1, rows=64, n_val=0), steps_in(10.0, 0.1, rows=64, n_val=960)
    (100, 95)
    >>> steps_in(1.0, 0.1, rows=64, n_val=6400), steps_in(1.0, 7.0, rows=64, n_val=0)
    (3, 1)
    """
    scoring = n_val * step / (rows * STEP_COST)
    return max(1, round(max(MIN_SHARE * seconds, seconds - scoring) / max(step, 1e-9)))


def work_clock(device: str, *, alone: bool, streamed: bool) -> Clock:
    """Return a clock of work.

    If this thread does all of it (`alone`), the clock counts its CPU time, so that other processes do not matter. If
    other threads decode for it (`streamed`), their CPU time counts too: beside other trials they have no idle core.
    Otherwise it is wall time, on a GPU after synchronisation.
    """
    if torch.device(device).type == "cuda":

        def waited() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return waited
    if alone:
        return time.process_time if streamed else time.thread_time
    return time.perf_counter
