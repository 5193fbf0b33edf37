"""A trial as the search sees it: one configuration that trains an epoch at a time."""

from __future__ import annotations

import time
from pathlib import Path

from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.loop import Trainer
from automl.training.memory import release
from automl.training.patience import Patience
from automl.training.plan import TrainPlan

BEST = "best"  # the folder of a checkpoint that holds the best epoch, where there is patience


class ImageTrial:
    """Trains a configuration on the search's training rows and scores it on the validation rows.

    It receives `SearchSplits`: the holdout has another type and cannot get here.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self.splits, self.plan = splits, plan
        self.trainer = Trainer(config, splits.info, splits.train, plan)
        patience = int(config.get("patience", 0))
        self.patience = Patience(patience, metric=plan.metric, mode=plan.mode) if patience > 0 else None

    def step(self) -> dict[str, float | bool | str]:
        """One epoch: the validation metric, losses, `seconds` and `images`; `interrupted` when the deadline cut it.

        `micro_batch` is how many rows went through the model at once, and `lr_scale` what the lr was multiplied by
        after a loss that was not finite. A trial that runs out of `patience` goes back to its best epoch, reports
        that one's metrics once more, and is `done`, with the `reason`.
        """
        begun = time.perf_counter()
        train_loss = self.trainer.train_epoch()
        if train_loss is None:
            return {"interrupted": True, "seconds": time.perf_counter() - begun}
        metrics = self._scores() | {
            "train_loss": train_loss,
            "images": float(len(self.trainer.batches) * self.trainer.batches.batch_size),
            "micro_batch": float(self.trainer.micro_batch),
            "lr_scale": self.trainer.lr_scale,
        }
        if self.patience is not None and self.patience.report(metrics, self.trainer):
            reason = self.patience.back_to_best(self.trainer)
            seconds = time.perf_counter() - begun
            return {**self.patience.best, "done": True, "reason": reason, "seconds": seconds}
        return {**metrics, "seconds": time.perf_counter() - begun}

    @property
    def spent(self) -> bool:
        """Whether this process lost memory for good and should not run another trial."""
        return self.trainer.gradients.allowance.leaked

    def save(self, directory: Path) -> None:
        """Write a checkpoint into `directory`."""
        self.trainer.save(Path(directory))
        if self.patience is not None:
            self.patience.save(Path(directory) / BEST)

    def load(self, directory: Path) -> None:
        """Go on from a checkpoint in `directory`."""
        self.trainer.load(Path(directory))
        if self.patience is not None:
            self.patience.load(Path(directory) / BEST)

    def close(self) -> None:
        """Give the memory of model and optimizer back, so that the process can run the next trial."""
        self.trainer.gradients.close()
        del self.trainer
        self.patience = None
        release()

    def _scores(self) -> dict[str, float]:
        """The metric and the loss on the validation rows."""
        plan, info = self.plan, self.trainer.info
        logits, targets = predict_rows(
            self.trainer.averaged,
            self.splits.val,
            info,
            size=self.trainer.size,
            device=plan.device,
            precision=plan.precision,
        )
        return score(logits, targets, info, plan.metric)
