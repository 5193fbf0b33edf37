"""The training of the model that is delivered."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from automl.final import retrain
from automl.final.retrain import Retrain
from automl.final.scoring import seconds_per_image
from automl.records import Config, SearchSplits, Silent
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from tests.training.conftest import config, plan, splits

__all__ = ["config", "plan", "splits"]


def test_retrain_anneals_to_the_end_of_its_time(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {key: value for key, value in config.items() if key not in ("sched", "warmup")}
    rates: list[float] = []
    step = Trainer.train_step

    def watched(self: Trainer, *batch: Any) -> object:
        rates.append(float(self.optimizer.param_groups[0]["lr"]))
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", watched)
    timed = replace(
        plan, epochs=10_000, seconds=1.5, round_seconds=0.5, share=0.5
    )  # rounds and shares are for trials
    found = Retrain(free, splits, timed, work_dir=tmp_path).train(Silent())
    assert found.n_train == 192 and found.images_trained == len(rates) * 16
    assert found.epochs == pytest.approx(len(rates) / 12, abs=0.01)
    assert max(rates) == pytest.approx(free["lr"], rel=0.1) and rates[-1] < 0.2 * free["lr"]
    assert found.progress == 1.0


def test_retrain_is_given_its_seconds_when_its_network_was_measured(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    timed = replace(plan, epochs=10_000, seconds=600.0)
    built = Retrain(config, splits, timed, work_dir=tmp_path)
    one = seconds_per_image(built.trainer.averaged, splits.info, built.trainer.size, threads=1)
    found = built.train(Silent(), seconds=0.5)
    assert 0.4 < found.seconds < 20.0 and found.progress == 1.0
    assert 0.0 < one < 1.0


@pytest.mark.parametrize(("more", "least", "most"), [(1.2, 1.2, 30.0), (0.0, 0.2, 1.0)])
def test_retrain_becomes_longer_or_shorter_by_the_time_that_is_left(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: float,
    least: float,
    most: float,
) -> None:
    monkeypatch.setattr(retrain, "LONG_ENOUGH", 0.0)
    asked: list[float] = []
    built = Retrain(config, splits, replace(plan, epochs=10_000, seconds=600.0), work_dir=tmp_path)

    def left(trainer: Trainer) -> float:
        asked.append(trainer.progress())
        return more

    begun = time.perf_counter()
    found = built.train(Silent(), seconds=1.0, left=left)
    assert least <= time.perf_counter() - begun <= most and found.progress == 1.0
    # Where a batch takes long, two of the moments pass in it.
    assert asked[0] < 0.3 + 0.3 and 1 <= len(asked) <= (3 if more else 2)


def test_training_of_a_few_seconds_is_not_measured_again(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    built = Retrain(config, splits, replace(plan, epochs=10_000, seconds=600.0), work_dir=tmp_path)
    asked: list[Trainer] = []

    def left(trainer: Trainer) -> float:
        asked.append(trainer)
        return 0.5

    found = built.train(Silent(), seconds=0.5, left=left)
    assert asked == [] and found.progress == 1.0


class OncePerPass(nn.Module):
    """Takes 20 ms for each pass, however many images it has: threads that wait for each other on a busy machine."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __deepcopy__(self, memo: object) -> OncePerPass:
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        time.sleep(0.02)
        return images.flatten(1)


def test_time_that_a_pass_takes_beside_its_images_is_not_counted_for_each_of_them(
    splits: SearchSplits,
) -> None:
    network = OncePerPass()
    one = seconds_per_image(network, splits.info, 8, threads=1)
    assert network.sizes[0] == 16 and max(network.sizes) >= 64
    assert one == pytest.approx(0.02 / max(network.sizes), rel=2.0)


def test_a_measured_pass_changes_neither_the_network_nor_the_threads(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, plan)
    before = {key: tensor.clone() for key, tensor in trainer.model.state_dict().items()}
    assert trainer.model.training and torch.get_num_threads() == plan.threads
    seconds_per_image(trainer.model, splits.info, trainer.size, threads=2)
    assert trainer.model.training and torch.get_num_threads() == plan.threads
    assert all(torch.equal(before[key], tensor) for key, tensor in trainer.model.state_dict().items())


def test_retrain_goes_on_from_a_checkpoint_of_its_own_and_begins_anew_where_that_is_damaged(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainer = Trainer(config, splits.info, splits.train, plan)
    trainer.train_round()
    trainer.save(tmp_path / "checkpoint")
    begun = tmp_path / "checkpoint"
    whole = Retrain(config, splits, plan, work_dir=tmp_path).train(Silent())
    rest = Retrain(config, splits, plan, work_dir=tmp_path, checkpoint=begun).train(Silent())
    assert whole.images_trained == 3 * 192 and rest.images_trained == 2 * 192
    for file in begun.iterdir():
        file.write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        anew = Retrain(config, splits, plan, work_dir=tmp_path, checkpoint=begun).train(Silent())
    assert anew.images_trained == 3 * 192 and "starts over" in caplog.text
