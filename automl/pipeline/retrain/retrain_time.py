"""How long the retrain may take, and what is reserved for comparing, scoring and writing after it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from automl import machine
from automl.final.evidence.delivery import TooFew, TooShort
from automl.final.evidence.earlier import Earlier
from automl.final.retrain import Retrained
from automl.final.scoring import seconds_per_image
from automl.pipeline.plan.budget import closing_seconds, measured_closing, retrain_epochs
from automl.pipeline.plan.constants import ROUND_IMAGES
from automl.pipeline.plan.epoch_cost import epoch_work, prices
from automl.pipeline.plan.plan import first_config
from automl.pipeline.setup import Setup
from automl.records import DatasetInfo
from automl.search import SearchResult
from automl.search.reasons import Code
from automl.search.storage.reader import StoredTrial
from automl.training.models.complexity import MACS
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import TrainPlan
from automl.training.rounds import STEP_COST

ENOUGH = 0.5  # of the best trial's epochs: a shorter retrain would be worse than the trial
FEW_PASSES = 20  # then layers that do not learn are computed for a part of each batch: decision 129
CERTAIN = 2.0  # times the best trial's work: a retrain that is so long is better than the trial
WAITED_S = 20.0  # after Ctrl-C, users wait for at least so many seconds, if the retrain needs them


@dataclass(frozen=True)
class RetrainTime:
    """The time of one study's retrain. `compared`: validation rows that are scored after it, to compare models."""

    setup: Setup
    found: SearchResult
    compared: int = 0

    def plan(self) -> TrainPlan:
        """Return the plan of the retrain, with the seconds that the forecast leaves for it."""
        setup, best, budget = self.setup, self.found.best, self.setup.budget
        longest = max(best.round, 0 if self.found.leader is None else self.found.leader.round)
        epochs = retrain_epochs(budget, best_epoch=longest or budget.epochs)
        seconds = None
        if setup.clock.remaining() is not None:
            closing = closing_seconds(
                budget,
                slowdown=slowdown(setup, self.found),
                n_holdout=setup.data.splits.info.n_holdout + self.compared,
                rate=self.found.best_rate,
            )
            seconds = self.within(closing)
        replicas = setup.device.all_threads if setup.device.kind == "cpu" else 1
        return replace(setup.plan, epochs=epochs, replicas=replicas, deadline=None, seconds=seconds)

    def per_row(self, network: nn.Module, size: int) -> float:
        """Measure the seconds that a network takes to score a row of `size` pixels a side, as the delivered model."""
        setup = self.setup
        passes = 2 if Recipe.from_config(self.found.best.config).hflip else 1
        one = seconds_per_image(
            network,
            setup.data.splits.info,
            size,
            threads=setup.device.all_threads,
            device=setup.device.kind,
        )
        return passes * one

    def left(self, per_row: Sequence[float], *, others: float = 0.0, built: float | None = None) -> float:
        """Return the seconds left for the retrain, by the median of what scoring a row took; they may be negative.

        A single measurement says little where other processes have the cores. `others` is what the slowest of the other
        models took: it may be the one that is delivered. `built` is what it took to build the network, as measured.
        """
        info, median = self.setup.data.splits.info, statistics.median_low(per_row)
        scoring = info.n_holdout * max(median, others) + self.compared * median
        # How much longer the trials took than planned says nothing here: their rounds may hold more than planned.
        closing = measured_closing(slowdown=machine.slowdown(), scoring=scoring, built=built)
        return (self.setup.clock.remaining() or 0.0) - closing

    def beyond_closing(self) -> float:
        """Return the seconds beside what a head that is delivered needs to the end; infinite without a limit."""
        left, info = self.setup.clock.remaining(), self.setup.data.splits.info
        if left is None:
            return math.inf
        scoring = info.n_holdout * self.setup.row_seconds
        return left - measured_closing(slowdown=machine.slowdown(), scoring=scoring)

    def within(self, closing: float) -> float:
        """Return the seconds for the retrain if `closing` seconds are reserved after it, at least a tenth."""
        return self.capped(max(0.1, (self.setup.clock.remaining() or 0.0) - closing))

    def capped(self, seconds: float) -> float:
        """Return `seconds`; after Ctrl-C in the search at most the planned time, since users do not want to wait.

        The plan may have been made for a faster machine, and its seconds may hold no batch. So the retrain has at least
        the time for twice the best trial's work, or 20 s.
        """
        planned = self.setup.budget.retrain_s
        if planned is None or not interrupted(self.found):
            return seconds
        return min(seconds, max(planned, CERTAIN * self._trial_seconds(), WAITED_S))

    def too_short(self, plan: TrainPlan) -> TooShort | None:
        """Return why there is not enough time for the retrain, or None if there is."""
        share = self.share(plan)
        if plan.seconds is None or share >= self.enough(plan):
            return None
        return TooShort(plan.seconds, share)

    def too_few(self, plan: TrainPlan) -> TooFew | None:
        """Return why a retrain is not worth its time where a finished model is known; None if it is.

        The first steps take as long as they take, so a retrain of a second would come too late. A fine-tuning begins
        with what a head knows: it is worth its time with one epoch, or with as many images as the best trial had.
        """
        if plan.seconds is None:
            return None
        info, images = self.setup.data.splits.info, int(plan.seconds * self._rate())
        enough = ROUND_IMAGES
        if self.found.best.config.get("pretrained"):
            enough = min(ROUND_IMAGES, self.trial_images or info.n_train + info.n_val)
        return TooFew(plan.seconds, images) if images < enough else None

    def _rate(self) -> float:
        """Return the images per second of the retrain: as the best trial trained, or by a measurement before it."""
        setup, known = self.setup, self.found.best_rate
        device, config = setup.device, self.found.best.config
        if config.get("pretrained") and math.isfinite(known):
            return known * device.speedup
        # A trial that shares no batch is measured by its thread's own time, which other programs do not lengthen.
        slower = machine.slowdown() if device.replicas == 1 else 1.0
        rate = setup.probe.images_per_second / device.slowdown * device.speedup / slower
        if not config.get("pretrained"):
            return rate
        # What was measured is a training from scratch.
        measured = first_config(replace(setup.space, portfolio=setup.portfolio), setup.config.seed)
        info, of = setup.data.splits.info, prices(device.kind)
        return rate * epoch_work(measured, info, of) / epoch_work(config, info, of)

    def enough(self, plan: TrainPlan) -> float:
        """Return the share of the best trial's work that a retrain needs, so that it is worth more than the trial."""
        return ENOUGH * min(1.0, plan.epochs / max(1, self.found.best.round))

    def few_passes(self, plan: TrainPlan) -> bool:
        """Return whether the planned retrain makes fewer than 20 passes through its rows, by the best trial's speed."""
        share = self.share(plan)
        if not math.isfinite(share):
            return False
        info = self.setup.data.splits.info
        return share * self.trial_images < FEW_PASSES * (info.n_train + info.n_val)

    def share(self, plan: TrainPlan) -> float:
        """Return the planned work of the retrain by the best trial's; infinite without a limit or a trial."""
        trial = self._trial_seconds()
        return math.inf if plan.seconds is None or trial <= 0 else plan.seconds / trial

    @property
    def trial(self) -> StoredTrial | None:
        """The best trial; None if it has no report."""
        number = self.found.best.number
        return next((trial for trial in self.found.trials if trial.number == number and trial.reports), None)

    @property
    def trial_images(self) -> int:
        """The number of images on which a network of the best trial trained, 0 if unknown."""
        return 0 if self.trial is None else images_of(self.trial, self.setup.data.splits.info)

    def as_long(self, trained: Retrained, earlier: Earlier) -> bool:
        """Return whether a retrain is as long as the model of an earlier run: in images, or in multiplications.

        A larger network may do more work with fewer images. Neither number depends on how busy the machine was.
        """
        work = trained.images_trained * self._macs(self.found.best.number)
        earlier_work = earlier.images * self._macs(earlier.trial)
        return trained.images_trained >= earlier.images or work >= earlier_work > 0.0

    def _macs(self, number: int) -> float:
        """Return the multiplications for an image, as the trial last reported them; NaN if it did not."""
        trial = next((trial for trial in self.found.trials if trial.number == number), None)
        return (
            math.nan if trial is None or not trial.reports else trial.reports[-1].metrics.get(MACS, math.nan)
        )

    def times(self, trial: StoredTrial, plan: TrainPlan) -> float:
        """Return the work of the planned retrain by that of a trial."""
        if plan.seconds is None:
            return plan.epochs / max(1, trial.rounds)
        return plan.seconds / self._seconds_like(trial)

    def _trial_seconds(self) -> float:
        """Return the seconds of a retrain with as many images as a network of the best trial had; 0 if unknown."""
        return 0.0 if self.trial is None else self._seconds_like(self.trial)

    def _seconds_like(self, trial: StoredTrial) -> float:
        info = self.setup.data.splits.info
        spent = math.fsum(report.seconds for report in trial.reports)
        rows = (info.n_train + info.n_val) / (info.n_train + info.n_val / STEP_COST)
        return max(1e-9, spent * rows) / (self.setup.device.speedup * max(1, info.folds))


def images_of(trial: StoredTrial, info: DatasetInfo) -> int:
    """Return on how many images a trial trained; under cross-validation each of its networks, on average."""
    images = sum(report.metrics.get("images", 0.0) for report in trial.reports)
    return round(images / max(1, info.folds))


def interrupted(found: SearchResult) -> bool:
    """Return whether Ctrl-C stopped the search."""
    return found.stopped_for(Code.INTERRUPTED)


def slowdown(setup: Setup, found: SearchResult) -> float:
    """Return how much slower the search trained than measured before it; 1 if unknown."""
    info = setup.data.splits.info
    first = next((trial for trial in found.trials[:1] if trial.reports), None)
    if first is None:
        return 1.0 if math.isfinite(found.best.value) else math.inf
    planned = setup.budget.round_s
    if planned is None:
        rate = setup.probe.images_per_second / setup.device.slowdown
        planned = max(1, info.folds) * (info.n_train + info.n_val / STEP_COST) / rate
    # Of two rounds the faster one: the first one on a GPU also pays for setup.
    return statistics.median_low(report.seconds for report in first.reports) / planned
