"""Deadlines: which paused trials are finished before it, and when it is too late to start a trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from automl.config.durations import format_duration
from automl.records import Mode, TrialState
from automl.search.control.timing import Timing
from automl.search.control.trial import LiveTrial
from automl.search.policy import Next, NextKind
from automl.search.reasons import Code, Reason
from automl.search.settings import SearchSettings

# Chosen with simulated searches (docs/benchmarks/history.md, "What learns slowly").
MARGIN = 1.15  # a round may take a little longer than the last one
# What a search should have to run one round, in rounds, and the least share of more time that a study gives its search.
SPARE, LEAST_SHARE = 1.2, 0.5
EARLY = 1.4  # the trial is resumed this many times earlier than it needs, or a rung's work earlier


def resumed_for_deadline(
    trials: Mapping[int, LiveTrial],
    reference: int | None,
    mode: Mode,
    *,
    rungs: Sequence[int],
    remaining: float,
) -> Next | None:
    """Return the paused trial that a free worker should resume whatever the policy says, or None.

    `reference` is the first configuration of a portfolio. It is resumed wherever it pauses, so that its value at full
    length is known: values at rungs favour what learns quickly.

    Of the others, the best that the time left can finish is resumed at the last moment at which it can: a worker that
    took another trial would be free too late. Without this rule a short search would end with half-trained trials
    only, because a promotion needs a third of a rung. The rule no longer holds once one of them is complete.

    `rungs` end with the full length. `remaining` is infinite without a deadline; then the answer is None.
    """
    if math.isinf(remaining):  # asked for every free worker, so without a look at every trial
        return None
    if reference is not None and reference in trials and _fits(trials[reference], rungs[-1], remaining):
        return Next(NextKind.RESUME, Reason(Code.REFERENCE), reference)
    best: LiveTrial | None = None
    for live in trials.values():
        if live.state is TrialState.COMPLETE and live.number != reference:
            return None  # quick, too: of many trials, one of the first is complete
        if _fits(live, rungs[-1], remaining) and (best is None or _rank(live, mode) > _rank(best, mode)):
            best = live
    if best is None:
        return None
    longest = max((after - before for before, after in pairwise((0, *rungs[:-1]))), default=0)
    needed = _needed(best, rungs[-1])
    start_by = max(EARLY * needed, needed + longest * best.seconds * MARGIN)
    return Next(NextKind.RESUME, Reason(Code.FINISH_IN_TIME), best.number) if remaining <= start_by else None


def resumed_unfinished(cut: Iterable[LiveTrial], mode: Mode, remaining: float) -> Next | None:
    """Return the best of the trials that the end of an earlier search `cut` and that have time for a round, or None."""
    fitting = (live for live in cut if live.seconds <= remaining)
    best = max(fitting, key=lambda live: _rank(live, mode), default=None)
    if best is None:
        return None
    return Next(NextKind.RESUME, Reason(Code.WAS_CUT, {"round": best.round}), best.number)


def too_late_to_start(*, rounds: int, round_seconds: float | None, remaining: float) -> bool:
    """Return whether a new trial could not train for so many `rounds` in the `remaining` seconds.

    `round_seconds` is the time of a quick configuration's round, None while it is not known.
    """
    return round_seconds is not None and remaining < rounds * round_seconds


def no_round_fits(time: Timing, round_seconds: float | None, settings: SearchSettings) -> str:
    """Return the note of a continued search that had no time for a round of `round_seconds`."""
    left = max(0.0, time.remaining())
    if round_seconds is None or round_seconds <= left:
        return "The time was up before any trial could go on: give a longer time limit."
    more = SPARE * round_seconds - left
    if settings.deadline is not None:
        more /= LEAST_SHARE
    return (
        f"The {format_duration(left)} left for the search hold no further round (one takes about "
        f"{format_duration(round_seconds)}), so no trial went on: give a time limit that is at least "
        f"{format_duration(math.ceil(more))} longer."
    )


def _needed(live: LiveTrial, full: int) -> float:
    """Return the seconds that the trial may take to its full length."""
    return (full - live.round) * live.seconds * MARGIN


def _fits(live: LiveTrial, full: int, remaining: float) -> bool:
    """Return whether the trial is paused with a finite value, and can be finished in the `remaining` seconds."""
    paused = live.state is TrialState.PAUSED and live.value is not None and math.isfinite(live.value)
    return paused and 0.0 < _needed(live, full) <= remaining


def _rank(live: LiveTrial, mode: Mode) -> tuple[float, int, int]:
    """Return a key that is larger for better trials; of equal ones, for those with fewer rounds left, then earlier."""
    value = live.value or 0.0
    return (value if mode == "max" else -value, live.round, -live.number)
