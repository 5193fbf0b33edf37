"""The plan of a continued study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from automl.config import load
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan.plan import _delivered_images
from automl.pipeline.study_folder import Workspace
from automl.records import Silent

RESULT: dict[str, Any] = {"best": {}, "trials": {}, "holdout": {}, "holdout_reads": 1}


@pytest.mark.parametrize(
    ("retrain", "images"),
    [
        ({"how": "retrained", "images": 5000}, 5000),
        ({"images": 5000}, 5000),  # of an earlier version, which delivered nothing else
        ({}, 0),
        ({"how": "linear head", "images": 0}, 0),
        ({"how": "own weights", "images": 5000}, 0),
    ],
)
def test_only_a_full_retrain_says_how_long_another_should_be(
    retrain: dict[str, Any], images: int, tmp_path: Path
) -> None:
    context = Context(load("digits"), Workspace(tmp_path, existed=True), Clock(None), Silent())
    assert _delivered_images(context) == 0
    (tmp_path / "result.json").write_text(json.dumps({**RESULT, "retrain": retrain}), encoding="utf-8")
    assert _delivered_images(context) == images
