"""Under a deadline: which trials are carried to their full length whatever the policy says, and none begun in vain."""

from __future__ import annotations

import math
from collections.abc import Iterable

from automl.records import Mode, TrialState
from automl.search.live_trial import LiveTrial
from automl.search.policy import Next, NextKind

YARDSTICK = "the first of the portfolio is carried to its end, for the others to be measured by"
LAST_CALL = "the best that can be finished is carried to its end before the time is up"
MARGIN = 1.15  # an epoch may take a little longer than the last one
AHEAD = 1.4  # how early, in multiples of the time that the trial needs: workers are busy until a trial ends


def carried(
    trials: Iterable[LiveTrial], yardstick: int | None, mode: Mode, *, max_epochs: int, remaining: float
) -> Next | None:
    """The paused trial that a free worker should resume for one of two reasons, or None.

    The `yardstick`, the first configuration of a portfolio, is resumed wherever it pauses: values at rungs favour what
    learns quickly (docs/benchmarks.md, "Values at rungs"), so it is known at full length what others have to beat.
    Of the others the best is resumed whose rest the time left still holds, if it just holds it. Promotion waits for a
    third of a rung, which few trials never fill: without this rule a short search would end with nothing but
    half-trained trials. It says nothing once one of them is complete. None without a deadline (`remaining` infinite).
    """
    if math.isinf(remaining):  # asked for every free worker, so without a look at every trial
        return None
    held: dict[int, tuple[float, float]] = {}
    done = False
    for live in trials:
        done = done or (live.state is TrialState.COMPLETE and live.number != yardstick)
        needed = (max_epochs - live.epoch) * live.seconds * MARGIN
        if live.state is TrialState.PAUSED and live.value is not None and 0.0 < needed <= remaining:
            held[live.number] = (live.value if mode == "max" else -live.value, needed)
    finite = {number: pair for number, pair in held.items() if math.isfinite(pair[0])}
    if yardstick in finite:
        return Next(NextKind.RESUME, YARDSTICK, yardstick)
    if done or not finite:
        return None
    best = max(finite, key=lambda number: (finite[number][0], -number))
    if remaining > AHEAD * finite[best][1]:
        return None
    return Next(NextKind.RESUME, LAST_CALL, best)


def too_late_to_start(*, first_rung: int, epoch_seconds: float | None, remaining: float) -> bool:
    """Whether a new trial could not reach its first rung (an epoch) in the `remaining` seconds.

    `epoch_seconds` is what an epoch of a quick configuration takes; None, as long as nothing is known, says that it
    could. What is left of the time is of more use to the trials that run, and to what comes after the search.
    """
    return epoch_seconds is not None and remaining < first_rung * epoch_seconds
