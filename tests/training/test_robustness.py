"""What a training does when the loss explodes, memory runs out, or it gets no better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from automl.errors import TrialError
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.training.early_stopping import Patience
from automl.training.plan import TrainPlan
from automl.training.snapshot import STEPS_BETWEEN_COPIES
from automl.training.steps.gradients import LossOf
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial


@pytest.fixture
def vit(config: Config) -> Config:
    """A network without batch norm, so that parts of a batch add up exactly."""
    return {**config, "family": "vit", "model": "test_vit", "batch_size": 48}


def _short_of_memory(model: nn.Module, most: int) -> list[int]:
    """Make forward passes of more than `most` rows fail as the allocator does; return the numbers of rows seen."""
    seen: list[int] = []

    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(len(inputs[0]))
        if len(inputs[0]) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    model.register_forward_pre_hook(hook)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_out_of_memory_keeps_the_effective_batch(
    replicas: int, vit: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    plan = replace(plan, replicas=replicas)
    plain = ImageTrial(vit, splits=splits, plan=plan)
    expected = plain.step()
    trial = ImageTrial(vit, splits=splits, plan=plan)
    seen = _short_of_memory(trial.trainer.model, 14)
    found = trial.step()
    assert trial.trainer.steps == plain.trainer.steps == 3
    assert found["micro_batch"] == 12 and expected["micro_batch"] == 48
    assert max(seen[-4:]) <= 14 and seen.count(48) <= 2  # once in training, once among the 48 validation rows
    assert found["train_loss"] == pytest.approx(float(expected["train_loss"]), rel=1e-3)
    assert found["val_loss"] == pytest.approx(float(expected["val_loss"]), rel=1e-3)
    plain.close()
    trial.close()


def test_limit_of_memory_is_known_after_a_pause(
    vit: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    first = ImageTrial(vit, splits=splits, plan=plan)
    _short_of_memory(first.trainer.model, 24)
    first.step()
    first.save(tmp_path / "checkpoint")
    second = ImageTrial(vit, splits=splits, plan=plan)
    second.load(tmp_path / "checkpoint")
    assert second.trainer.micro_batch == 24


@pytest.mark.slow
def test_two_rows_without_room_fail_the_trial(vit: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trial = ImageTrial(vit, splits=splits, plan=plan)
    _short_of_memory(trial.trainer.model, 1)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        trial.step()


def _broken_at(trainer: Trainer, *steps: int) -> LossOf:
    """Return the loss, not finite in the forward passes of these numbers."""
    whole, count = trainer.gradients.loss_of, 0

    def loss_of(images: Tensor, targets: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return whole(images, targets) * (float("nan") if count in steps else 1.0)

    return loss_of


@pytest.mark.parametrize(("between", "back_to"), [(9, 1), (10, 0), (50, 0)])
def test_loss_that_is_not_finite_once_continues_from_the_last_copy_with_half_the_lr(
    between: int,
    back_to: int,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(STEPS_BETWEEN_COPIES, "cpu", between)
    config = {**config, "ema": 0.9}
    trial = ImageTrial(config, splits=splits, plan=plan)
    clean = trial.step()
    trial.trainer.gradients.loss_of = _broken_at(trial.trainer, 4)  # of 9 an epoch
    found = trial.step()
    assert (clean["lr_scale"], found["lr_scale"]) == (1.0, 0.5)
    assert trial.trainer.rounds == 2 and trial.trainer.steps == 18
    # The same as a training that had half the lr from that epoch on.
    halved = ImageTrial(config, splits=splits, plan=plan)
    for epoch in range(2):
        if epoch == back_to:
            halved.trainer.lr_scale = 0.5
        expected = halved.step()
    assert (found["train_loss"], found["val_loss"]) == (expected["train_loss"], expected["val_loss"])


def test_training_is_copied_every_so_many_steps_and_after_a_pause_anew(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[int] = []
    real = Trainer.weights

    def weights(self: Trainer) -> dict[str, Tensor]:
        copies.append(self.steps)
        return real(self)

    monkeypatch.setattr(Trainer, "weights", weights)
    monkeypatch.setitem(STEPS_BETWEEN_COPIES, "cpu", 20)
    trainer = Trainer(config, splits.info, splits.train, replace(plan, epochs=7))
    for _ in range(7):  # of 9 steps
        trainer.train_round()
    assert copies == [0, 27, 54]
    trainer.save(tmp_path / "checkpoint")
    other = Trainer(config, splits.info, splits.train, replace(plan, epochs=7))
    other.train_round()
    copies.clear()
    other.load(tmp_path / "checkpoint")
    other.train_round()
    assert copies == [63]


def test_loss_that_is_not_finite_twice_fails_the_trial(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial.trainer.gradients.loss_of = _broken_at(trial.trainer, 2, 30)
    trial.step()
    with pytest.raises(TrialError, match="loss became nan in epoch 3, also with half the lr; use a lower lr"):
        for _ in range(2):
            trial.step()


def test_rate_that_explodes_fails_the_trial(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trial = ImageTrial({**config, "opt": "sgd", "lr": 1e30}, splits=splits, plan=plan)
    with pytest.raises(TrialError, match="training loss became (nan|inf) in epoch"):
        for _ in range(3):
            trial.step()


def test_half_the_lr_is_known_after_a_pause(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    first = ImageTrial(config, splits=splits, plan=plan)
    first.trainer.gradients.loss_of = _broken_at(first.trainer, 2)
    first.step()
    first.save(tmp_path / "checkpoint")
    second = ImageTrial(config, splits=splits, plan=plan)
    second.load(tmp_path / "checkpoint")
    assert second.step()["lr_scale"] == 0.5


def test_time_that_ends_after_an_explosion_leaves_the_last_good_weights(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, replace(plan, epochs=100))
    trainer.train_round()
    whole = trainer.gradients.loss_of

    def last_one(images: Tensor, targets: Tensor) -> Tensor:
        trainer.deadline = Moment.now()  # this step is the last that has time
        return whole(images, targets) * float("nan")

    trainer.gradients.loss_of = last_one
    assert trainer.train_round() is None
    assert all(bool(p.isfinite().all()) for p in trainer.model.parameters())


def test_patience_ends_a_trial_at_its_best(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    # After the first epoch the learning rate makes the network worse and worse.
    trial = ImageTrial({**config, "patience": 2}, splits=splits, plan=replace(plan, epochs=50))
    reports = [trial.step()]
    trial.trainer.recipe = replace(trial.trainer.recipe, lr=10.0)
    trial.save(tmp_path / "early")
    carried = ImageTrial({**config, "patience": 2, "lr": 10.0}, splits=splits, plan=replace(plan, epochs=50))
    carried.load(tmp_path / "early")  # a pause forgets nothing
    while not reports[-1].get("done"):
        assert len(reports) < 20
        reports.append(carried.step())
    last = reports[-1]
    best = max(range(len(reports)), key=lambda k: (float(reports[k]["accuracy"]), -k))
    assert len(reports) == best + 1 + 2
    assert last["accuracy"] == reports[best]["accuracy"] and last["val_loss"] == reports[best]["val_loss"]
    assert last["reason"] == f"no improvement for 2 rounds; ends at its best round, {best + 1}"
    carried.save(tmp_path / "late")
    again = ImageTrial(config, splits=splits, plan=plan)
    again.load(tmp_path / "late")
    for name, weight in carried.trainer.model.state_dict().items():
        assert torch.equal(weight, again.trainer.model.state_dict()[name])
    assert carried.trainer.rounds == best + 1


def test_patience_without_a_finite_value_never_ends(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, plan)
    patience = Patience(1, metric="roc_auc", mode="max")
    assert not any(patience.report({"roc_auc": float("nan")}, trainer) for _ in range(4))


@pytest.mark.parametrize("reported", [False, True])
def test_only_a_trial_that_has_never_reported_validates_a_part_of_a_round(
    reported: bool, config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    timed = replace(plan, deadline=Moment.now().later(600.0), reporting=60.0)
    trial = ImageTrial(config, splits=splits, plan=timed)
    if reported:
        assert not trial.step().get("interrupted")
    whole = trial.trainer.gradients.loss_of

    def last_one(images: Tensor, targets: Tensor) -> Tensor:
        trial.trainer.deadline = Moment.now()  # this step is the last that has time
        return whole(images, targets)

    trial.trainer.gradients.loss_of = last_one
    report = trial.step()
    assert report["interrupted"] is True
    assert ("accuracy" in report, report.get("val_rows")) == ((False, None) if reported else (True, 48.0))
