"""Train a student, if there is time for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from automl.errors import ModelError, StorageError
from automl.final.retrain import Retrain, Retrained
from automl.machine import Moment, slowdown
from automl.pipeline.deliver.trained import LeftWeights
from automl.pipeline.distillation.students import Student
from automl.pipeline.distillation.teacher import Teacher
from automl.pipeline.plan.constants import STUDENT_SECONDS, STUDENT_SHARE
from automl.pipeline.retrain.retrain_time import ENOUGH
from automl.pipeline.setup import Setup
from automl.records import SearchSplits
from automl.review.front.networks import StudyNetworks
from automl.torch_setup import set_threads
from automl.training.hardware.out_of_memory import release
from automl.training.plan import TrainPlan
from automl.training.speed_probe import speed_of
from automl.training.trainer import Trainer


@dataclass(frozen=True)
class NoTime:
    """There was no time for a student; `why` is the clause for users."""

    why: str


@dataclass(frozen=True)
class Taught:
    """A trained student. `stored`: it learned from answers for the stored images. It trained for `seconds`."""

    model: Retrained
    stored: bool


@dataclass(frozen=True)
class Training:
    """What every student of a study trains with: `splits` without the rows that decide, and the `plan` of the retrain.

    The teacher takes `per_row` seconds for an image. Files are written into `folder`. `left` returns the seconds that
    are left for students, and `should_stop` whether Ctrl-C was pressed.
    """

    setup: Setup
    teacher: Teacher
    splits: SearchSplits
    plan: TrainPlan
    per_row: float
    folder: Path
    left: Callable[[], float]
    should_stop: Callable[[], bool]

    @property
    def rows(self) -> int:
        """The number of images that students train on."""
        return len(self.splits.train) + len(self.splits.val)

    @property
    def enough(self) -> int:
        """Images that a student sees at least: every one once, and half of those that its teacher was trained on."""
        return max(self.rows, int(ENOUGH * self.teacher.trained.images_trained))

    def taught(self, student: Student, seconds: float | None) -> Taught | NoTime:
        """Return the trained student, or why there is no time.

        `seconds` is how long it may take, None without a time limit: it then trains for the epochs of the retrain. It
        learns from the teacher beside it, and from answers for the stored images if only that is fast enough. Raises
        TrialError if its training fails, and ModelError if its network cannot be built.
        """
        begun = time.monotonic()
        stored = False
        if seconds is not None:
            found = self._is_stored(student, seconds)
            if isinstance(found, NoTime):
                return found
            stored = found
        set_threads(self.setup.device.all_threads)
        retrain = self._begun(student, seconds)
        trainer = retrain.trainer
        if stored:
            trainer.lesson = self.teacher.before(trainer, self.folder, self.should_stop)
        else:
            trainer.lesson = self.teacher.beside(trainer)
        set_threads(trainer.plan.threads)
        try:
            if seconds is None:
                model = retrain.train(self.setup.observer, self.should_stop)
            else:
                until = begun + seconds
                model = retrain.train(
                    self.setup.observer,
                    self.should_stop,
                    seconds=max(0.0, until - time.monotonic()),
                    left=lambda _: min(until - time.monotonic(), self.left()),
                )
        finally:
            _close(trainer)
        return Taught(model, stored)

    def _is_stored(self, student: Student, seconds: float) -> bool | NoTime:
        """Return whether a student must learn from stored answers to see enough images, or that it cannot at all."""
        begun, trainer = time.monotonic(), self._begun(student, seconds).trainer
        most = min(STUDENT_SECONDS, STUDENT_SHARE * seconds)
        trainer.lesson = self.teacher.beside(trainer)
        try:
            beside = self._rate(trainer, most)
            if self.enough <= beside * (seconds - (time.monotonic() - begun)):
                return False
            trainer.lesson = None
            alone = self._rate(trainer, most)
        finally:
            _close(trainer)
        needed = min(self.enough / beside, self.enough / alone + self.rows * self.per_row)
        spare = seconds - (time.monotonic() - begun)
        if self.enough / alone + self.rows * self.per_row <= spare:
            return True
        return NoTime(
            f"no time: {max(0.0, spare):.1f} s are left for it, and {self.enough:,} images take it {needed:.1f} s"
        )

    def _rate(self, trainer: Trainer, seconds: float) -> float:
        """Return the images a second of a training, by a clock on the wall."""
        plan = trainer.plan
        found = speed_of(trainer, seconds, Moment.now().later(seconds)).images_per_second
        return found / slowdown() if plan.threads == plan.replicas == 1 and plan.device == "cpu" else found

    def _begun(self, student: Student, seconds: float | None) -> Retrain:
        """Return the training of a student, with the weights that its trial left."""
        plan = replace(self.plan, seconds=seconds, grow=False)
        retrain = Retrain(student.config, self.splits, plan, work_dir=self.folder)
        if student.trial is None or student.checkpoint is None:
            return retrain
        networks = StudyNetworks(self.setup.data.splits.info, self.setup.pretrained.weights)
        try:
            left = LeftWeights(networks, student.trial, student.checkpoint).model().trained.model.state_dict()
        except (ModelError, StorageError) as error:
            self.setup.observer.note(f"A student begins anew: {error}.")
            return retrain
        trainer = retrain.trainer
        trainer.model.load_state_dict(left)
        if trainer.ema is not None:
            trainer.ema.module.load_state_dict(left)
        return retrain


def _close(trainer: Trainer) -> None:
    """End the threads of a training, and free what it holds beside its network."""
    trainer.gradients.close()
    trainer.lesson = None
    release()
