"""What a student learns from in place of labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from automl.data.loading.batches import Batches
from automl.records import Task
from automl.training.distillation.losses import distillation_loss, to_logits
from automl.training.distillation.shown import as_stored
from automl.training.evaluate import fit_size


@dataclass(frozen=True, eq=False)
class Lesson:
    """The answers of a teacher for the images that a student sees. `Trainer.lesson` takes it.

    `batches` are those of the training. The `teacher` maps their images (B, C, H, W), augmented and mixed, to logits,
    so that both see the same view of an image (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient
    and consistent"). Without a teacher, the targets of the batches are what it answered for the images as they are
    stored: scores as `to_scores` gives them, of a regression standardised values. Images are stored for the student
    with `stored` pixels a side; the batches may have those of a teacher that sees more.
    """

    batches: Batches
    task: Task
    stored: int
    teacher: nn.Module | None = None
    temperature: float = 1.0

    def loss(self, student: nn.Module, images: Tensor, targets: Tensor, *, size: int) -> Tensor:
        """Return the mean loss of a student whose input has `size` pixels a side."""
        if self.teacher is None:
            taught = to_logits(targets, self.task)
        else:
            with torch.no_grad():
                taught = self.teacher(images)
        logits = student(fit_size(as_stored(images, self.stored), size))
        return distillation_loss(logits, taught, self.task, self.temperature)
