"""Studies that deliver an ensemble where validation images show a gain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from automl import pipeline
from automl.data.holdout import Holdout
from automl.final.ensemble.network import Ensemble
from automl.final.evidence.words import made
from automl.records import Silent
from automl.result import FitResult
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study


class Log(Silent):
    """What happened, in its order: stages and notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, name: str, text: str) -> None:
        self.lines.append(f"[{name}]")

    def note(self, text: str) -> None:
        self.lines.append(text)


SEEDS = 5  # studies that are made, at most, until one has an ensemble: four of five had one
SPACE = """
families: {resnet: [test_resnet], efficientnet: [test_efficientnet]}
parameters:
  upscale: {type: categorical, choices: [1.0]}
  pretrained: {type: categorical, choices: [false]}
  opt: {type: categorical, choices: [adamw]}
  lr: {type: float, low: 3.0e-3, high: 6.0e-3, log: true}
  weight_decay: {type: float, low: 0.01, high: 0.03, log: true}
  batch_size: {type: categorical, choices: [32]}
  augment: {type: categorical, choices: [0.0]}
  hflip: {type: categorical, choices: [false]}
  label_smoothing: {type: categorical, choices: [0.0]}
  mixup: {type: categorical, choices: [0.0]}
  ema: {type: categorical, choices: [0.99]}
"""


def ten_digits() -> tuple[np.ndarray, np.ndarray]:
    """Digits of which two in five have a random label: a network alone is too sure of what it learned by heart."""
    data, rng = load_digits(), np.random.default_rng(7)
    images, labels = (data.images[:450] * 15.9).astype(np.uint8), data.target[:450]
    return images, np.where(rng.random(450) < 0.4, rng.integers(0, 10, 450), labels)


def options(**changes: Any) -> dict[str, Any]:
    return {"data": ten_digits(), "deliver": "ensemble", "val": 0.3, "n_trials": 2, "epochs": 10, **changes}


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, list[str]]:
    """A study that delivers an ensemble; the log says when its holdout was opened.

    Which networks a search tries depends on its machine, and so does whether others improve its best one.
    """
    folder = tmp_path_factory.mktemp("combined")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    for seed in range(SEEDS):
        found = recorded_fit(folder / str(seed), seed=seed, space=str(folder / "space.yaml"))
        if found[0].to_json()["retrain"]["how"] == "ensemble":
            return found
    pytest.fail(f"none of {SEEDS} studies has an ensemble: {found[1]}")


def recorded_fit(directory: Path, **changes: Any) -> tuple[FitResult, list[str]]:
    """Return the result of a study and its log."""
    log, opened = Log(), Holdout.open

    def recorded(self: Holdout, *, again: bool = False) -> Any:
        log.lines.append("the holdout is opened")
        return opened(self, again=again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Holdout, "open", recorded)
        result = pipeline.fit(config_for(directory, **options(**changes)), observer=log)
    return result, log.lines


def test_members_are_chosen_before_the_holdout_is_opened_once(ensemble: tuple[FitResult, list[str]]) -> None:
    result, lines = ensemble
    assert lines.count("the holdout is opened") == 1
    assert lines.index("[combine]") < lines.index("[holdout]") < lines.index("the holdout is opened")
    assert result.to_json()["holdout_reads"] == 1


def test_result_names_the_members_with_their_gain_and_cost(ensemble: tuple[FitResult, list[str]]) -> None:
    document = ensemble[0].to_json()
    retrain = document["retrain"]
    assert retrain["how"] == "ensemble" and len(retrain["members"]) >= 2
    assert sum(row["weight"] for row in retrain["members"]) == pytest.approx(1.0, abs=1e-3)
    for row in retrain["members"]:
        assert row["ms_per_image"] > 0 and row["loss_gain"] >= 0 and row["words"] in made(document)
    losses = retrain["evidence"]["ensemble"]["losses"]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    assert f"{losses[-1]:.4f}" in retrain["why"]
    card = (ensemble[0].model_dir / "README.md").read_text(encoding="utf-8")
    assert "# tiny: ensemble" in card and "n ensemble of the retrain of trial" in card


def test_delivered_ensemble_predicts_as_the_holdout_says(ensemble: tuple[FitResult, list[str]]) -> None:
    result = ensemble[0]
    assert isinstance(result.predictor.model, Ensemble)
    images, labels = ten_digits()
    right = np.mean(np.array(result.predictor.predict(images)) == labels)
    assert right > result.holdout["accuracy"].low


def test_the_same_command_again_keeps_the_ensemble(ensemble: tuple[FitResult, list[str]]) -> None:
    first = ensemble[0]
    document = first.to_json()
    same = options(seed=document["seed"], space=str(first.directory.parents[1] / "space.yaml"))
    again = pipeline.fit(config_for(first.directory.parent, **same))
    assert again.unchanged_after is not None
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"epochs": 1, "val": 0.1},
            "validation images are left that the model did not train on",
        ),
        ({"epochs": 1, "val": "cv:2"}, "under cross-validation no image is left"),
    ],
)
def test_without_rows_to_choose_by_the_single_model_is_delivered_and_it_is_said(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    log = Log()
    result = pipeline.fit(config_for(tmp_path, **options(**changes)), observer=log)
    assert result.to_json()["retrain"]["how"] != "ensemble"
    assert any(line.startswith("No ensemble: ") and why in line for line in log.lines)
