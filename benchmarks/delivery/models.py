"""Models and studies for the parts: model folders with random weights, and studies of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import automl
from automl.final.model_folder import write_model_folder
from automl.records import Config, DatasetInfo
from automl.result import FitResult
from automl.torch_setup import import_timm

BASE: Config = {
    "family": "any",
    "opt": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 64,
    "sched": "onecycle",
}


def make_model(folder: Path, name: str, size: int, *, classes: int = 10, hflip: bool = False) -> DatasetInfo:
    """Write the model folder of timm's network `name` for colour images of `size` px, and return its data set."""
    about: dict[str, Any] = {
        "name": "noise",
        "task": "classification",
        "classes": tuple(f"class {k}" for k in range(classes)),
        "in_chans": 3,
        "img_size": size,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "class_counts": (1,) * classes,
        "fingerprint": "0",
        "n_train": classes,
        "n_val": 0,
        "n_holdout": 0,
        "n_skipped": 0,
    }
    info = DatasetInfo(**about)
    torch.manual_seed(0)
    network = import_timm().create_model(name, num_classes=classes)
    write_model_folder(folder, network, {**BASE, "model": name, "hflip": hflip}, info, size=size)
    return info


def shades(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey images (n, 16, 16) of three shades with overlapping noise, and the shade of each."""
    rng = np.random.default_rng(seed)
    shade = rng.integers(0, 3, n)
    level = 60 + 70 * shade + rng.normal(0, 22, n)
    return (level[:, None, None] + rng.normal(0, 25, (n, 16, 16))).clip(0, 255).astype(np.uint8), shade


def small_study(images: Any, labels: Any, folder: str, seed: int, *, n_trials: int) -> FitResult:
    """Return the result of a study of seconds, whose model is not good."""
    return automl.fit(
        images,
        labels,
        study=f"s{seed}",
        directory=folder,
        space="smoke",
        n_trials=n_trials,
        epochs=4,
        engine="local",
        pretrained="never",
        seed=seed,
        progress=False,
    )
