"""Choose the model to deliver, from what is known about each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.config.metrics import METRICS
from automl.final.evidence.delivery import Delivery, NotBetter, Outscored
from automl.final.evidence.paired import Difference, paired_difference
from automl.final.retrain import Retrained
from automl.records import Config, DatasetInfo
from automl.training.evaluate import Answers
from automl.training.heads.out_of_fold import OutOfFold
from automl.training.models.hyperparameters import Recipe
from automl.training.steps.standard_errors import standard_error

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
ENOUGH_ERRORS = 1.0  # standard errors by which a model must be better to replace the preferred one
HOPELESS = 3.0  # standard errors by which a retrain must promise more, so that a head is not even compared
LAGGING = 2.0  # standard errors by which a head is behind the best one, so that it is not compared
KEPT_PART = 3  # one of so many validation rows may be kept out of the retrain


@dataclass(frozen=True)
class Alternative:
    """A finished model that may be delivered, such as a linear head or the model of an earlier run.

    `config` names its network for the model folder. `value` is its score on all validation rows, NaN if it was not
    scored yet. `mirrored`: it scores an image and its mirror image; None: if its configuration trained on both.
    `whole` is the same model, fitted on the validation rows as well: it is delivered in its place. `out_of_fold` is its
    cross-validation, if it had one; where that scores trials, `value` is from it. `answers` are what it answered for
    validation rows when it was fitted, None if that was not kept.
    """

    delivery: Delivery
    config: Config
    trained: Retrained
    value: float = math.nan
    mirrored: bool | None = None
    whole: Retrained | None = None
    out_of_fold: OutOfFold | None = None
    answers: Answers | None = None

    @property
    def is_mirrored(self) -> bool:
        """Whether it scores an image and its mirror image."""
        return bool(self.config.get("hflip", Recipe.hflip)) if self.mirrored is None else self.mirrored


@dataclass(frozen=True)
class Candidate:
    """A model and its outputs on validation rows, as delivered.

    `rows` are positions among the validation rows, `scores` (len(rows), n_outputs) its outputs for them, without any
    if there was no time. `seen` (n_val,) says on which validation rows it trained. Scoring took `seconds_per_row`.
    """

    model: Alternative
    rows: Positions
    scores: Array
    seen: npt.NDArray[np.bool_]
    seconds_per_row: float = 0.0

    @property
    def name(self) -> Delivery:
        """The kind of model."""
        return self.model.delivery


@dataclass(frozen=True)
class Judge:
    """What candidates are compared by. `targets` (n_val, ...) are those of all validation rows.

    The best trial was scored on `trial_rows` of them, 0 for all.
    """

    metric: str
    info: DatasetInfo
    targets: Array
    seed: int = 0
    trial_rows: int = 0

    @property
    def n_scored(self) -> int:
        """The number of rows that score a trial or a head."""
        return self.info.n_scored if self.info.folds else len(self.targets)

    def beside_trial(self, value: float) -> float:
        """Return the standard error of a score that is compared with the best trial's, on the fewer rows of the two."""
        rows = min(self.trial_rows or self.n_scored, self.n_scored)
        return standard_error(self.metric, value, self.info, rows)

    def ahead(self, promise: float, value: float, errors: float) -> bool:
        """Return whether a retrain promises more than `value`, a head's, by more than so many standard errors."""
        sign = 1.0 if METRICS[self.metric].mode == "max" else -1.0
        return sign * (promise - value) > errors * self.beside_trial(value)


@dataclass(frozen=True)
class Comparison:
    """Whether a challenger is better than the preferred model.

    The preferred model trained on `seen` of the rows. If there are any, its value is too good, and only a lower one
    means something.
    """

    challenger: Delivery
    preferred: Delivery
    found: Difference
    seen: int

    @property
    def won(self) -> bool:
        """Return whether the challenger is better by more than one standard error."""
        return self.found.exceeds(ENOUGH_ERRORS)

    def outscored(self, metric: str) -> Outscored:
        """Return that the challenger replaced the preferred model, for the sentence about it."""
        found, values = self.found, (self.found.first, self.found.second)
        return Outscored(self.challenger, self.preferred, metric, values, found.error, found.rows, self.seen)

    def not_better(self, metric: str) -> NotBetter:
        """Return that the challenger did not replace the preferred model, for the sentence about it."""
        found, values = self.found, (self.found.first, self.found.second)
        return NotBetter(self.challenger, self.preferred, metric, values, found.error, found.rows, self.seen)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison for result.json."""
        return {
            "challenger": self.challenger.value,
            "preferred": self.preferred.value,
            "rows": self.found.rows,
            "preferred_trained_on": self.seen,
            "challenger_value": self.found.first,
            "preferred_value": self.found.second,
            "better_by": self.found.better,
            "standard_error": self.found.error,
            "won": self.won,
        }


@dataclass(frozen=True)
class Choice:
    """The model to deliver, and what it was compared by. `replaced`: each comparison that put another model first."""

    best: Candidate
    comparisons: tuple[Comparison, ...] = ()
    replaced: tuple[Comparison, ...] = ()

    @property
    def decided(self) -> Comparison | None:
        """The comparison that put the model to deliver first, None if the preferred model is delivered."""
        return self.replaced[-1] if self.replaced else None


def choose(candidates: Sequence[Candidate], judge: Judge) -> Choice:
    """Return the best of one or more candidates. The first is preferred; another replaces it only on evidence.

    Two models are compared on the validation rows that both have scored and that neither trained on. Where the
    preferred one trained on some, they are also compared on all rows: there its value is too good, so if it is lower
    even so, it is worse. A challenger wins if it is better by more than the standard error of the paired difference
    in either comparison; on rows that the other was trained on, the error of the challenger's value is enough. One that
    trained on rows where the preferred one did not is never compared on these.
    """
    best, done, replaced = candidates[0], list[Comparison](), list[Comparison]()
    for other in candidates[1:]:
        found = compare(other, best, judge)
        done += found
        won = next((comparison for comparison in found if comparison.won), None)
        if won is not None:
            best = other
            replaced.append(won)
    return Choice(best, tuple(done), tuple(replaced))


def unless_better(choice: Choice, kept: Candidate, judge: Judge) -> Choice:
    """Return the choice if its model is better than `kept`, too, by the same rule; else the choice of `kept`."""
    again = choose([kept, choice.best], judge)
    return Choice(
        again.best,
        (*choice.comparisons, *again.comparisons),
        (*choice.replaced, *again.replaced),
    )


def best_known(models: Sequence[Alternative], trial: float, judge: Judge) -> Alternative | None:
    """Return the best of the models that were scored before the retrain, None unless it is better than the best trial.

    For a retrain that could not be scored: what is known of it is that its configuration reached `trial` on the
    validation rows (NaN if nothing is known), and a model must be better than that by more than one standard error.
    """
    sign = 1.0 if METRICS[judge.metric].mode == "max" else -1.0
    scored = [model for model in models if math.isfinite(model.value)]
    best = max(scored, key=lambda model: sign * model.value, default=None)
    if best is None or not math.isfinite(trial):
        return best
    error = judge.beside_trial(best.value)
    return best if sign * (best.value - trial) > ENOUGH_ERRORS * error else None


def best_by_value(own: Alternative | None, others: Sequence[Alternative], judge: Judge) -> Alternative | None:
    """Return the model with the best known score, where there was no time to compare; None without a score.

    The best trial's own weights, `own`, need no margin if their score is of all rows; else they must be better than the
    others by the standard error of fewer rows.
    """
    sign = 1.0 if METRICS[judge.metric].mode == "max" else -1.0
    known = [model for model in others if math.isfinite(model.value)]
    best = max(known, key=lambda model: sign * model.value, default=None)
    if own is None or not math.isfinite(own.value) or best is None:
        return best if own is None or not math.isfinite(own.value) else own
    few = 0 < judge.trial_rows < judge.n_scored
    margin = judge.beside_trial(own.value) if few else 0.0
    return own if sign * (own.value - best.value) >= margin else best


def leading(models: Sequence[Alternative], judge: Judge) -> list[Alternative]:
    """Return the models without the heads that are worse than the best head by more than two standard errors.

    Scoring a head on validation rows takes as long as reading its features did, and these would not be delivered.
    """
    sign = 1.0 if METRICS[judge.metric].mode == "max" else -1.0
    heads = [one for one in models if one.delivery is Delivery.HEAD and math.isfinite(one.value)]
    best = max(heads, key=lambda one: sign * one.value, default=None)
    if best is None:
        return list(models)
    margin = LAGGING * judge.beside_trial(best.value)
    behind = [one for one in heads if sign * (best.value - one.value) > margin]
    return [one for one in models if all(one is not other for other in behind)]


def hopeless(model: Alternative, promise: float, judge: Judge) -> bool:
    """Return whether a retrain that promises the value `promise` is better than a head by three standard errors."""
    if model.delivery is not Delivery.HEAD or not math.isfinite(model.value) or math.isnan(promise):
        return False
    return judge.ahead(promise, model.value, HOPELESS)


def safe_head(others: Sequence[Candidate], promise: float, judge: Judge) -> Candidate | None:
    """Return the best head on features of a pretrained network; None if the retrain promises more.

    `promise` is the value of the retrain by the curves of the trials, NaN if unknown: then the answer is None. It must
    be better than the head's by more than one standard error, because a head risks nothing.
    """
    sign = 1.0 if METRICS[judge.metric].mode == "max" else -1.0
    heads = [
        other for other in others if other.name is Delivery.HEAD and other.model.config.get("pretrained")
    ]
    best = max(heads, key=lambda head: sign * head.model.value, default=None)
    if best is None or not math.isfinite(promise):
        return None
    return None if judge.ahead(promise, best.model.value, ENOUGH_ERRORS) else best


def head_before_own(candidates: Sequence[Candidate], trial: float, judge: Judge) -> list[Candidate]:
    """Return the candidates in the order of preference, with a cross-validated head before the trial's own weights.

    Those are the maximum over trials and rounds on these same validation rows, so their value `trial` is too good, and
    the head has proved itself on more rows. It is not preferred if they are better by more than one standard error, or
    to other models. Under cross-validation of the trials nothing changes: there both are compared out of fold.
    """
    order = list(candidates)
    place = next((i for i, one in enumerate(order) if one.name is Delivery.OWN_WEIGHTS), None)
    proved = [one for one in order if one.model.out_of_fold is not None]
    head = None if judge.info.folds or place is None else safe_head(proved, trial, judge)
    if head is None or place is None:
        return order
    order.remove(head)
    order.insert(place, head)
    return order


def compare(challenger: Candidate, preferred: Candidate, judge: Judge) -> list[Comparison]:
    """Return the comparisons that are possible: on rows that neither trained on, and on rows the preferred one did."""
    common = np.intersect1d(challenger.rows, preferred.rows)
    common = common[~challenger.seen[common]]
    fresh = common[~preferred.seen[common]]
    found = []
    if len(fresh):
        found.append(_compared(challenger, preferred, judge, fresh))
    if len(common) > len(fresh):
        found.append(_compared(challenger, preferred, judge, common))
    return found


def _compared(challenger: Candidate, preferred: Candidate, judge: Judge, rows: Positions) -> Comparison:
    first, second = (_scores_of(candidate, rows) for candidate in (challenger, preferred))
    task, seen = judge.info.task, int(preferred.seen[rows].sum())
    found = paired_difference(judge.metric, judge.targets[rows], first, second, task, seed=judge.seed)
    if seen:
        alone = standard_error(judge.metric, found.first, judge.info, len(rows))
        found = replace(found, error=min(found.error, alone))
    return Comparison(challenger.name, preferred.name, found, seen)


def _scores_of(candidate: Candidate, rows: Positions) -> Array:
    order = np.argsort(candidate.rows)
    return np.asarray(candidate.scores[order[np.searchsorted(candidate.rows, rows, sorter=order)]])


def kept_rows(targets: Array, groups: Positions, *, seed: int) -> Positions:
    """Return sorted positions of a third of the rows, to be kept out of a training; none if there are fewer than three.

    Rows of one group stay together. Groups are sorted by class, label set or value, in random order within equal ones,
    and every third is taken, so that each class has its share.
    """
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    columns = np.asarray(targets)[first].reshape(len(first), -1).T
    tie = np.random.default_rng(seed).permutation(len(first))
    order = np.lexsort((tie, *columns[::-1]))
    taken = np.zeros(len(first), dtype=bool)
    taken[order[KEPT_PART // 2 :: KEPT_PART]] = True
    kept: Positions = np.flatnonzero(taken[place.ravel()])
    return kept if len(first) >= KEPT_PART else kept[:0]
