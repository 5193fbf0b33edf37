"""A trial as the search sees it: one configuration that trains an epoch at a time."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import torch

from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.loop import Trainer
from automl.training.plan import TrainPlan


class ImageTrial:
    """Trains a configuration on the search's training rows and scores it on the validation rows.

    It receives `SearchSplits`: the holdout has another type and cannot get here.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self.splits, self.plan = splits, plan
        self.trainer = Trainer(config, splits.info, splits.train, plan)

    def step(self) -> dict[str, float | bool]:
        """One epoch: the validation metric, losses, `seconds` and `images`; `interrupted` when the deadline cut it."""
        begun = time.perf_counter()
        train_loss = self.trainer.train_epoch()
        if train_loss is None:
            return {"interrupted": True, "seconds": time.perf_counter() - begun}
        plan, info = self.plan, self.trainer.info
        logits, targets = predict_rows(
            self.trainer.averaged,
            self.splits.val,
            info,
            size=self.trainer.size,
            device=plan.device,
            precision=plan.precision,
        )
        metrics = score(logits, targets, info, plan.metric)
        return {
            **metrics,
            "train_loss": train_loss,
            "images": float(len(self.trainer.batches) * self.trainer.batches.batch_size),
            "seconds": time.perf_counter() - begun,
        }

    def save(self, directory: Path) -> None:
        """Write a checkpoint into `directory`."""
        self.trainer.save(Path(directory))

    def load(self, directory: Path) -> None:
        """Go on from a checkpoint in `directory`."""
        self.trainer.load(Path(directory))

    def close(self) -> None:
        """Give the memory of model and optimizer back, so that the process can run the next trial."""
        del self.trainer
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
