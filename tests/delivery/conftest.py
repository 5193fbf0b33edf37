"""A small model folder with a study's labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from automl.data.sources.unlabelled import images_of
from automl.final.confidence.known_features import KnownFeatures, write_known_features
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor, named_pixels
from automl.records import Config, DatasetInfo, Task
from automl.torch_setup import import_timm

CLASSES = ("dark", "grey", "light")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: JPEG and PNG of several sizes, upright and not, transparent and grey."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (root / name).mkdir()
        for i in range(12):
            height, width = random.integers(20, 300, 2)
            coarse = random.integers(80 * label, 80 * label + 90, (9, 9, 3)).astype(np.uint8)
            image = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
            if i % 4 == 0:
                exif = Image.Exif()
                exif[0x0112] = 6
                image.save(root / name / f"{i}.jpg", quality=95, exif=exif)
            elif i % 4 == 1:
                image.putalpha(Image.linear_gradient("L").resize(image.size))
                image.save(root / name / f"{i}.png")
            elif i % 4 == 2:
                image.convert("L").save(root / name / f"{i}.png")
            else:
                image.save(root / name / f"{i}.jpg", quality=95)
    return root


def info_of(task: Task = "classification", channels: int = 3) -> DatasetInfo:
    """What a model of these pictures knows."""
    regression = task == "regression"
    classes = ("brightness",) if regression else CLASSES
    return DatasetInfo(
        name="pictures",
        task=task,
        classes=classes,
        in_chans=channels,
        img_size=40,
        mean=(0.4, 0.45, 0.5)[:channels],
        std=(0.2, 0.25, 0.3)[:channels],
        class_counts=(8,) * len(classes),
        fingerprint="",
        n_train=24,
        n_val=6,
        n_holdout=6,
        n_skipped=0,
        target_mean=(120.0,) if regression else (),
        target_std=(50.0,) if regression else (),
    )


MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write a model folder of an untrained network, whose norms have seen random images."""
    return partial(write_model, tmp_path)


def write_model(
    where: Path,
    model: str = "test_resnet",
    info: DatasetInfo | None = None,
    size: int = 32,
    hflip: bool = True,
    temperature: float = 1.0,
) -> Path:
    """Write it below `where`."""
    info = info_of() if info is None else info
    torch.manual_seed(0)
    network = import_timm().create_model(model, num_classes=info.n_outputs, in_chans=info.in_chans)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, info.in_chans, size, size))
    config: Config = {"model": model, "lr": 0.01, "hflip": hflip}
    folder = where / f"model-{model}"
    write_model_folder(folder, network, config, replace(info), size=size, temperature=temperature)
    return folder


def know_features(folder: Path, pictures: Path) -> None:
    """Add the features of the pictures, by which the model tells unknown images."""
    predictor = Predictor.load(folder)
    pixels = [named_pixels(image, predictor.info) for image in images_of(pictures, predictor.info)]
    _, features = predictor.predict_with_features(np.stack(pixels))
    assert features is not None
    write_known_features(folder, KnownFeatures.of(features[::2], features[1::2]))
