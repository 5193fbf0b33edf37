"""A trial as the search sees it: one configuration that trains an epoch at a time."""

from __future__ import annotations

import math
import time
from pathlib import Path

from automl.records import Config, SearchSplits
from automl.training.early_stopping import Patience
from automl.training.evaluate import predict_part, predict_rows, score
from automl.training.hardware.out_of_memory import release
from automl.training.models.complexity import MACS, PARAMS, multiplications, parameters
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

BEST = "best"  # the folder of a checkpoint that holds the best epoch, where there is patience


class ImageTrial:
    """Trains a configuration on the search's training rows and scores it on the validation rows.

    It receives `SearchSplits`: the holdout has another type and cannot get here.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self.splits, self.plan = splits, plan
        self.trainer = Trainer(config, splits.info, splits.train, plan)
        # Until the first report, the end of the time is kept back for making one.
        self._owes_report = plan.deadline is not None and plan.reporting > 0
        if plan.deadline is not None:
            self.trainer.deadline = plan.deadline - plan.reporting
        self._counted: dict[str, float] | None = None
        patience = self.trainer.recipe.patience
        self.patience = Patience(patience, metric=plan.metric, mode=plan.mode) if patience > 0 else None

    def step(self) -> dict[str, float | bool | str]:
        """One round: the validation metric, losses, `seconds` and `images`; `interrupted` when the deadline cut it.

        `passes` is how often the training rows that it learns from were gone through; `params` and `macs` tell how
        large the network is (`extent.py`).
        `micro_batch` is how many rows went through the model at once, and `lr_scale` what the lr was multiplied by
        after a loss that was not finite. A trial that runs out of `patience` goes back to its best epoch, reports
        that one's metrics once more, and is `done`, with the `reason`.
        A trial that meets the deadline before its first report validates what it has, on as many validation rows as
        the time left holds, and reports that. `save` asks to be saved, because no further epoch will fit.
        """
        begun, done = time.perf_counter(), self.trainer.steps
        train_loss = self.trainer.train_epoch()
        if train_loss is None and not (self._owes_report and self.trainer.steps):
            return {"interrupted": True, "seconds": time.perf_counter() - begun}
        if train_loss is None or (self._owes_report and not self._holds(time.perf_counter() - begun)):
            return self._in_haste(begun)
        self._reported()
        metrics = (
            self._scores()
            | self._extent()
            | {
                "train_loss": train_loss,
                "images": float((self.trainer.steps - done) * self.trainer.batches.batch_size),
                "epochs": round(self.trainer.epochs, 3),
                "micro_batch": float(self.trainer.micro_batch),
                "lr_scale": self.trainer.lr_scale,
            }
        )
        if self.patience is not None and self.patience.report(metrics, self.trainer):
            reason = self.patience.back_to_best(self.trainer)
            seconds = time.perf_counter() - begun
            return {**self.patience.best, "done": True, "reason": reason, "seconds": seconds}
        seconds = time.perf_counter() - begun
        return {**metrics, "seconds": seconds, "save": not self._holds(seconds)}

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
        self._reported()
        if self.patience is not None:
            self.patience.load(Path(directory) / BEST)

    def close(self) -> None:
        """Give the memory of model and optimizer back, so that the process can run the next trial."""
        self.trainer.gradients.close()
        del self.trainer
        self.patience = None
        release()

    def _reported(self) -> None:
        """From now on no time is kept back for a first report."""
        self._owes_report = False
        self.trainer.deadline = self.plan.deadline

    def _holds(self, seconds: float) -> bool:
        """Whether the time left holds something that took, or may take, that long."""
        deadline = self.plan.deadline
        return deadline is None or time.time() + seconds < deadline

    def _in_haste(self, begun: float) -> dict[str, float | bool | str]:
        """The report of a part of an epoch or of the validation rows, made before the deadline."""
        plan, info = self.plan, self.trainer.info
        until = (plan.deadline or 0.0) - plan.reporting / 3
        model, size = self.trainer.averaged, self.trainer.size
        logits, targets = predict_part(model, self.splits.val, info, size=size, plan=plan, until=until)
        batches = self.trainer.batches
        return {
            **score(logits, targets, info, plan.metric),
            PARAMS: parameters(model),
            MACS: math.nan,  # there is no time to count them
            "val_rows": float(len(targets)),
            "images": float(self.trainer.steps * batches.batch_size),
            "epochs": round(self.trainer.epochs, 3),
            "seconds": time.perf_counter() - begun,
            "interrupted": True,
        }

    def _extent(self) -> dict[str, float]:
        """How large the network is, counted once in a trial."""
        if self._counted is None:
            trainer = self.trainer
            size = (trainer.info.in_chans, trainer.size, trainer.size)
            macs = multiplications(trainer.averaged, size, self.plan.device)
            self._counted = {PARAMS: parameters(trainer.averaged), MACS: macs}
        return self._counted

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
