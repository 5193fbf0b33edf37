"""How much training a round is: an epoch, or as many steps as a stretch of time holds.

Under a time limit what counts is how good a network gets in the time that there is, so configurations are compared
after equal times: a dear one has seen fewer images by then, a cheap one more. A round's steps are counted once, from
the first steps of a training; from there on it is as reproducible as one of whole epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

WARM = 2  # steps that also pay for allocations
MEASURED = 6  # steps that are timed,
ENOUGH = 1.0  # seconds of them at most
# What a training step costs, in forward passes: its own, and about as many multiplications each for the gradients by
# activations and by weights. Counted for networks whose layers all learn; not fitted to a machine.
STEP_COST = 3.0
MIN_SHARE = 1 / 3  # of a round that is training, however long validation takes

Clock = Callable[[], float]


class Round:
    """The length of a training's rounds in steps, `steps` of `rows` images each; found out on the way.

    `seconds`: what a round may take, the scoring of `n_val` images included; None makes it an epoch of `epoch_steps`.
    The first `warm` steps do not count, because they take longer than those after them.
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
        """Steps of a round, 0 as long as that is not measured."""
        return self._known

    @known.setter
    def known(self, steps: int) -> None:
        self._known = steps if self.seconds is not None else self.epoch_steps

    @property
    def steps(self) -> int:
        """Steps of a round; those of an epoch as long as nothing better is known."""
        return self._known or self.epoch_steps

    def ends(self, done: int) -> bool:
        """Whether the round is over after `done` of its steps; to be asked after each of them."""
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
    """Steps that `seconds` hold, at `step` seconds for each with `rows` images, beside the scoring of `n_val` images.

    At least a third of the time is training, and at least one step.

    >>> steps_in(10.0, 0.1, rows=64, n_val=0), steps_in(10.0, 0.1, rows=64, n_val=960)
    (100, 95)
    >>> steps_in(1.0, 0.1, rows=64, n_val=6400), steps_in(1.0, 7.0, rows=64, n_val=0)
    (3, 1)
    """
    scoring = n_val * step / (rows * STEP_COST)
    return max(1, round(max(MIN_SHARE * seconds, seconds - scoring) / max(step, 1e-9)))


def clock_of(device: str, *, alone: bool, streamed: bool) -> Clock:
    """Seconds of work: of this thread where it does all of it (`alone`), so that neighbours do not count.

    Where other threads decode for it (`streamed`), their seconds are added, because beside other trials there is no
    idle core for them. Otherwise seconds on the wall, on a GPU after it has caught up.
    """
    if torch.device(device).type == "cuda":

        def waited() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return waited
    if alone:
        return time.process_time if streamed else time.thread_time
    return time.perf_counter
