"""A trial as the search runs it: one configuration, trained a round at a time."""

from __future__ import annotations

import math
import time
import weakref
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sklearn.metrics  # noqa: F401  # loaded before the first round is timed
import torch

from automl.machine import Moment
from automl.records import VAL_ROWS, Config, SearchSplits
from automl.training.early_stopping import Patience
from automl.training.evaluate import Answers, predict_part, predict_rows, score, scored_rows
from automl.training.hardware.out_of_memory import release
from automl.training.models.complexity import MACS, PARAMS, multiplications, parameters
from automl.training.plan import TrainPlan
from automl.training.snapshot import Resumable
from automl.training.trainer import Trainer
from automl.training.validation.best_round import BestRound, if_small
from automl.training.validation.scores_file import SCORES_FILE

BEST = "best"  # folder in a checkpoint with the best round, if early stopping is on


class ImageTrial:
    """Trains a configuration on the training rows and scores it on the validation rows.

    It takes `SearchSplits`: the holdout has another type and cannot be passed here.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self._begin(Trainer(config, splits.info, splits.train, plan), splits, plan)

    def _begin(self, trainer: Trainer, splits: SearchSplits, plan: TrainPlan) -> None:
        self.splits, self.plan, self.trainer = splits, plan, trainer
        self._scored = plan.score_pretrained if self.trainer.recipe.pretrained else 1.0
        # Until the first report, time before the deadline is reserved for it.
        self._owes_report = plan.deadline is not None and plan.reporting > 0
        if plan.deadline is not None:
            self.trainer.deadline = plan.deadline.later(-plan.reporting)
        self._counted: dict[str, float] | None = None
        self._answers: tuple[Answers, float] | None = None
        self._best_round = BestRound(plan.mode)
        patience = self.trainer.recipe.patience
        self.patience = Patience(patience, metric=plan.metric, mode=plan.mode) if patience > 0 else None

    def step(self) -> dict[str, float | bool | str]:
        """Train and score one round; return its report.

        The report has the validation metric, losses, `seconds`, `images`, `epochs` (passes through the training rows so
        far), `params` and `macs` (model size), `micro_batch` (rows that go through the model at once) and `lr_scale`
        (below 1 after a loss that was not finite). `interrupted`: the deadline ended the round. `save`: no other round
        fits before the deadline, so the state should be saved. A trial that runs out of `patience` returns to its best
        round, reports that again, and is `done`, with the `reason`. A trial that meets the deadline before its first
        report scores what it has on as many validation rows as fit.
        """
        begun, done = time.perf_counter(), self.trainer.steps
        train_loss = self.trainer.train_round()
        if train_loss is None and not (self._owes_report and self.trainer.steps):
            return {"interrupted": True, "seconds": time.perf_counter() - begun}
        if train_loss is None or (self._owes_report and not self._fits(time.perf_counter() - begun)):
            return self._partial_report(begun)
        self._reported()
        metrics = (
            self._scores()
            | self._model_size()
            | {
                "train_loss": train_loss,
                "images": float((self.trainer.steps - done) * self.trainer.batches.batch_size),
                "epochs": round(self.trainer.epochs, 3),
                "micro_batch": float(self.trainer.micro_batch),
                "lr_scale": self.trainer.lr_scale,
            }
        )
        return self._finished(metrics, self.trainer, begun)

    @property
    def spent(self) -> bool:
        """Whether this process leaked memory and should not run another trial."""
        return self.trainer.gradients.micro_batch.leaked

    def save(self, directory: Path) -> None:
        """Write a checkpoint into `directory`."""
        self.trainer.save(Path(directory))
        if self.patience is not None:
            self.patience.save(Path(directory) / BEST)

    def load(self, directory: Path) -> None:
        """Continue from a checkpoint in `directory`."""
        self.trainer.load(Path(directory))
        self._reported()
        if self.patience is not None:
            self.patience.load(Path(directory) / BEST)

    def keep_scores(self, folder: Path, round: int) -> None:
        """Write the scores of this round into `folder` if none before was better. Raises OSError."""
        if self._answers is not None:
            answers, value = self._answers
            self._best_round.keep(folder / SCORES_FILE, answers, self.splits.info, round=round, value=value)

    def close(self) -> None:
        """Free the memory of model and optimizer, so that the process can run the next trial."""
        network = weakref.ref(self.trainer.model)
        self.trainer.gradients.close()
        del self.trainer
        self.patience = None
        # A third of a second in a process that has loaded torch and timm, so only where something holds the network.
        if network() is not None or torch.cuda.is_available():
            release()

    def _finished(
        self, metrics: dict[str, float], subject: Resumable, begun: float
    ) -> dict[str, float | bool | str]:
        """Return the report of a whole round of `subject`, or of its best one if that was too long ago."""
        if self.patience is not None and self.patience.report(metrics, subject):
            reason = self.patience.restore_best(subject)
            seconds = time.perf_counter() - begun
            return {**self.patience.best, "done": True, "reason": reason, "seconds": seconds}
        seconds = time.perf_counter() - begun
        return {**metrics, "seconds": seconds, "save": not self._fits(seconds)}

    def _reported(self) -> None:
        """Stop reserving time for a first report."""
        self._owes_report = False
        self.trainer.deadline = self.plan.deadline

    def _fits(self, seconds: float) -> bool:
        deadline = self.plan.deadline
        return deadline is None or seconds < deadline.left()

    def _partial_report(self, begun: float) -> dict[str, float | bool | str]:
        """Return a report of a part of a round, or on a part of the validation rows, before the deadline."""
        plan, info = self.plan, self.trainer.info
        until = (plan.deadline or Moment.now()).later(-plan.reporting / 3)
        self.trainer.settle(plan.reporting / 6)
        model, size = self.trainer.averaged, self.trainer.size
        answers = predict_part(model, self.splits.val, info, size=size, plan=plan, until=until)
        batches = self.trainer.batches
        return {
            **self._scored_by(answers),
            PARAMS: parameters(model),
            MACS: math.nan,  # no time to count them
            VAL_ROWS: float(len(answers.rows)),
            "images": float(self.trainer.steps * batches.batch_size),
            "epochs": round(self.trainer.epochs, 3),
            "seconds": time.perf_counter() - begun,
            "interrupted": True,
        }

    def _model_size(self) -> dict[str, float]:
        """Return the size of the network, counted once in a trial."""
        if self._counted is None:
            trainer = self.trainer
            size = (trainer.info.in_chans, trainer.size, trainer.size)
            macs = multiplications(trainer.averaged, size, self.plan.device)
            self._counted = {PARAMS: parameters(trainer.averaged), MACS: macs}
        return self._counted

    def _scores(self) -> dict[str, float]:
        """Return the metric and the loss on the validation rows; `val_rows` if these are not all of them."""
        plan, info = self.plan, self.trainer.info
        self.trainer.settle()
        logits, targets = predict_rows(
            self.trainer.averaged,
            self.splits.val,
            info,
            size=self.trainer.size,
            device=plan.device,
            precision=plan.precision,
            share=self._scored,
        )
        scored = {} if self._scored >= 1.0 else {VAL_ROWS: float(len(targets))}
        return self._scored_by(Answers(logits, targets, self._rows)) | scored

    def _scored_by(self, answers: Answers) -> dict[str, float]:
        """Return metric and loss of answers, which are kept for `keep_scores` if they are small enough."""
        metric = self.plan.metric
        found = score(answers.logits, answers.targets, self.trainer.info, metric)
        kept = if_small(answers, self.splits.info)
        self._answers = None if kept is None else (kept, found[metric])
        return found

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        return scored_rows(self.splits.val, self.trainer.info, share=self._scored)
