"""A study of images that are not square: how they become squares, and that predictions do the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from automl import config as configuration
from automl import pipeline
from automl.config import StudyConfig
from automl.data.pixels import to_pixels
from automl.errors import StudyError
from automl.final.predictor import Predictor
from automl.pipeline import resize_look
from automl.torch_setup import import_timm
from automl.training.heads.resize import Ways, compare_ways
from tests.pipeline.test_final_model import Notes

pytestmark = pytest.mark.study


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Grey images twice as wide as high; those of one class have a bright left end."""
    for number in range(160):
        pixels = np.random.default_rng(number).integers(90, 130, (32, 64, 3), dtype=np.uint8)
        if number % 2:
            pixels[:, :6] += 60
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with weights as they are drawn."""
    torch.manual_seed(0)
    (tmp_path / "weights").mkdir()
    network = import_timm().create_model("test_resnet")
    save_file(network.state_dict(), tmp_path / "weights" / "test_resnet.safetensors")
    return tmp_path / "weights"


def config_for(photos: Path, **options: Any) -> StudyConfig:
    """A study of seconds, without Ray."""
    quick = {"study": "tiny", "space": "smoke", "n_trials": 1, "epochs": 1, "engine": "local", "parallel": 1}
    return configuration.load(str(photos), directory=photos.parent / "studies", **{**quick, **options})


def test_a_look_decides_and_the_model_folder_does_the_same(photos: Path, weights: Path) -> None:
    (weights / "test_vit.safetensors").write_bytes(b"version https://git-lfs")  # smaller, and of no use
    notes, config = Notes(), config_for(photos, pretrained=weights)
    result = pipeline.fit(config, observer=notes)
    assert any(text.startswith("Images are squeezed into squares: on ") for text in notes.notes)
    assert json.loads((result.model_dir / "preprocess.json").read_text())["resize"] == "squeeze"
    assert (
        json.loads((result.model_dir / "config.json").read_text())["pretrained_cfg"]["crop_mode"] == "squash"
    )

    predictor = Predictor.load(result.model_dir)
    files = sorted(photos.rglob("*.png"))[:6]
    side = predictor.info.img_size
    pixels = [to_pixels(Image.open(file), size=side, channels=3, resize="squeeze") for file in files]
    np.testing.assert_allclose(
        predictor.predict_proba(files), predictor.predict_proba(np.stack(pixels)), atol=1e-6
    )

    plan = json.loads((result.directory / "plan.json").read_text())
    assert plan["resize"] == "squeeze" and plan["resize_look"]["squeeze"] < plan["resize_look"]["crop"]

    again = pipeline.fit(config.changed(n_trials=2))  # without another look
    assert json.loads((result.directory / "plan.json").read_text())["resize_look"] == plan["resize_look"]
    assert json.loads((again.model_dir / "preprocess.json").read_text())["resize"] == "squeeze"
    with pytest.raises(StudyError, match=r"with another --resize \(auto there, crop now\)"):
        pipeline.fit(config.changed(n_trials=2, resize="crop"))


@pytest.mark.parametrize(("limit", "whole"), [(None, True), (240.0, False)])
def test_look_depends_on_the_load_of_the_machine_only_under_a_time_limit(
    photos: Path, weights: Path, limit: float | None, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if all seconds that a look may have were over at once."""
    monkeypatch.setattr(resize_look, "RESIZE_SECONDS", 0.0)
    found: list[Ways | None] = []

    def kept(*arguments: Any, **options: Any) -> Ways | None:
        found.append(compare_ways(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(resize_look, "compare_ways", kept)
    pipeline.fit(config_for(photos, pretrained=weights, time_limit=limit))
    (ways,) = found
    train = ways.rows if ways is not None else 0
    assert (train > 64) is whole


@pytest.mark.parametrize(("resize", "expected"), [("auto", "crop"), ("crop", "crop"), ("squeeze", "squeeze")])
def test_without_weights_nothing_is_looked_at(photos: Path, resize: str, expected: str) -> None:
    notes = Notes()
    result = pipeline.fit(config_for(photos, pretrained="never", resize=resize), observer=notes)
    assert json.loads((result.model_dir / "preprocess.json").read_text())["resize"] == expected
    assert not any("squares: on " in text or "square: on " in text for text in notes.notes)
