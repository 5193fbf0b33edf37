"""The loop learns, can be interrupted and resumed, and every searched dimension reaches it."""

from __future__ import annotations

import gc
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from automl.errors import ConfigError, StorageError
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.torch_setup import import_timm
from automl.training.models import memory_format
from automl.training.models.pretrained_weights import Weights
from automl.training.models.weight_sources import in_folder
from automl.training.plan import Precision, TrainPlan
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial

CHANGES: dict[str, Any] = {
    "model": "test_efficientnet",
    "opt": "sgd",
    "lr": 1e-3,
    "weight_decay": 0.5,
    "batch_size": 32,
    "sched": "wsd",
    "warmup": 0.5,
    "augment": 0.8,
    "hflip": True,
    "rot90": True,
    "clip_grad": 1e-3,
    "focal": 2.0,
    "grad_accum_steps": 2,
    "label_smoothing": 0.2,
    "rand_augment": 0.5,
    "mixup": 0.4,
    "cutmix": 0.4,
    "drop_path": 0.3,
    "ema": 0.9,
    "upscale": 1.5,
    "width": 0.5,
}

FINE_TUNING = [
    ("pretrained", False),
    ("freeze", "half"),
    ("freeze", "head"),
    ("layer_decay", 0.5),
    ("head_lr", 4.0),
    ("size", 48),
    ("freeze_norm", True),
]


def _losses(config: Config, splits: SearchSplits, plan: TrainPlan) -> tuple[float, ...]:
    report = ImageTrial(config, splits=splits, plan=plan).step()
    return tuple(float(report[key]) for key in ("train_loss", "val_loss"))


@pytest.fixture(scope="module")
def base_losses() -> dict[str, tuple[float, ...]]:
    """Losses of unchanged configurations, by model, so that each is trained once."""
    return {}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_searched_dimension_changes_the_run(
    name: str,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    base_losses: dict[str, tuple[float, ...]],
) -> None:
    base = {**config, "model": "resnet10t"} if name == "width" else config
    if base["model"] not in base_losses:
        base_losses[base["model"]] = _losses(base, splits, plan)
    assert _losses({**base, name: CHANGES[name]}, splits, plan) != base_losses[base["model"]]


def test_same_seed_gives_the_same_run_and_another_seed_another(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    config = {**config, "augment": 0.5, "mixup": 0.3, "drop_path": 0.2}
    first, second = (_losses(config, splits, plan) for _ in range(2))
    assert first == second
    assert _losses(config, splits, replace(plan, seed=2)) != first


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Weights of the smallest network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    save_file(import_timm().create_model("test_resnet").state_dict(), folder / "test_resnet.safetensors")
    return in_folder(folder)["test_resnet"]


@pytest.mark.parametrize(("name", "value"), FINE_TUNING)
def test_every_dimension_of_fine_tuning_changes_the_run(
    name: str, value: Any, pretrained: Weights, config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    plan = replace(plan, weights={"test_resnet": pretrained})
    base = {**config, "pretrained": True, "freeze": "none", "layer_decay": 1.0, "head_lr": 1.0}
    assert _losses({**base, name: value}, splits, plan) != _losses(base, splits, plan)


def test_batches_of_a_frozen_network_are_split_for_the_caches_and_train_the_same(
    pretrained: Weights,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = replace(plan, weights={"test_resnet": pretrained})
    tuned = {**config, "pretrained": True, "size": 32, "freeze": "stages", "freeze_norm": True}
    whole = _losses(tuned, splits, plan)
    monkeypatch.setattr(memory_format, "CACHED_PIXELS", 8 * 32**2)
    trainer = Trainer(tuned, splits.info, splits.train, plan)
    assert trainer.gradients.micro_batch.rows == 8 < trainer.batches.batch_size
    assert _losses(tuned, splits, plan) == pytest.approx(whole, rel=1e-3)
    for other in (
        {"freeze": "none"},
        {"freeze_norm": False},
    ):  # a gain is not known, or it would change the run
        trainer = Trainer({**tuned, **other}, splits.info, splits.train, plan)
        assert trainer.gradients.micro_batch.rows is None


def test_momentum_changes_a_run_of_sgd(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    sgd = {**config, "opt": "sgd", "lr": 0.05}
    assert _losses({**sgd, "momentum": 0.5}, splits, plan) != _losses({**sgd, "momentum": 0.95}, splits, plan)


def test_training_learns_the_task(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trial = ImageTrial({**config, "lr": 5e-3}, splits=splits, plan=replace(plan, epochs=6))
    reports = [trial.step() for _ in range(6)]
    assert float(reports[-1]["accuracy"]) > 0.9
    assert float(reports[-1]["train_loss"]) < float(reports[0]["train_loss"])


@pytest.fixture
def few(splits: SearchSplits, tmp_path: Path) -> SearchSplits:
    """A third of the rows: processors without bf16 or fp16 take seconds for a batch in it."""
    parts = []
    for name, rows in (("train", splits.train), ("val", splits.val)):
        np.save(tmp_path / f"{name}.npy", np.load(rows.index)[: rows.n // 3])
        parts.append(replace(rows, index=tmp_path / f"{name}.npy", n=rows.n // 3))
    return SearchSplits(splits.info, *parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "precision"),
    [
        ({}, "fp32"),
        ({"ema": 0.9, "mixup": 0.2, "drop_path": 0.2}, "fp32"),
        ({"opt": "muon", "sched": "wsd", "rand_augment": 0.3}, "bf16"),
        ({"opt": "sgd", "lr": 0.05, "cutmix": 0.5, "grad_accum_steps": 2}, "fp16"),
    ],
)
def test_checkpoint_resumes_exactly(
    changes: Config,
    precision: Precision,
    config: Config,
    few: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
) -> None:
    config, plan = {**config, **changes}, replace(plan, precision=precision)
    whole = ImageTrial(config, splits=few, plan=plan)
    expected = [whole.step() for _ in range(3)]
    first = ImageTrial(config, splits=few, plan=plan)
    first.step()
    first.save(tmp_path / "checkpoint")
    first.close()
    torch.manual_seed(99)  # another process is at another place of its random numbers
    second = ImageTrial(config, splits=few, plan=plan)
    second.load(tmp_path / "checkpoint")
    for wanted in expected[1:]:
        found = second.step()
        assert found["train_loss"] == wanted["train_loss"]
        assert found["val_loss"] == wanted["val_loss"]
    assert second.trainer.optimizer.param_groups[0]["lr"] == whole.trainer.optimizer.param_groups[0]["lr"]


def test_trial_that_is_closed_holds_no_memory_until_garbage_is_collected(
    config: Config, splits: SearchSplits, plan: TrainPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.training.trial.release", lambda: None)
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial.step()
    parts = [weakref.ref(part) for part in (trial.trainer, trial.trainer.model, trial.trainer.optimizer)]
    gc.disable()  # which finds circles, but not at once, and takes a third of a second
    try:
        trial.close()
        assert [part() for part in parts] == [None, None, None]
    finally:
        gc.enable()


def test_damaged_checkpoint_is_named(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial.save(tmp_path / "t0001")
    (tmp_path / "t0001" / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(StorageError, match="t0001.*cannot be read"):
        trial.load(tmp_path / "t0001")


def test_deadline_interrupts_within_an_epoch(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trial = ImageTrial(config, splits=splits, plan=replace(plan, deadline=Moment.now().later(-1.0)))
    assert trial.step()["interrupted"] is True
    assert trial.trainer.steps == 0


def test_promoted_trial_follows_the_schedule_of_its_whole_length(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    config = {name: value for name, value in config.items() if name not in ("sched", "warmup")}
    plan = replace(plan, epochs=6)
    rates = []
    trial = ImageTrial(config, splits=splits, plan=plan)
    for epoch in range(1, 7):
        trial.step()
        rates.append(trial.trainer.optimizer.param_groups[0]["lr"] / config["lr"])
        if epoch in (2, 4):  # rungs: the trial pauses and is resumed in another process
            trial.save(tmp_path / "checkpoint")
            trial = ImageTrial(config, splits=splits, plan=plan)
            trial.load(tmp_path / "checkpoint")
    assert rates[:4] == pytest.approx([1.0] * 4)
    assert 0.4 < rates[4] < 0.7 and rates[5] < 0.1


def test_schedule_paced_by_time_reaches_its_end(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, replace(plan, epochs=10_000, seconds=1.0))
    begun = time.perf_counter()
    while trainer.train_round() is not None:
        pass
    # The last step may outlast the second, more so on a busy machine.
    assert 0.9 < time.perf_counter() - begun < 5.0
    assert trainer.optimizer.param_groups[0]["lr"] < 0.2 * config["lr"]


def test_unknown_optimizer_is_refused_with_the_closest_name(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'adamw'"):
        ImageTrial({**config, "opt": "adamww"}, splits=splits, plan=plan)


def test_replicas_train_about_the_same_model(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    config = {**config, "batch_size": 48, "lr": 5e-3}
    trial = ImageTrial(config, splits=splits, plan=replace(plan, replicas=2, epochs=8))
    reports = [trial.step() for _ in range(8)]
    trial.close()
    assert float(reports[-1]["accuracy"]) > 0.9


def test_biases_and_norms_are_not_decayed(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    trainer = Trainer(config, splits.info, splits.train, plan)
    decayed, plain = trainer.optimizer.param_groups
    assert decayed["weight_decay"] == config["weight_decay"] and plain["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in decayed["params"]) and all(p.ndim <= 1 for p in plain["params"])
    assert torch.is_tensor(decayed["params"][0])


def test_trial_on_a_part_of_the_rows_has_shorter_epochs_and_resumes_with_the_same_part(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    half = replace(plan, share=0.5)
    trial = ImageTrial(config, splits=splits, plan=half)
    first = trial.step()
    assert trial.trainer.batches.n == 72 and first["images"] == 4 * 16 and first["epochs"] == 1.0
    trial.save(tmp_path)
    again = ImageTrial(config, splits=splits, plan=half)
    again.load(tmp_path)
    assert again.step()["train_loss"] == trial.step()["train_loss"]


def test_part_that_is_smaller_than_a_batch_makes_smaller_batches(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, replace(plan, share=0.1))
    assert (trainer.batches.n, trainer.batches.batch_size) == (3 * 8, 14)
    assert trainer.train_round() is not None
