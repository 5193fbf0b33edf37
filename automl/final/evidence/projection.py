"""Which kind of training the retrain should be: what a longer training would reach, by the curves of the trials.

Fine-tuning begins high and rises slowly; training from scratch begins at nothing and rises for long. At the length of a
trial the first is ahead on nearly all data, at that of the retrain often the second. So trials of different kinds are
compared by what their curves promise at that length. Losses fall about as a power of the work: Hestness et al. 2017,
"Deep learning scaling is predictable, empirically"; curves of one training: Domhan et al. 2015, "Speeding up automatic
hyperparameter optimization of deep neural networks by extrapolation of learning curves".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from automl.config.metrics import METRICS
from automl.records import rows_of
from automl.search.storage.reader import StoredTrial

RECENT, FEWEST = 1 / 2, 3  # the last part of a trial's work, and at least so many rounds: decision 191
STEEPEST = 0.6  # of a loss by the work; steeper curves flatten before long
EVER_SEEN = 1.5  # the steepest that was measured up to the end of a retrain: magnetic tiles, decision 191
COMPARABLE = 0.5  # of the longest trial of its kind: shorter ones do not stand for it
# What a curve of one point is expected to do, from scratch and from weights: the middle of exponents that were measured
# between the first round of trials and the end of retrains. Decision 90.
USUAL_FROM_SCRATCH, USUAL_FROM_WEIGHTS = 0.4, 0.25

Kind = TypeVar("Kind", bound=Hashable)


@dataclass(frozen=True)
class Projected:
    """A trial that stands for its kind: its last `value`, and the one that `times` its work would reach.

    A curve of one point promises nothing: `projected` is its value. `expected` is what such curves usually reach, by
    which kinds are compared; for others it is `projected`.
    """

    trial: int
    value: float
    times: float
    projected: float
    expected: float


def project(
    work: Sequence[float], values: Sequence[float], times: float, metric: str, *, usual: float = 0.0
) -> float:
    """Return the value of `metric` that a training would reach with `times` the work that it has done.

    `work` (any unit, cumulative) and `values` have an entry for each round. The loss, which is 1 - value for metrics to
    maximise, is fitted as a power of the last half of the work, with an exponent from 0 to 0.6. For a curve with one
    finite point, it is `usual`; without a point, the result is NaN.
    """
    points = [(w, v) for w, v in zip(work, values, strict=True) if math.isfinite(v) and w > 0.0]
    if not points:
        return math.nan
    down = METRICS[metric].mode == "max"
    if len(points) == 1:
        value, left = points[0][1], float(max(times, 1e-6) ** -usual)
        return (value + (1.0 - value) * (1.0 - left)) if down else value * left
    recent = sum(w >= RECENT * points[-1][0] for w, _ in points)
    known = [(w, max(1e-4, 1.0 - v if down else v)) for w, v in points[-max(FEWEST, recent) :]]
    x, y = (np.log(np.array(part)) for part in zip(*known, strict=True))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0.0 else 0.0
    exponent = min(STEEPEST, max(0.0, -slope))
    last = float(y.mean()) - exponent * (float(x[-1]) - float(x.mean()))
    loss = math.exp(last - exponent * math.log(max(times, 1e-6)))
    return 1.0 - loss if down else loss


def best_of_kinds(
    trials: Sequence[StoredTrial],
    kind: Callable[[StoredTrial], Kind],
    times: Callable[[StoredTrial], float],
    metric: str,
    work: Callable[[StoredTrial], Sequence[float]],
    usual: Callable[[StoredTrial], float] = lambda trial: 0.0,
) -> dict[Kind, Projected]:
    """Return for each kind of training its best trial, with what the curve promises.

    `times(trial)` is the work of the retrain by that of the trial, `work(trial)` the trial's own by its rounds, and
    `usual(trial)` the exponent that is expected of a curve of one point. A trial stands for its kind if it did at least
    half as much as the longest of it, was scored on as many validation rows as any that did, and no other such trial
    has a better value. Kinds without a value are absent.
    """
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0
    found: dict[Kind, Projected] = {}
    groups: dict[Kind, list[StoredTrial]] = {}
    for trial in trials:
        if math.isfinite(trial.value):  # NaN for one that failed
            groups.setdefault(kind(trial), []).append(trial)
    for name, group in groups.items():
        done = {trial.number: float(np.sum(work(trial))) for trial in group}
        longest = max(done.values())
        long = [trial for trial in group if done[trial.number] >= COMPARABLE * longest]
        most = max(map(_rows, long))
        sure = [trial for trial in long if _rows(trial) == most]
        best = max(sure, key=lambda trial: (sign * trial.value, -trial.number))
        spent = np.cumsum(work(best)).tolist()
        values = [report.value for report in best.reports]
        ratio = times(best)
        promised = project(spent, values, ratio, metric)
        expected = project(spent, values, ratio, metric, usual=usual(best))
        found[name] = Projected(best.number, values[-1], ratio, promised, expected)
    return found


def _rows(trial: StoredTrial) -> float:
    """Return the validation rows of the trial's last value, infinite for all of them."""
    return float(rows_of(trial.metrics) or math.inf)
