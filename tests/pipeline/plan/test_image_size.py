"""The image size of a short study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl import config as configuration
from automl import pipeline
from automl.data import open_source
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import affordable_size
from automl.pipeline.plan.hardware import choose_device
from automl.pipeline.plan.image_size import image_sizes, largest_size
from automl.pipeline.study_folder import open_workspace, write_json
from automl.records import Silent
from automl.spaces import SearchSpace
from automl.training.speed_probe import scratch_rate


def rate(size: int) -> float:
    return 1000.0 * (64 / size) ** 2


@pytest.mark.parametrize(
    ("n_train", "seconds", "most", "expected"),
    [
        (1000, 3600.0, 96, 96),
        (1000, 60.0, 96, 48),
        (1000, 20.0, 96, 32),
        (50_000, 120.0, 96, 32),
        (1000, 20.0, 28, 28),
        (1000, 1.0, 224, 32),
    ],
)
def test_short_times_and_many_images_make_small_images(
    n_train: int, seconds: float, most: int, expected: int
) -> None:
    assert affordable_size(n_train=n_train, seconds=seconds, rate=rate, most=most) == expected


def test_small_images_train_faster_by_their_area() -> None:
    assert scratch_rate(32) == pytest.approx(4 * scratch_rate(64))
    assert scratch_rate(64) > 1


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(24):
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 120, (100, 100, 3)) + 100 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"pretrained": "never", "time_limit": 1}, 32),
        ({"pretrained": "never", "n_trials": 1}, 96),
        ({"pretrained": "never", "time_limit": 1, "img_size": 96}, 96),
    ],
)
def test_only_a_training_from_scratch_with_a_limit_is_held_back(
    photos: Path, tmp_path: Path, options: dict[str, object], expected: int
) -> None:
    config = configuration.load(str(photos), **options)
    source = open_source(str(photos))
    workspace = open_workspace(str(tmp_path), "s", overwrite=False)
    context = Context(config, workspace, Clock(config.time_limit), Silent())
    found = largest_size(context, source, SearchSpace.load("smoke"), cores=0.05)
    source.close()
    workspace.close()
    assert found == expected


def test_study_keeps_its_sizes_without_a_look_at_its_space(photos: Path, tmp_path: Path) -> None:
    """Its own file of the space may be gone when another of its models is to be delivered."""
    config = configuration.load(str(photos))
    source = open_source(str(photos))
    workspace = open_workspace(str(tmp_path), "s", overwrite=False)
    write_json(workspace.plan_json, {"img_size": 48, "large_size": 160, "epochs": 1, "begun_with": {}})
    context = Context(config, workspace, Clock(config.time_limit), Silent())
    found = image_sizes(
        context, source, choose_device(config), None, lambda: pytest.fail("the space was read")
    )
    source.close()
    workspace.close()
    assert (found.img_size, found.large) == (48, 160)


@pytest.mark.study
def test_continued_study_of_an_earlier_version_keeps_its_size(photos: Path, tmp_path: Path) -> None:
    options = {"study": "s", "directory": tmp_path, "space": "smoke", "engine": "local", "epochs": 1}
    first = configuration.load(str(photos), n_trials=1, img_size=48, **options)
    assert pipeline.fit(first).to_json()["trials"]["total"] == 1
    plan_json = tmp_path / "s" / "plan.json"
    plan = json.loads(plan_json.read_text())
    del plan["round_s"]  # as versions wrote it that counted in epochs only
    plan_json.write_text(json.dumps(plan))
    again = configuration.load(str(photos), n_trials=2, **options)
    assert pipeline.fit(again).to_json()["trials"]["total"] == 2
