"""Under a deadline: which trials are carried to their full length whatever the policy says, and none begun in vain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from automl.records import Mode, TrialState
from automl.search.control.trial import LiveTrial
from automl.search.policy import Next, NextKind
from automl.search.reasons import Code, Reason

MARGIN = 1.15  # a round may take a little longer than the last one
# How early, in multiples of the time that the trial needs; or by what keeps a worker busy from one rung to the next.
AHEAD = 1.4


def carried(
    trials: Mapping[int, LiveTrial],
    yardstick: int | None,
    mode: Mode,
    *,
    rungs: Sequence[int],
    remaining: float,
) -> Next | None:
    """The paused trial that a free worker should resume for one of two reasons, or None.

    The `yardstick`, the first configuration of a portfolio, is resumed wherever it pauses: values at rungs favour what
    learns quickly (docs/benchmarks/history.md, "What learns slowly"), so it is known at full length what others have to
    beat. Of the others the best is resumed whose rest the time left still holds, if it just holds it: a worker that
    took something else now would be free too late. Promotion waits for a third of a rung, which few trials never fill:
    without this rule a short search would end with nothing but half-trained trials. It says nothing once one of them is
    complete. `rungs` end with the full length. None without a deadline (`remaining` infinite).
    """
    if math.isinf(remaining):  # asked for every free worker, so without a look at every trial
        return None
    if yardstick is not None and yardstick in trials and _fits(trials[yardstick], rungs[-1], remaining):
        return Next(NextKind.RESUME, Reason(Code.YARDSTICK), yardstick)
    best: LiveTrial | None = None
    for live in trials.values():
        if live.state is TrialState.COMPLETE and live.number != yardstick:
            return None  # likewise: of many trials, one of the first is complete
        if _fits(live, rungs[-1], remaining) and (best is None or _rank(live, mode) > _rank(best, mode)):
            best = live
    if best is None:
        return None
    busy = max((after - before for before, after in pairwise((0, *rungs[:-1]))), default=0)
    needed = _rest(best, rungs[-1])
    start_by = max(AHEAD * needed, needed + busy * best.seconds * MARGIN)
    return Next(NextKind.RESUME, Reason(Code.LAST_CALL), best.number) if remaining <= start_by else None


def _rest(live: LiveTrial, full: int) -> float:
    """Seconds that the trial may take to its full length."""
    return (full - live.round) * live.seconds * MARGIN


def _fits(live: LiveTrial, full: int, remaining: float) -> bool:
    """Whether the trial waits with a value that is a number, and the `remaining` seconds hold its rest."""
    waits = live.state is TrialState.PAUSED and live.value is not None and math.isfinite(live.value)
    return waits and 0.0 < _rest(live, full) <= remaining


def _rank(live: LiveTrial, mode: Mode) -> tuple[float, int]:
    """The larger, the better; ties go to the earlier trial."""
    value = live.value or 0.0
    return (value if mode == "max" else -value, -live.number)


def too_late_to_start(*, first_rung: int, round_seconds: float | None, remaining: float) -> bool:
    """Whether a new trial could not reach its first rung (a round) in the `remaining` seconds.

    `round_seconds` is what a round of a quick configuration takes; None, as long as nothing is known, says that it
    could. What is left of the time is of more use to the trials that run, and to what comes after the search.
    """
    return round_seconds is not None and remaining < first_rung * round_seconds
