"""Which trial is retrained: one from scratch or one from weights, by what the curves of the trials promise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from automl.final.evidence.candidates import ENOUGH_ERRORS, Alternative, Judge
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.projection import (
    EVER_SEEN,
    STEEPEST,
    USUAL_FROM_SCRATCH,
    USUAL_FROM_WEIGHTS,
    Projected,
    best_of_kinds,
    project,
)
from automl.pipeline.plan.constants import TELLING_PIXELS
from automl.pipeline.retrain.judge import judge_of, val_trivial
from automl.pipeline.retrain.retrain_time import RetrainTime
from automl.pipeline.setup import Setup
from automl.records import rows_of
from automl.search import SearchResult
from automl.search.result import BestTrial
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.reader import StoredTrial


@dataclass(frozen=True)
class Promise:
    """What the retrain promises by the curves of the trials (NaN if unknown), and why it is of another kind of trial.

    `found` is the result of the search with that trial as the best one. `words` is "" if it was the best anyhow.
    `at_best` is what the steepest of curves would reach, from where the trial ended.
    """

    found: SearchResult
    value: float = math.nan
    words: str = ""
    at_best: float = math.nan


def promised(setup: Setup, found: SearchResult) -> Promise:
    """Return the trial to retrain: from scratch or from weights, by what its curve promises at the retrain's length.

    Where neither promises to be better than the best linear head on features by more than a standard error, which it
    must be to take its place, the retrain is of the kind that is more likely to be so all the same: from scratch, if a
    linear head on pixels has more than half of the skill of that head, and the steepest curve ever measured gets there.
    """
    if not setup.pretrained.weights:
        return Promise(found)
    if not math.isfinite(found.best.value):  # nothing was scored but the heads, so fine-tuning begins higher
        tuned = next((config for config in setup.portfolio if config.get("pretrained")), found.best.config)
        return Promise(replace(found, best=replace(found.best, config=tuned)))
    time = RetrainTime(setup, found)
    plan, metric = time.plan(), setup.metric.name
    timed = plan.seconds is not None
    kinds = best_of_kinds(
        found.trials,
        _from_weights,
        lambda trial: time.times(trial, plan),
        metric,
        lambda trial: work_of(trial, timed),
        lambda trial: USUAL_FROM_WEIGHTS if _from_weights(trial) else USUAL_FROM_SCRATCH,
    )
    sign = 1.0 if setup.metric.mode == "max" else -1.0
    trials = {trial.number: trial for trial in found.trials}
    mine = _from_weights(trials[found.best.number])
    best = max(kinds, key=lambda kind: (sign * kinds[kind].expected, kind == mine))
    heads = _Heads.of(setup, judge_of(setup, found))
    behind = best and heads.lead(kinds[best]) and heads.pixels_tell and heads.in_reach(kinds.get(False))
    if behind:
        best = False
    if best == mine:
        return Promise(found, kinds[mine].projected, at_best=_reached(kinds[mine], metric, STEEPEST))
    chosen = trials[kinds[best].trial]
    place = TrialFiles(setup.workspace.root, logs=False).checkpoint(chosen.number)
    other = BestTrial(
        chosen.number,
        chosen.config,
        chosen.value,
        chosen.rounds,
        place if place.exists() else None,
        rows_of(chosen.metrics),
    )
    why = heads.why() if behind else _why(kinds[best], kinds[mine], _words(mine))
    words = (
        f"Trial {found.best.number} ({_words(mine)}) has the best score, {metric} {found.best.value:.4f}, but trial "
        f"{chosen.number} ({_words(best)}) is retrained: {why}."
    )
    return Promise(
        replace(found, best=other, leader=None),
        kinds[best].projected,
        words,
        _reached(kinds[best], metric, STEEPEST),
    )


@dataclass(frozen=True)
class _Heads:
    """The best linear head on features and the one on pixels, None if there is none.

    `trivial` is the value of the trivial answer, `better` 1 for metrics to maximise and -1 for others.
    """

    features: Alternative | None
    pixels: Alternative | None
    judge: Judge
    trivial: float
    better: float

    @staticmethod
    def of(setup: Setup, judge: Judge) -> _Heads:
        better = 1.0 if setup.metric.mode == "max" else -1.0
        heads = [
            one for one in setup.alternatives if one.delivery is Delivery.HEAD and math.isfinite(one.value)
        ]
        features, pixels = (
            max(
                (one for one in heads if (one.trained.weights is not None) is on_features),
                key=lambda one: better * one.value,
                default=None,
            )
            for on_features in (True, False)
        )
        return _Heads(features, pixels, judge, val_trivial(setup).value, better)

    def lead(self, trial: Projected) -> bool:
        """Return whether what is expected of a trial could not take the place of the head on features."""
        if self.features is None:
            return False
        return not self.judge.ahead(trial.expected, self.features.value, ENOUGH_ERRORS)

    @property
    def pixels_tell(self) -> bool:
        """Whether pixels alone have much of the skill of features: what weights know is of less use then."""
        if self.features is None or self.pixels is None:
            return False
        features, pixels = (self._skill(one) for one in (self.features, self.pixels))
        return features > 0.0 and pixels > TELLING_PIXELS * features

    def in_reach(self, trial: Projected | None) -> bool:
        """Return whether the steepest curve that was ever measured leads from a trial to the head on features."""
        if self.features is None or trial is None:
            return False
        return self.better * (_reached(trial, self.judge.metric, EVER_SEEN) - self.features.value) > 0.0

    def why(self) -> str:
        """Return why the retrain is from scratch, where they have decided that."""
        assert self.features is not None and self.pixels is not None
        return (
            f"neither promises clearly more than the linear head on features, {self.features.value:.4f}, and the one "
            f"on pixels has {self.pixels.value:.4f}, so that training from scratch is the more likely to be better"
        )

    def _skill(self, head: Alternative) -> float:
        """Return how much better a head is than the trivial answer; by its cross-validation, if it had one."""
        value = head.value if head.out_of_fold is None else head.out_of_fold.value
        return self.better * (value - self.trivial)


def _why(chosen: Projected, other: Projected, kind: str) -> str:
    return (
        f"its curve promises {chosen.expected:.4f} there, and that of trial {other.trial}, the best long one {kind}, "
        f"{other.expected:.4f}"
    )


def _reached(trial: Projected, metric: str, exponent: float) -> float:
    """Return the value that a curve with this exponent would reach from the end of a trial."""
    return project([1.0], [trial.value], trial.times, metric, usual=exponent)


def work_of(trial: StoredTrial, timed: bool) -> list[float]:
    """Return the work of each round: its seconds, or without a time limit its images.

    Seconds depend on what else the machine does, and without a limit the same search must have the same result.
    """
    if timed:
        return [report.seconds for report in trial.reports]
    return [report.metrics.get("images", 1.0) for report in trial.reports]


def _words(pretrained: bool) -> str:
    return "from pretrained weights" if pretrained else "from scratch"


def _from_weights(trial: StoredTrial) -> bool:
    return bool(trial.config.get("pretrained", False))
