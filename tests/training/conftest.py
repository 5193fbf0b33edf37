"""A data set of two hundred drawn images that a small network can tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automl.records import Config, DatasetInfo, Rows, SearchSplits
from automl.training.plan import TrainPlan


@pytest.fixture(scope="session")
def splits(tmp_path_factory: pytest.TempPathFactory) -> SearchSplits:
    """Three classes of 32 px gray-level patterns with noise: 144 training and 48 validation rows."""
    folder: Path = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    targets = np.arange(192) % 3
    images = rng.integers(0, 60, (192, 32, 32, 3))
    for i, target in enumerate(targets):
        images[i, 4 + 8 * target : 12 + 8 * target, 6:26] += 150
    np.save(folder / "images.npy", images.astype(np.uint8))
    np.save(folder / "targets.npy", targets.astype(np.int64))
    parts = {"train": np.arange(144), "val": np.arange(144, 192)}
    rows = {}
    for name, index in parts.items():
        np.save(folder / f"{name}.npy", index)
        rows[name] = Rows(folder / "images.npy", folder / "targets.npy", folder / f"{name}.npy", len(index))
    info = DatasetInfo(
        name="bars",
        task="classification",
        classes=("high", "low", "middle"),
        in_chans=3,
        img_size=32,
        mean=(0.2, 0.2, 0.2),
        std=(0.2, 0.2, 0.2),
        class_counts=(48, 48, 48),
        fingerprint="bars",
        n_train=144,
        n_val=48,
        n_holdout=0,
        n_skipped=0,
    )
    return SearchSplits(info, rows["train"], rows["val"])


@pytest.fixture
def config() -> Config:
    """A configuration of the smallest network, with every searched dimension set."""
    return {
        "family": "test",
        "model": "test_resnet",
        "upscale": 1.0,
        "opt": "adamw",
        "lr": 2e-3,
        "weight_decay": 0.05,
        "batch_size": 16,
        "sched": "cosine",
        "warmup": 0.1,
        "augment": 0.2,
        "hflip": False,
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "drop_path": 0.0,
        "ema": 0.0,
    }


@pytest.fixture
def plan() -> TrainPlan:
    """Three epochs for accuracy."""
    return TrainPlan(epochs=3, metric="accuracy", mode="max", seed=1)
