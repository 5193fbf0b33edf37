"""What a delivered model gives back: labels in their type, the units of the data, and the range of deep pixels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import automl
from automl.data import load_pixels
from automl.data.sources.unlabelled import images_of
from automl.torch_setup import import_timm

pytestmark = pytest.mark.study

_SMALL: dict[str, Any] = {
    "space": "smoke",
    "n_trials": 1,
    "epochs": 2,
    "engine": "local",
    "pretrained": "never",
}


def _deep(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images of 12 bits in a narrow range, and one of three even numbers for each."""
    rng = np.random.default_rng(0)
    labels = 2 * (np.arange(n) % 3)
    images = 1000 + 60 * labels[:, None, None] + rng.normal(0, 20, (n, 16, 16))
    return images.clip(0, 4095).astype(np.uint16), labels


def test_labels_come_back_as_they_were_given_and_images_alone_as_together(tmp_path: Path) -> None:
    images, labels = _deep(90)
    result = automl.fit(images, labels[:, None], study="deep", directory=tmp_path, **_SMALL)
    model = automl.load(result.model_dir)
    assert model.labels == (0, 2, 4)
    found = model.predict(images)
    assert {type(label) for label in found} == {int}
    assert np.mean(np.array(found) == labels) > 0.5
    said = json.loads((result.model_dir / "preprocess.json").read_text())
    assert (said["label_type"], said["pixel_range"]) == ("int", list(model.info.pixel_range))
    together = model.predict_proba(images[:9])
    alone = np.concatenate([model.predict_proba(image) for image in images[:9]])
    assert np.allclose(together, alone, atol=1e-5)
    assert f"scaled from {said['pixel_range'][0]:g}" in (result.model_dir / "README.md").read_text()


def test_card_of_a_regression_says_how_timm_alone_gives_its_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    amounts = rng.uniform(100, 900, (90, 2))
    images = (amounts[:, :1, None] / 4 + rng.normal(0, 5, (90, 16, 16))).clip(0, 255).astype(np.uint8)
    result = automl.fit(images, amounts, study="amounts", directory=tmp_path, img_size=16, **_SMALL)
    model = automl.load(result.model_dir)
    assert result.data_notes[0].startswith("Task: regression of output 0, output 1, as its values suggest")
    card = (result.model_dir / "README.md").read_text()
    assert "(2 values: output 0, output 1)" in card
    scale = [tuple(map(float, row)) for row in re.findall(r"\| output \d \| (\S+) \| (\S+) \|", card)]
    assert len(scale) == 2
    mean, std = np.array(scale).T
    config = json.loads((result.model_dir / "config.json").read_text())
    if "architecture" not in config:
        pytest.skip("a linear head was delivered, which timm does not load")
    network = import_timm().create_model(f"local-dir:{result.model_dir}", pretrained=True).eval()
    pixels = np.stack([load_pixels(image.load(), model.info) for image in images_of(images[:4], model.info)])
    normal = (
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - model.info.mean[0]
    ) / model.info.std[0]
    model.mirrored = False
    with torch.inference_mode():
        own = network(
            torch.nn.functional.interpolate(normal, (model.size, model.size), mode="bilinear")
        ).numpy()
    assert np.allclose(own * std + mean, model.predict(images[:4]), rtol=1e-3)
