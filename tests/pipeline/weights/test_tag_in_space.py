"""A space that names a network with the tag of its weights: trials from them and from scratch, told apart."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from automl import config as configuration
from automl import pipeline
from automl.final.predictor import Predictor
from automl.review.plain_lines import PlainView
from automl.review.run_state import ViewHeader
from automl.torch_setup import import_timm

pytestmark = pytest.mark.study
_TAG = "test_resnet.r160_in1k"
_LR = {"type": "float", "low": 4e-3, "high": 5e-3}


@pytest.mark.parametrize("pretrained", [True, False])
def test_tag_is_told_with_weights_and_not_without(pretrained: bool, tmp_path: Path) -> None:
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:240]
    digits = (data.images[chosen] * 15.9).astype(np.uint8), data.target[chosen]
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / f"{_TAG}.safetensors"
    save_file(import_timm().create_model(_TAG).state_dict(), file)
    options = {"study": "tagged", "n_trials": 1, "epochs": 1, "engine": "local", "parallel": 1}
    choice = {"type": "categorical", "choices": [pretrained]}
    space = {"families": {"resnet": [_TAG]}, "parameters": {"pretrained": choice, "lr": _LR}}
    folder = str(file.parent) if pretrained else "never"
    config = configuration.load(digits, directory=tmp_path, space=space, pretrained=folder, **options)
    screen = io.StringIO()
    with PlainView(ViewHeader("tagged", "accuracy", "max", None), screen) as view:
        result = pipeline.fit(config, observer=view)
    delivered = result.to_json()["weights"]
    said = json.loads((result.model_dir / "config.json").read_text())
    if said.get("architecture") == "test_resnet":  # not the linear head on pixels
        assert said["pretrained_cfg"].get("tag") == ("r160_in1k" if pretrained else None)
        assert delivered == (
            {
                "weights": _TAG,
                "licence": "apache-2.0",  # timm's of the tag
                "source": "folder",
                "origin": f"https://huggingface.co/timm/{_TAG}",
            }
            if pretrained
            else None
        )
    assert ("weights" in result.leaderboard()) is pretrained
    assert result.to_json()["best"]["weights"] == (_TAG if pretrained else None)
    card = (result.model_dir / "README.md").read_text()
    assert (f"model {_TAG}," in card) is (delivered is not None)
    stored = optuna.load_study(study_name="tagged", storage=f"sqlite:///{result.directory}/study.db").trials
    assert {trial.user_attrs.get("weights") for trial in stored} == {_TAG if pretrained else None}
    assert (f"round 1: {_TAG}, pretrained" in screen.getvalue()) is pretrained
    assert ("round 1: test_resnet, lr" in screen.getvalue()) is not pretrained
    assert Predictor.load(result.model_dir).predict(digits[0][:2]) is not None
