"""A study of networks from the user's own function, and how its model is loaded again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import automl
from automl import pipeline
from automl.cli import main
from automl.errors import ModelError, SpaceError
from automl.result import FitResult
from automl.spaces import capabilities
from tests.own_networks import make
from tests.pipeline.plan.test_pretrained import config_for

pytestmark = pytest.mark.study

NAME = "tests.own_networks:make"
SPACE = {
    "families": {"mine": NAME},
    "parameters": {
        "lr": {"type": "float", "low": 5e-3, "high": 1e-2},
        "drop_path": {"type": "float", "low": 0.0, "high": 0.1},
    },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A study of two trials."""
    return pipeline.fit(config_for(tmp_path_factory.mktemp("own"), space=SPACE, n_trials=2, epochs=16))


def test_own_network_is_measured_like_one_of_timm() -> None:
    row = capabilities(NAME)
    assert row.drop_path and not row.img_size
    assert (row.min_size, row.weights) == (32, "")
    assert row.params == pytest.approx(0.006, abs=1e-3)


def test_own_network_is_searched_trained_and_scored(finished: FitResult) -> None:
    assert finished.best_config["model"] == NAME
    assert finished.holdout["accuracy"].value > 0.6
    said = json.loads((finished.model_dir / "config.json").read_text())
    assert said["factory"] == NAME
    assert "--factory" in (finished.model_dir / "README.md").read_text()


def test_own_network_is_loaded_by_its_function_only(finished: FitResult) -> None:
    pixels = (load_digits().images[:4] * 15.9).astype(np.uint8)
    expected = finished.predictor.predict_proba(pixels)
    for factory in (NAME, make):
        found = automl.load(finished.model_dir, factory=factory).predict_proba(pixels)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ModelError, match=rf"needs the function '{NAME}', which is code .*--factory {NAME}"):
        automl.load(finished.model_dir)
    with pytest.raises(ModelError, match="needs the function"):
        automl.load(finished.model_dir, factory="os:system")


def test_predict_command_takes_the_function(
    finished: FitResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray((load_digits().images[0] * 15.9).astype(np.uint8)).save(tmp_path / "0.png")
    arguments = ["predict", str(finished.directory), str(tmp_path / "0.png")]
    assert main(arguments) == 2
    assert "needs the function" in capsys.readouterr().err
    assert main([*arguments, "--factory", NAME]) == 0
    assert "0.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tests.no_networks:make", "cannot be imported .*No module named"),
        ("tests.own_networks:build", "cannot be imported .*AttributeError"),
        ("tests.own_networks:not_a_function", "is no function"),
    ],
)
def test_function_that_is_not_there_is_named_before_anything_begins(
    name: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SpaceError, match=problem):
        pipeline.fit(config_for(tmp_path, space={**SPACE, "families": {"mine": name}}))
    assert not (tmp_path / "tiny").exists()
