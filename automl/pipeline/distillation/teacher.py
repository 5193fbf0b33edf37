"""The model that would be delivered, as a teacher: what it answers for the images of a student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from automl.data.cache.streamed_images import open_images
from automl.final.cost.network import counts_of
from automl.final.distillation.outcome import Size
from automl.final.evidence.candidates import Alternative
from automl.final.predictor import Predictor
from automl.final.retrain import Retrained
from automl.training.distillation.lesson import Lesson
from automl.training.distillation.shown import Shown
from automl.training.evaluate import PART_BATCH
from automl.training.models.complexity import multiplications
from automl.training.trainer import Trainer


@dataclass(frozen=True)
class Teacher:
    """A finished model that computes on `device`. A head is one without the rows that it was fitted on at last."""

    model: Alternative
    device: str

    @property
    def trained(self) -> Retrained:
        """Its network, and what that was trained on."""
        return self.model.trained

    def size(self, words: str) -> Size:
        """Return what its network costs; `words` name it."""
        trained = self.trained
        counts, shape = counts_of(trained.model), (trained.info.in_chans, trained.size, trained.size)
        device = next((str(parameter.device) for parameter in trained.model.parameters()), "cpu")
        macs = multiplications(trained.model, shape, device)
        name = str(self.model.config["model"])
        return Size(words, name, trained.size, counts.params, macs, counts.size)

    def beside(self, trainer: Trainer) -> Lesson:
        """Return the lesson in which it sees what the student sees, at the side in pixels of its own stored images."""
        batches, own = trainer.batches, trainer.batches.info
        info = replace(own, img_size=max(own.img_size, self.trained.info.img_size))
        trained = self.trained
        shown = Shown(trained.model, trained.info, trained.size, info).to(self.device).eval()
        return Lesson(replace(batches, info=info), info.task, own.img_size, shown)

    def before(self, trainer: Trainer, folder: Path, should_stop: Callable[[], bool]) -> Lesson:
        """Return the lesson of its answers for the stored images, which are written into `folder`.

        `should_stop` ends it with the batch, and then the lesson is of no use. Rows are drawn as they are, also where
        the study draws rare classes more often: answers have no class.
        """
        batches, own = trainer.batches, trainer.batches.info
        index = np.load(batches.rows.index)
        answers = np.zeros((int(index.max()) + 1, own.n_outputs), dtype=np.float32)
        predictor = Predictor(self.trained.model, self.trained.info, self.trained.size, device=self.device)
        images = open_images(batches.rows.images_at(self.trained.info.img_size))
        for start in range(0, len(index), PART_BATCH):
            if should_stop():
                break
            part = index[start : start + PART_BATCH]
            answers[part] = predictor.predict_pixels(np.ascontiguousarray(images[part]))
        place = folder / "answers.npy"
        np.save(place, answers)
        rows = replace(batches.rows, targets=place)
        return Lesson(replace(batches, rows=rows, balanced=False), own.task, own.img_size)
