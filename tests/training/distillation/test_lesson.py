"""A trainer whose network learns from a teacher in place of labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.training.distillation.lesson import Lesson
from automl.training.distillation.shown import as_stored
from automl.training.evaluate import fit_size, predict_rows
from automl.training.plan import TrainPlan
from automl.training.speed_probe import speed_of
from automl.training.trainer import Trainer


class Recorded(nn.Module):
    """A teacher that knows which images it was shown, and answers by their mean brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        bright = self.scale * images.mean(dim=(1, 2, 3))
        return torch.stack([bright, -bright, 0.0 * bright], dim=1)


def taught(trainer: Trainer, teacher: nn.Module | None) -> Trainer:
    trainer.lesson = Lesson(trainer.batches, "classification", trainer.batches.info.img_size, teacher)
    return trainer


def test_student_learns_the_answers_of_a_teacher_and_not_the_labels(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    """The teacher was trained on labels that are shifted by one class, and the student is given the true ones."""
    shifted = splits.train.targets.with_name("shifted.npy")
    np.save(shifted, (np.load(splits.train.targets) + 1) % 3)
    teacher = Trainer(config, splits.info, replace(splits.train, targets=shifted), plan)
    for _ in range(3):
        teacher.train_round()
    teacher.model.eval()
    student = taught(Trainer({**config, "lr": 3e-3}, splits.info, splits.train, plan), teacher.model)
    losses = [student.train_round() for _ in range(3)]
    assert losses[0] is not None and losses[-1] is not None and losses[-1] < losses[0]
    own, targets = predict_rows(student.averaged, splits.val, splits.info, size=32)
    theirs, _ = predict_rows(teacher.averaged, splits.val, splits.info, size=32)
    assert float((own.argmax(1) == theirs.argmax(1)).float().mean()) > 0.9
    assert float((own.argmax(1) == targets).float().mean()) < 0.2


def test_teacher_sees_the_same_augmented_and_mixed_view(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    config = {**config, "augment": 0.8, "mixup": 0.4, "upscale": 1.5}
    seen: list[Tensor] = []
    trainer = taught(Trainer(config, splits.info, splits.train, plan), teacher := Recorded())
    trainer.model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    images, targets = next(iter(trainer.batches.epoch(0)))
    trainer.train_step(images, targets)
    (theirs,), (own,) = teacher.seen, seen
    assert theirs.shape[-1] == 32 and own.shape[-1] == 48
    torch.testing.assert_close(own, fit_size(theirs, 48))
    assert not torch.equal(theirs, images)  # mixed


def test_teacher_that_sees_more_is_shown_larger_images_and_its_student_as_small_ones_as_stored(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    n = len(np.load(splits.train.images, mmap_mode="r"))
    fine = np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "large.npy", fine)
    train = replace(splits.train, large=tmp_path / "large.npy", large_size=64)
    trainer = Trainer(config, splits.info, train, plan)
    info = replace(trainer.info, img_size=64)
    teacher, seen = Recorded(), list[Tensor]()
    trainer.lesson = Lesson(replace(trainer.batches, info=info), "classification", 32, teacher)
    trainer.model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    trainer.train_round()
    assert len(seen) == len(teacher.seen) == trainer.steps
    assert teacher.seen[0].shape[-1] == 64 and seen[0].shape[-1] == 32
    torch.testing.assert_close(seen[0], as_stored(teacher.seen[0], 32))


def test_no_gradient_reaches_the_teacher(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trainer = taught(Trainer(config, splits.info, splits.train, plan), teacher := Recorded())
    trainer.train_step(*next(iter(trainer.batches.epoch(0))))
    assert teacher.scale.grad is None
    assert any(
        float(parameter.grad.abs().sum()) > 0
        for parameter in trainer.model.parameters()
        if parameter.grad is not None
    )


def test_answers_for_stored_images_teach_as_the_teacher_itself_would(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    """Without augmentation both lessons are the same."""
    config = {**config, "augment": 0.0}
    teacher, n = Recorded().eval(), len(np.load(splits.train.images, mmap_mode="r"))
    losses = []
    for stored in (False, True):
        trainer = Trainer(config, splits.info, splits.train, plan)
        lesson = Lesson(trainer.batches, "classification", 32, teacher)
        if stored:
            answers, index = np.zeros((n, 3), dtype=np.float32), np.load(splits.train.index)
            plain = replace(trainer.batches, augment=None, shuffle=False)
            rows = torch.cat([teacher(images).softmax(1) for images, _ in plain.epoch(0)])
            answers[index] = rows.detach().numpy()
            np.save(tmp_path / "answers.npy", answers)
            given = replace(splits.train, targets=tmp_path / "answers.npy")
            lesson = Lesson(replace(trainer.batches, rows=given), "classification", 32)
        trainer.lesson = lesson
        losses.append(float(trainer.train_step(*next(iter(lesson.batches.epoch(0))))))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0] > 0.01


def test_the_deadline_ends_a_lesson_between_batches(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = taught(Trainer(config, splits.info, splits.train, plan), Recorded())
    trainer.deadline = Moment.now()
    assert trainer.train_round() is None
    assert trainer.steps == 0


def test_several_threads_and_micro_batches_learn_the_same(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    """A network without batch norm, of which a part of a batch is as good as the whole."""
    config = {**config, "model": "test_vit", "batch_size": 32}
    found = []
    for replicas, accumulated in ((1, 1), (2, 1), (1, 2)):
        own = {**config, "grad_accum_steps": accumulated}
        trainer = taught(
            Trainer(own, splits.info, splits.train, replace(plan, replicas=replicas)), Recorded()
        )
        found.append(float(trainer.train_step(*next(iter(trainer.batches.epoch(0))))))
        trainer.gradients.close()
    assert found == pytest.approx([found[0]] * 3, rel=1e-4)


def test_speed_counts_the_teacher(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trainer = taught(Trainer(config, splits.info, splits.train, plan), teacher := Recorded())
    assert speed_of(trainer, 0.01).images_per_second > 0
    assert len(teacher.seen) >= 2
