"""A study whose best model is the linear head on features from all depths: what people read, and what they can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import automl
from automl import pipeline
from automl.cli import main
from automl.errors import ModelError
from automl.final.predictor import Predictor
from automl.result import FitResult
from automl.review.describe import summary
from automl.review.report.verdict import model_words
from automl.torch_setup import import_timm
from tests.pipeline.deliver.test_deliver import stripes, write_stripes
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study

# Fine-tuning that learns nothing, so that a head is the best that is known.
SPACE: dict[str, Any] = {
    "families": {"resnet": ["test_resnet"]},
    "parameters": {
        "lr": {"type": "float", "low": 1e-9, "high": 1e-8},
        "pretrained": {"type": "categorical", "choices": [True]},
        "size": {"type": "categorical", "choices": [64], "when": {"pretrained": True}},
    },
    "portfolio": [{"family": "resnet", "model": "test_resnet", "pretrained": True, "size": 64, "lr": 1e-9}],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """Stripes of which the last features of these weights know nothing, as they are always zero."""
    folder = tmp_path_factory.mktemp("depths")
    torch.manual_seed(0)
    network = import_timm().create_model("test_resnet")
    state = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    for name, value in state.items():
        if name.startswith("layer4") and not name.endswith("running_var"):
            value.zero_()
    (folder / "weights").mkdir()
    save_file(state, folder / "weights" / "test_resnet.safetensors")
    options: dict[str, Any] = {
        "space": SPACE,
        "pretrained": str(folder / "weights"),
        "n_trials": 1,
        "epochs": 1,
    }
    write_stripes(folder / "stripes")
    return pipeline.fit(config_for(folder, data=str(folder / "stripes"), **options))


def test_it_is_delivered_and_people_read_what_it_is(finished: FitResult) -> None:
    config = finished.to_json()["retrain"]["config"]
    assert config["depths"] == 1 and config["model"] == "test_resnet"
    assert finished.holdout["accuracy"].value > 0.9
    board = finished.leaderboard()
    heads = board[board["kind"].str.startswith("head")]
    assert sorted(heads["depths"].fillna(0).tolist()) == [0, 1]
    said = dict(summary(finished.to_json(), finished.model_dir, ""))["delivered"]
    assert "linear head on features of test_resnet from all depths" in said
    card = (finished.model_dir / "README.md").read_text(encoding="utf-8")
    assert "automl.load(" in card and "timm.create_model" not in card and "library_name: automl" in card
    assert model_words(finished.to_json()) == "a linear head on features of test_resnet from all depths"


def test_model_folder_answers_as_the_study_and_gives_features(finished: FitResult) -> None:
    said = json.loads((finished.model_dir / "config.json").read_text(encoding="utf-8"))
    assert "architecture" not in said and said["pretrained_cfg"]["input_size"][1:] == [160, 160]
    images, _ = stripes(12)
    predictor = Predictor.load(finished.model_dir)
    expected = finished.predictor.predict_proba(list(images))
    assert np.allclose(predictor.predict_proba(list(images)), expected, atol=1e-5)
    assert len(predictor.embed(list(images))) == 12


def test_other_heads_of_the_study_can_be_delivered_and_this_one_again(
    finished: FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    board = finished.leaderboard()
    deep = int(board.loc[board["depths"] == 1, "trial"].iloc[0])
    last = int(board.loc[board["kind"].eq("head on features") & board["depths"].ne(1), "trial"].iloc[0])
    where = ["--directory", str(finished.directory.parent)]
    images, _ = stripes(12)
    before = automl.load(finished.directory).predict_proba(list(images))
    for number, factory in ((last, False), (deep, True)):
        assert main(["deliver", finished.directory.name, "--trial", str(number), *where]) in (0, 3)
        said = json.loads((finished.model_dir / "config.json").read_text(encoding="utf-8"))
        assert ("factory" in said) is factory
    capsys.readouterr()
    assert np.allclose(automl.load(finished.directory).predict_proba(list(images)), before, atol=1e-4)


def test_network_of_a_stranger_is_compared_with_its_weights(finished: FitResult, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in finished.model_dir.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said["model_args"]["taps_widths"][0] = 100_000
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(ModelError, match=r"sizes in config\.json|larger than its weights"):
        Predictor.load(folder)
