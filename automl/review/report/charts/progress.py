"""The best score over time, beside what random draws would have reached by an estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from automl.records import TrialState
from automl.review.page.svg import dot, frame, line, padded, path, steps
from automl.review.report.history import History
from automl.search.storage.kinds import HEADS

FEWEST = 5  # values that an expected maximum is computed from
POINTS = 60
MOST_DOTS = 1_000


@dataclass(frozen=True)
class RandomSearch:
    """What random search is expected to reach: `curve` of (seconds, value), with each draw trained in full.

    `draws` values stand for the distribution; a full training takes `seconds`, and `parallel` of them run at once.
    """

    curve: tuple[tuple[float, float], ...]
    draws: int
    seconds: float
    parallel: int


def incumbent(history: History) -> list[tuple[float, float]]:
    """Return the best validation score so far as (seconds, value), at each moment at which it changed.

    As in the search (`search.control.incumbent`), a trial counts by its latest score, so the best one falls where its
    trial has a lower one later. Random search is estimated from last scores too.
    """
    reports = sorted(
        (moment, trial.number, report.value)
        for trial in history.trials
        if trial.state is not TrialState.FAILED
        for moment, report in zip(trial.report_times, trial.reports, strict=True)
        if math.isfinite(report.value)
    )
    latest: dict[int, float] = {}
    found: list[tuple[float, float]] = []
    leader = -1
    for moment, number, value in reports:
        latest[number] = value
        if leader == number or not found or history.sign * value > history.sign * found[-1][1]:
            leader = max(latest, key=lambda one: history.sign * latest[one])
        if not found or latest[leader] != found[-1][1]:
            found.append((moment, latest[leader]))
    return found


def expected_best(values: Sequence[float], draws: float, sign: float = 1.0) -> float:
    """Return the expected best of `draws` independent draws from these values (the empirical distribution).

    Dodge et al. 2019, "Show your work: improved reporting of experimental results", section 3.1: the sum of each value
    times the probability that it is the best. `sign` is -1 where less is better. NaN without values.

    >>> expected_best([0.0, 1.0], 2)
    0.75
    """
    if not values or draws <= 0:
        return math.nan
    ordered = sorted(sign * value for value in values)
    n = len(ordered)
    return sign * math.fsum(
        value * ((k / n) ** draws - ((k - 1) / n) ** draws) for k, value in enumerate(ordered, 1)
    )


def random_search(history: History) -> RandomSearch | None:
    """Return what random search would reach by an estimate; None with too few trials to say.

    Each draw has the last value of a trial of this study, and takes as many rounds as a full trial, of mean length.
    """
    scored = [trial for trial in history.trials if math.isfinite(trial.value)]
    if len(scored) < FEWEST or history.ended <= 0.0:
        return None
    full = history.full or max(trial.rounds for trial in scored)
    rounds = sum(len(trial.reports) for trial in scored)
    seconds = full * math.fsum(trial.seconds for trial in scored) / rounds
    values, parallel = [trial.value for trial in scored], max(1, len(history.workers))
    if seconds <= 0.0 or seconds > history.ended:
        return None
    moments = [seconds + (history.ended - seconds) * k / POINTS for k in range(POINTS + 1)]
    curve = [(t, expected_best(values, parallel * t / seconds, history.sign)) for t in moments]
    return RandomSearch(tuple(curve), len(values), seconds, parallel)


def progress(history: History, trivial: float | None = None) -> Markup:
    """Return the chart: the incumbent as a line, random search as a dashed one, and each trial as a dot."""
    best, other = incumbent(history), random_search(history)
    if not best:
        return Markup("")
    ends = [
        (trial.report_times[-1], trial.value, trial)
        for trial in history.trials[:: 1 + len(history.trials) // MOST_DOTS]
        if math.isfinite(trial.value)
    ]
    heads = [row.value for row in history.rows if row.kind in HEADS and row.value is not None]
    head = max(heads, key=lambda value: history.sign * value) if heads else None
    values = [value for _, value in best] + [value for _, value in (other.curve if other else ())]
    values += [value for _, value, _ in ends] + ([] if head is None else [head])
    low, high = padded(_without_outliers(values, history.sign))
    plot = frame(
        "seconds since the search began", f"validation {history.metric}", (0.0, history.ended), (low, high)
    )
    x, y = plot.x, plot.y
    content = [
        dot(
            x(moment),
            y(value),
            "thin",
            f"trial {trial.number}: {value:.4g} after round {trial.rounds}, {trial.state}",
        )
        for moment, value, trial in ends
        if low <= value <= high
    ]
    if head is not None and low <= head <= high:
        content.append(line(x(0), y(head), x(history.ended), y(head), "ideal"))
    if trivial is not None and low <= trivial <= high:
        content.append(line(x(0), y(trivial), x(history.ended), y(trivial), "trivial"))
    if other is not None:
        content.append(
            path([(x(t), y(value)) for t, value in other.curve], "other", "random search, expected")
        )
    corners = steps([(x(t), y(value)) for t, value in best], x(history.ended))
    content.append(path(corners, "", "best validation score so far"))
    first, last = best[0][1], best[-1][1]
    return plot.draw(
        "".join(content),
        label=f"Best validation {history.metric} over time, from {first:.4g} to {last:.4g}",
    )


def _without_outliers(values: Sequence[float], sign: float) -> list[float]:
    """Return the values without the worst that would flatten all others: those far below the lower half."""
    ordered = sorted(values, key=lambda value: sign * value)
    middle, best = ordered[len(ordered) // 2], ordered[-1]
    floor = sign * middle - 3 * abs(best - middle) - 1e-12
    return [value for value in ordered if sign * value >= floor]
