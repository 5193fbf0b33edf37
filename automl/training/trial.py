"""A trial as the search sees it: one configuration that trains an epoch at a time."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import torch

from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_part, predict_rows, score
from automl.training.loop import Trainer
from automl.training.plan import TrainPlan


class ImageTrial:
    """Trains a configuration on the search's training rows and scores it on the validation rows.

    It receives `SearchSplits`: the holdout has another type and cannot get here.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self.splits, self.plan = splits, plan
        self.trainer = Trainer(config, splits.info, splits.train, plan)
        if plan.deadline is not None:  # until it has reported once
            self.trainer.deadline = plan.deadline - plan.reporting

    def step(self) -> dict[str, float | bool]:
        """One epoch: the validation metric, losses, `seconds` and `images`; `interrupted` when the deadline cut it.

        A trial that meets the deadline before its first report validates what it has, on as many validation rows as
        the time left holds, and reports that. `save` asks to be saved, because no further epoch will fit.
        """
        begun = time.perf_counter()
        train_loss = self.trainer.train_epoch()
        first = self.trainer.deadline != self.plan.deadline
        if train_loss is None and not (first and self.trainer.steps):
            return {"interrupted": True, "seconds": time.perf_counter() - begun}
        if train_loss is None or (first and not self._holds(time.perf_counter() - begun)):
            return self._in_haste(begun)
        self.trainer.deadline = self.plan.deadline
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
            "save": not self._holds(time.perf_counter() - begun),
        }

    def _holds(self, seconds: float) -> bool:
        """Whether the time left holds something that took, or may take, that long."""
        deadline = self.plan.deadline
        return deadline is None or time.time() + seconds < deadline

    def _in_haste(self, begun: float) -> dict[str, float | bool]:
        """The report of a part of an epoch or of the validation rows, made before the deadline."""
        plan, info = self.plan, self.trainer.info
        until = (plan.deadline or 0.0) - plan.reporting / 3
        model, size = self.trainer.averaged, self.trainer.size
        logits, targets = predict_part(model, self.splits.val, info, size=size, plan=plan, until=until)
        batches = self.trainer.batches
        return {
            **score(logits, targets, info, plan.metric),
            "val_rows": float(len(targets)),
            "images": float(self.trainer.steps * batches.batch_size),
            "seconds": time.perf_counter() - begun,
            "interrupted": True,
        }

    def save(self, directory: Path) -> None:
        """Write a checkpoint into `directory`."""
        self.trainer.save(Path(directory))

    def load(self, directory: Path) -> None:
        """Go on from a checkpoint in `directory`."""
        self.trainer.load(Path(directory))
        self.trainer.deadline = self.plan.deadline

    def close(self) -> None:
        """Give the memory of model and optimizer back, so that the process can run the next trial."""
        del self.trainer
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
