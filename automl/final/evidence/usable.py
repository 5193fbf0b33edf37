"""Whether a model is better than the trivial answer, which does not look at the images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.config.metrics import METRICS
from automl.final.evidence.paired import Difference, paired_difference
from automl.records import DatasetInfo, Interval
from automl.training.steps.metrics import compute, to_labels
from automl.training.steps.trivial import trivial_answer

Array = npt.NDArray[Any]
CHANCE_ERRORS = 1.645  # standard errors: chance explains more in one of twenty cases (one-sided)
SHUFFLES = 40
CONSTANT, PAIRED, INTERVAL, SHUFFLED = "one answer", "paired", "interval", "random order"  # of Usability
GUESSED = ("f1", "average_precision")  # metrics by which random guesses are better than a constant answer


@dataclass(frozen=True)
class Trivial:
    """The trivial answer's `value` by a metric, and its `words`, such as "always 'bee'"."""

    value: float
    words: str


@dataclass(frozen=True)
class Usability:
    """Whether a model is usable, and by which test.

    `test`: "one answer" for all rows, "paired" against the trivial answer, the "interval" of the score against it, or
    "random order", against the model's own outputs for other rows. `against`: the score that the model was compared
    with. `errors`: by how many standard errors the model is better, of `needed` ones; NaN where it is unknown.
    """

    usable: bool
    test: str
    against: float = math.nan
    errors: float = math.nan
    needed: float = CHANCE_ERRORS

    def to_json(self) -> dict[str, Any]:
        """Return the entry `usable_test` of result.json; a number that is not known is None."""
        known = {"against": self.against, "errors": self.errors, "needed": self.needed}
        numbers = {name: value if math.isfinite(value) else None for name, value in known.items()}
        return {"test": self.test, **numbers}


def trivial_scores(
    metrics: Iterable[str], train_targets: Array, targets: Array, info: DatasetInfo
) -> dict[str, Trivial]:
    """Return for each metric the trivial answer that the training rows give, scored on other rows' `targets`."""
    found = {}
    for metric in metrics:
        answer = trivial_answer(metric, train_targets, info)
        found[metric] = Trivial(answer.score(metric, targets, info.task), answer.words)
    return found


def against_trivial(
    metric: str, targets: Array, scores: Array, train_targets: Array, info: DatasetInfo, *, seed: int = 0
) -> Difference:
    """Compare a model's `scores` (n, n_outputs) with the trivial answer on the same rows; the model is the first."""
    outputs = trivial_answer(metric, train_targets, info).outputs
    constant = np.tile(np.asarray(outputs, dtype=np.float64), (len(targets), 1))
    return paired_difference(metric, targets, scores, constant, info.task, seed=seed)


def judge_usable(
    metric: str,
    targets: Array,
    scores: Array,
    train_targets: Array,
    info: DatasetInfo,
    *,
    held: Interval | None = None,
    seed: int = 0,
) -> Usability:
    """Return whether a model's `scores` are better than the trivial answer by more than chance explains.

    That is by more than 1.645 standard errors of the paired difference, a one-sided test at 5 %; for accuracy it is
    McNemar's (1947). A model whose 95 % interval, `held`, does not reach the trivial answer is usable, too: with few
    rows of a class the paired error can be the wider one, and nobody should see a verdict that the interval beside it
    contradicts. By f1 and average precision, guesses are better than any constant answer, so there the model must
    also be better, at the same level, than its own outputs in random order (Fisher's permutation test). True if the
    metric is not defined for these rows, because nothing speaks against the model then. A model with one answer for
    all rows (`is_constant`) is never usable: where another class is the most frequent one than in training, it can
    beat the trivial answer without a look at the images. The result names the test that decided.
    """
    found = against_trivial(metric, targets, scores, train_targets, info, seed=seed)
    if math.isnan(found.first) and math.isnan(found.second):
        return Usability(usable=True, test=PAIRED)
    if is_constant(metric, scores, info):
        return Usability(usable=False, test=CONSTANT, against=found.second)
    errors = found.better / found.error if found.error > 0 else math.nan
    exceeds = found.exceeds(CHANCE_ERRORS)
    if not exceeds and not _apart(metric, found.second, held):
        return Usability(usable=False, test=PAIRED, against=found.second, errors=errors)
    if metric in GUESSED:
        return _against_guesses(metric, targets, scores, info, seed)
    return Usability(usable=True, test=PAIRED if exceeds else INTERVAL, against=found.second, errors=errors)


def is_constant(metric: str, scores: Array, info: DatasetInfo) -> bool:
    """Return whether a model's `scores` (n, n_outputs) give one answer for all of several rows.

    That is one class in a classification whose metric looks at classes; else all scores must be equal, as a metric of
    probabilities, such as roc_auc, tells rows of one answer apart.
    """
    by_class = info.task == "classification" and METRICS[metric].needs == "labels"
    answers = to_labels(scores, info.task) if by_class else scores
    return len(answers) > 1 and bool((answers == answers[:1]).all())


def _apart(metric: str, trivial: float, held: Interval | None) -> bool:
    """Return whether an interval lies on the better side of the trivial answer's value."""
    if held is None or not math.isfinite(trivial):
        return False
    return held.low > trivial if METRICS[metric].mode == "max" else held.high < trivial


def _against_guesses(metric: str, targets: Array, scores: Array, info: DatasetInfo, seed: int) -> Usability:
    """Compare a model with its own outputs in random order."""
    rng = np.random.default_rng(seed)
    shuffled = (scores[rng.permutation(len(scores))] for _ in range(SHUFFLES))
    guesses = [compute(metric, targets, guessed, info.task) for guessed in shuffled]
    value = compute(metric, targets, scores, info.task)
    mean, spread = float(np.mean(guesses)), float(np.std(guesses, ddof=1))
    return Usability(
        usable=value > mean + CHANCE_ERRORS * spread,
        test=SHUFFLED,
        against=mean,
        errors=(value - mean) / spread if spread > 0 else math.nan,
    )
