"""Training the incumbent again, on train + validation rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from automl.errors import StorageError, TrialError
from automl.records import Config, DatasetInfo, Observer, Rows, SearchSplits
from automl.training.models.pretrained_weights import Weights
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer


@dataclass(frozen=True)
class Retrained:
    """The final model; `epochs` may be a fraction where time ended it, `size` is its input side in pixels.

    `info` holds the statistics that its pixels are normalised by, `weights` what it started from, if anything.
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


def retrain(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    *,
    work_dir: Path,
    observer: Observer,
    asked_to_stop: Callable[[], bool] = lambda: False,
    begun: Path | None = None,
) -> Retrained:
    """Build a `Retrain` and train it."""
    return Retrain(config, splits, plan, work_dir=work_dir, begun=begun).train(observer, asked_to_stop)


class Retrain:
    """A training of `config` on train + val for `plan.epochs`, or until `plan.seconds` are over.

    It is built first and trained by `train`, so that a caller can measure its network in between. Where several workers
    have `begun` the same training and broke, it continues from the checkpoint that they left.
    """

    def __init__(
        self,
        config: Config,
        splits: SearchSplits,
        plan: TrainPlan,
        *,
        work_dir: Path,
        begun: Path | None = None,
    ) -> None:
        self._rows = join_rows(splits.train, splits.val, work_dir / "retrain_index.npy")
        self._start = time.perf_counter()
        self.trainer = trainer_of(config, splits, self._rows, plan, begun)

    def train(
        self,
        observer: Observer,
        asked_to_stop: Callable[[], bool] = lambda: False,
        *,
        seconds: float | None = None,
    ) -> Retrained:
        """Train to the end; `seconds`, counted from now, replace those of the plan.

        The schedule is paced so that it ends where the training does. `asked_to_stop` is called before each batch and
        ends the training early, at `progress` below 1. Raises TrialError when the loss is not finite, or when the time
        did not hold a single batch.
        """
        trainer = self.trainer
        trainer.asked_to_stop = asked_to_stop
        if seconds is not None:
            trainer.plan = replace(trainer.plan, seconds=seconds + trainer.spent)
        first = trainer.steps
        while trainer.epoch < trainer.plan.epochs:
            if trainer.train_epoch() is None:
                break
            observer.progress(trainer.progress(), 1.0)
        if trainer.steps == first:
            raise TrialError("the time left for the retrain did not hold a single batch; raise --time-limit")
        done = retrained(trainer, time.perf_counter() - self._start, len(self._rows))
        return replace(done, images_trained=(trainer.steps - first) * trainer.batches.batch_size)


def retrained(trainer: Trainer, seconds: float, n_train: int) -> Retrained:
    """What a trainer that has come to its end made of `n_train` rows in so many seconds."""
    model = trainer.averaged
    model.eval()
    return Retrained(
        model=model,
        size=trainer.size,
        epochs=round(trainer.passes, 2),
        seconds=seconds,
        n_train=n_train,
        images_trained=trainer.steps * trainer.batches.batch_size,
        info=trainer.info,
        weights=trainer.pretrained,
        progress=trainer.progress(),
    )


def trainer_of(
    config: Config, splits: SearchSplits, rows: Rows, plan: TrainPlan, begun: Path | None = None
) -> Trainer:
    """The training to be run, from its start or from the checkpoint where it had `begun`, whose time counts."""
    plan = replace(plan, final=True, round_seconds=None, share=1.0)
    trainer = Trainer(config, splits.info, rows, plan)
    if begun is None:
        return trainer
    try:
        trainer.load(begun)
    except StorageError as error:
        logging.getLogger(__name__).warning("%s; the retrain begins anew", error)
        return Trainer(config, splits.info, rows, plan)
    if plan.seconds is not None:
        trainer.plan = replace(plan, seconds=plan.seconds + trainer.spent)
    return trainer


def own_weights(config: Config, splits: SearchSplits, plan: TrainPlan, checkpoint: Path) -> Retrained:
    """The network as the search left it in `checkpoint`, trained on the training rows alone.

    Raises StorageError when the checkpoint is damaged.
    """
    start = time.perf_counter()
    trainer = Trainer(config, splits.info, splits.train, replace(plan, deadline=None))
    trainer.load(checkpoint)
    model = trainer.averaged
    model.eval()
    return Retrained(
        model=model,
        size=trainer.size,
        epochs=round(trainer.passes, 2),
        seconds=time.perf_counter() - start,
        n_train=trainer.batches.n,
        images_trained=0,
        info=trainer.info,
        weights=trainer.pretrained,
    )


def join_rows(first: Rows, second: Rows, index: Path) -> Rows:
    """The rows of both parts as one; the joined index is written to `index`."""
    joined = np.sort(np.concatenate([np.load(first.index), np.load(second.index)]))
    np.save(index, joined)
    return Rows(images=first.images, targets=first.targets, index=index, n=len(joined))
