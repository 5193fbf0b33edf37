"""The linear head on frozen features: it ranks, it keeps to its time, and it serves every task."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from automl.errors import ModelError
from automl.records import Config, Rows, SearchSplits
from automl.torch_setup import import_timm
from automl.training.models import linear_probe
from automl.training.models.hyperparameters import Recipe
from automl.training.models.linear_probe import (
    OutOfTimeError,
    probe_features,
    probe_pixels,
    ridge_weights,
    sample,
)
from automl.training.models.pretrained_weights import Weights, verify
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

LATER = float("inf")


@pytest.fixture
def scattered(splits: SearchSplits, tmp_path: Path) -> SearchSplits:
    """Horizontal, vertical and slanted strokes anywhere in noise, for the rows of `splits`: pixels tell little."""
    targets = np.load(splits.train.targets)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 130, (len(targets), 32, 32, 3))
    step = np.arange(14)
    for i, target in enumerate(targets):
        row, column = rng.integers(1, 17, 2)
        images[i, row + step * (target != 0), column + step * (target != 1)] += 120
    np.save(tmp_path / "scattered.npy", images.astype(np.uint8))

    def moved(rows: Rows) -> Rows:
        return replace(rows, images=tmp_path / "scattered.npy")

    return SearchSplits(splits.info, moved(splits.train), moved(splits.val))


def _weights(path: Path, values: dict[str, torch.Tensor]) -> Weights:
    save_file({name: value.contiguous() for name, value in values.items()}, path)
    return Weights("test_resnet", path, "folder", (0.2,) * 3, (0.2,) * 3)


def test_features_of_a_trained_network_score_above_those_of_a_fresh_one_and_pixels(
    scattered: SearchSplits, config: Config, plan: TrainPlan, tmp_path: Path
) -> None:
    trainer = Trainer({**config, "lr": 5e-3}, scattered.info, scattered.train, replace(plan, epochs=8))
    fresh = _weights(tmp_path / "fresh.safetensors", trainer.model.state_dict())
    for _ in range(8):
        trainer.train_round()
    trained = _weights(tmp_path / "trained.safetensors", trainer.model.state_dict())
    rows = sample(scattered, tmp_path, most=144, device="cpu", threads=2)
    scores = [
        probe_features(w, Recipe.from_config(config), rows, until=LATER).score for w in (trained, fresh)
    ]
    assert scores[0] > 0.9
    assert scores[0] > scores[1] + 0.05
    assert scores[0] > probe_pixels(rows) + 0.05


def test_sample_is_of_the_size_asked_for_and_has_every_class_alike(
    splits: SearchSplits, tmp_path: Path
) -> None:
    rows = sample(splits, tmp_path, most=30, device="cpu", threads=1)
    chosen = np.load(rows.train.index)
    assert len(rows.train) == 30 and len(rows.val) == 15
    assert set(chosen) <= set(np.load(splits.train.index))
    assert np.bincount(np.load(splits.train.targets)[chosen]).tolist() == [10, 10, 10]


def test_probe_ends_when_its_time_does(splits: SearchSplits, config: Config, tmp_path: Path) -> None:
    values = import_timm().create_model("test_resnet").state_dict()
    rows = sample(splits, tmp_path, most=64, device="cpu", threads=2)
    with pytest.raises(OutOfTimeError):
        probe_features(
            _weights(tmp_path / "w.safetensors", values),
            Recipe.from_config(config),
            rows,
            until=time.monotonic() - 1,
        )


def test_probe_refuses_weights_of_another_network(
    splits: SearchSplits, config: Config, tmp_path: Path
) -> None:
    values = import_timm().create_model("test_vit").state_dict()
    rows = sample(splits, tmp_path, most=64, device="cpu", threads=1)
    with pytest.raises(ModelError, match="w.safetensors"):
        probe_features(
            _weights(tmp_path / "w.safetensors", values), Recipe.from_config(config), rows, until=LATER
        )


def test_speed_leaves_out_what_the_first_images_pay(
    splits: SearchSplits, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sample(splits, tmp_path, most=100, device="cpu", threads=1)
    values = import_timm().create_model("test_resnet").state_dict()
    slow: list[float] = [1.0]

    def loaded(weights: Weights, arguments: dict[str, Any]) -> nn.Module:
        model = verify(weights, arguments)
        model.register_forward_pre_hook(lambda *_: time.sleep(slow.pop()) if slow else None)
        return model

    monkeypatch.setattr(linear_probe, "verify", loaded)
    found = probe_features(
        _weights(tmp_path / "w.safetensors", values), Recipe.from_config(config), rows, until=LATER
    )
    assert not slow and found.images_per_second > len(rows.train) + len(rows.val)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_probe_of_other_tasks_scores_the_bars(
    task: str, splits: SearchSplits, config: Config, tmp_path: Path
) -> None:
    classes = np.load(splits.train.targets)
    bars = np.eye(3, dtype=np.float32)[classes]
    np.save(tmp_path / "targets.npy", bars if task == "multilabel" else bars[:, :1] * 7 + 3)
    one = {"task": "regression", "classes": ("y",), "target_mean": (5.3,), "target_std": (3.3,)}
    info = replace(splits.info, **(one if task == "regression" else {"task": "multilabel"}))
    parts = [replace(rows, targets=tmp_path / "targets.npy") for rows in (splits.train, splits.val)]
    rows = sample(SearchSplits(info, *parts), tmp_path, most=144, device="cpu", threads=1)
    assert probe_pixels(rows) > 0.9
    values = import_timm().create_model("test_resnet").state_dict()
    found = probe_features(
        _weights(tmp_path / "w.safetensors", values), Recipe.from_config(config), rows, until=LATER
    )
    assert found.score > 0.5 and found.size == 32 and found.images_per_second > 0


@pytest.mark.parametrize(("n", "d"), [(60, 20), (20, 60), (30, 30)])
def test_ridge_solves_the_smaller_system_and_the_same_problem(
    n: int, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, d, generator=generator), torch.randn(n, 3, generator=generator).double()
    solved: list[tuple[int, ...]] = []
    real = torch.linalg.cholesky_ex

    def cholesky(system: torch.Tensor) -> object:
        solved.append(tuple(system.shape))
        return real(system)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", cholesky)
    for ridge, weight in zip((0.1, 10.0), ridge_weights(x, y, (0.1, 10.0)), strict=True):
        system = x.double().T @ x.double() + ridge * torch.eye(d).double()
        assert torch.allclose(weight, torch.linalg.solve(system, x.double().T @ y), atol=1e-4)
    assert solved == [(min(n, d),) * 2] * 2


def test_columns_that_are_equal_can_be_solved() -> None:
    x = torch.ones(8, 3)
    (weight,) = ridge_weights(x, torch.ones(8, 1).double(), (1e-30,))
    assert torch.allclose(x.double() @ weight, torch.ones(8, 1).double(), atol=1e-3)
