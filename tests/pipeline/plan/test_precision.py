"""The precision of a study stays what it was when the study began."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automl import pipeline
from automl.errors import StudyError
from automl.training import speed_probe
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study


def test_a_continued_study_keeps_its_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"epochs": 1, "engine": "local"}
    first = pipeline.fit(config_for(tmp_path, n_trials=1, precision="bf16", **options))
    plan = json.loads((first.directory / "plan.json").read_text())
    assert plan["precision"] == "bf16"
    monkeypatch.setattr(speed_probe, "_fastest", lambda *args: pytest.fail("measured again"))
    pipeline.fit(config_for(tmp_path, n_trials=2, **options))
    assert json.loads((first.directory / "plan.json").read_text())["precision"] == "bf16"
    with pytest.raises(StudyError, match="trains in bf16, got --precision fp32"):
        pipeline.fit(config_for(tmp_path, n_trials=3, precision="fp32", **options))
