"""Retrain the best configuration on training and validation rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from automl.errors import StorageError, TrialError
from automl.records import Config, DatasetInfo, Observer, Rows, SearchSplits
from automl.search.result import BestTrial
from automl.search.storage.checkpoints import checkpoint_round
from automl.training.cross_validation import read_fold
from automl.training.models.pretrained_weights import Weights
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

SETTLING = 0.5  # seconds, at most, for the statistics of batch norm after the training
KEPT_INDEX = "retrain_val_index.npy"  # in the study folder: the validation rows that the retrain trained on


@dataclass(frozen=True)
class Retrained:
    """The final model. `epochs` is a fraction if time ended it; `size` is the side of its input in pixels.

    `info` holds the statistics that normalise its pixels, `weights` the pretrained weights that it started from.
    `progress` is below 1 if the training was stopped. `timed`: it ended before all the epochs that it might have had.
    """

    model: nn.Module
    size: int
    epochs: float
    seconds: float
    n_train: int
    images_trained: int
    info: DatasetInfo
    weights: Weights | None = None
    progress: float = 1.0
    timed: bool = False


MEASURED_AT = (0.3, 0.6, 0.85)  # shares of a timed retrain at which the time left is measured again ...
LONG_ENOUGH = 2.0  # ... if it has so many seconds


class Retrain:
    """A training of `config` on train + val for `plan.epochs`, or until `plan.seconds` are over.

    Building it and `train` are separate, so that a caller can measure its network in between. It continues from
    `checkpoint` if several workers started the same training and failed.
    """

    def __init__(
        self,
        config: Config,
        splits: SearchSplits,
        plan: TrainPlan,
        *,
        work_dir: Path,
        checkpoint: Path | None = None,
    ) -> None:
        self._rows = join_rows(splits.train, splits.val, work_dir / "retrain_index.npy")
        self._start = time.perf_counter()
        self.trainer = make_trainer(config, splits, self._rows, plan, checkpoint)

    def train(
        self,
        observer: Observer,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        seconds: float | None = None,
        left: Callable[[Trainer], float] | None = None,
        keep_outputs: bool = False,
    ) -> Retrained:
        """Train to the end. `seconds`, counted from now, replace those of the plan.

        With `keep_outputs`, layers that do not learn are computed for a part of each batch (`Trainer.keep_outputs`).

        The schedule ends with the training. `should_stop` is called before each batch and ends the training early, with
        `progress` below 1. `left` returns the seconds that may still be used: it is asked at 30, 60 and 85 % of
        `seconds`, and the training becomes longer or shorter by the answer. Raises TrialError if the loss is not finite
        or the time is too short for a single batch.
        """
        trainer = self.trainer
        trainer.should_stop = should_stop
        if seconds is not None:
            trainer.plan = replace(trainer.plan, seconds=seconds + trainer.spent)
            if left is not None and seconds >= LONG_ENOUGH:
                trainer.should_stop = _Stretch(trainer, seconds, left, should_stop)
        first = trainer.steps
        if keep_outputs:
            trainer.keep_outputs()
        try:
            while trainer.rounds < trainer.plan.epochs:
                if trainer.train_round() is None:
                    break
                observer.progress(trainer.progress(), 1.0)
        finally:
            trainer.drop_outputs()
        if trainer.steps == first:
            raise TrialError(
                "the time left for the retrain is too short for a single batch; raise --time-limit"
            )
        trainer.settle(SETTLING)
        done = retrained_model(trainer, time.perf_counter() - self._start, len(self._rows))
        return replace(done, images_trained=(trainer.steps - first) * trainer.batches.batch_size)


class _Stretch:
    """Called before each batch: asks at some shares of the time how much is left, and sets the plan's seconds by it."""

    def __init__(
        self,
        trainer: Trainer,
        seconds: float,
        left: Callable[[Trainer], float],
        should_stop: Callable[[], bool],
    ) -> None:
        self._trainer, self._left, self._should_stop = trainer, left, should_stop
        self._begun, self._before = time.perf_counter(), trainer.spent
        self._seconds, self._shares = seconds, list(MEASURED_AT)

    def __call__(self) -> bool:
        spent = time.perf_counter() - self._begun
        if self._shares and spent >= self._shares[0] * self._seconds:
            while self._shares and spent >= self._shares[0] * self._seconds:
                self._shares.pop(0)
            more = self._left(self._trainer)
            self._seconds = time.perf_counter() - self._begun + max(0.0, more)
            plan = self._trainer.plan
            self._trainer.plan = replace(plan, seconds=self._before + self._seconds)
        return self._should_stop()


def retrained_model(trainer: Trainer, seconds: float, n_train: int) -> Retrained:
    """Return the model of a finished trainer that took `seconds` on `n_train` rows."""
    model = trainer.averaged
    model.eval()
    return Retrained(
        model=model,
        size=trainer.size,
        epochs=round(trainer.epochs, 3),  # as trials report it: what is rounded twice differs
        seconds=seconds,
        n_train=n_train,
        images_trained=trainer.steps * trainer.batches.batch_size,
        info=trainer.info,
        weights=trainer.pretrained,
        progress=trainer.progress(),
        timed=trainer.rounds < trainer.plan.epochs,
    )


def make_trainer(
    config: Config, splits: SearchSplits, rows: Rows, plan: TrainPlan, checkpoint: Path | None = None
) -> Trainer:
    """Return the trainer of a retrain, new or continued from `checkpoint`, whose time so far counts."""
    plan = replace(plan, final=True, round_seconds=None, share=1.0)
    trainer = Trainer(config, splits.info, rows, plan)
    if checkpoint is None:
        return trainer
    try:
        trainer.load(checkpoint)
    except StorageError as error:
        logging.getLogger(__name__).warning("%s; the retrain starts over", error)
        return Trainer(config, splits.info, rows, plan)
    if plan.seconds is not None:
        trainer.plan = replace(plan, seconds=plan.seconds + trainer.spent)
    return trainer


def own_weights(config: Config, splits: SearchSplits, plan: TrainPlan, checkpoint: Path) -> Retrained:
    """Return the best trial's own network from `checkpoint`, which was trained on the training rows alone.

    Under cross-validation that is the network of the first fold. `seconds` and `images_trained` are those of the trial.
    Raises StorageError if the checkpoint is damaged.
    """
    trainer = Trainer(config, splits.info, splits.train, replace(plan, deadline=None))
    if splits.folds:
        trainer.restore(*read_fold(checkpoint))
    else:
        trainer.load(checkpoint)
    model = retrained_model(trainer, trainer.spent, trainer.batches.n)
    trainer.gradients.close()
    return replace(model, progress=1.0, timed=False)


def best_checkpoint(best: BestTrial) -> Path | None:
    """Return the best trial's checkpoint if it is of its best round; None if there is none, or one of another round."""
    place = best.checkpoint
    return place if place is not None and checkpoint_round(place) == best.round else None


def without(rows: Rows, positions: npt.NDArray[np.int64], index: Path) -> Rows:
    """Return the rows without those at `positions`, and write their index to `index`."""
    kept = np.delete(np.load(rows.index), positions)
    np.save(index, kept)
    return replace(rows, index=index, n=len(kept))


def join_rows(first: Rows, second: Rows, index: Path) -> Rows:
    """Return the rows of both parts as one, and write the joined index to `index`."""
    joined = np.sort(np.concatenate([np.load(first.index), np.load(second.index)]))
    np.save(index, joined)
    return replace(first, index=index, n=len(joined))
