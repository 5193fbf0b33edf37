"""A whole study keeps its test: the evaluation, the answers, and how sure the model may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import automl
from automl.cli import main
from automl.data.holdout import Holdout
from automl.records import Rows
from automl.result import FitResult

pytestmark = pytest.mark.study

SMALL: dict[str, Any] = {
    "space": "smoke",
    "n_trials": 1,
    "epochs": 3,
    "engine": "local",
    "pretrained": "never",
    "progress": False,
}


def shades(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images, and their shade; one in five is of the other shade."""
    rng = np.random.default_rng(0)
    light = np.arange(n) % 2
    images = (60 + 120 * light[:, None, None] + rng.normal(0, 30, (n, 16, 16))).clip(0, 255).astype(np.uint8)
    wrong = rng.random(n) < 0.2
    return images, np.where(wrong, 1 - light, light)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, int]:
    """A finished study, and how often its holdout was opened by the time the model was written."""
    folder, opened = tmp_path_factory.mktemp("studies"), list[bool]()
    before = Holdout.open

    def counted(self: Holdout, *, again: bool = False) -> Rows:
        opened.append((folder / "shades" / "model" / "preprocess.json").is_file())
        return before(self, again=again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Holdout, "open", counted)
        result = automl.fit(*shades(500), study="shades", directory=folder, **SMALL)
    assert opened == [True], "the holdout is opened once, after all that is fitted is written"
    return result, len(opened)


def test_evaluation_is_that_of_the_holdout(study: tuple[FitResult, int]) -> None:
    result, _ = study
    found = result.evaluation
    assert found is not None and found.n == result.document["data"]["n_holdout"] == 100
    assert {name: score.interval for name, score in found.metrics.items()} == result.holdout
    assert {name: score.trivial for name, score in found.metrics.items()} == result.trivial
    assert result.to_json()["evaluation"] == found.to_json()


def test_answers_are_kept_for_each_image_of_the_holdout(study: tuple[FitResult, int]) -> None:
    result, _ = study
    table = pd.read_csv(result.directory / "holdout_predictions.csv", dtype={"file": str})
    splits = pd.read_csv(result.directory / "splits.csv", dtype={"file": str})
    held = splits[splits["split"] == "holdout"].set_index("file")
    assert set(table["file"]) == set(held.index)
    assert (held.loc[table["file"], "label"].to_numpy() == table["label"].to_numpy()).all()
    assert result.holdout["accuracy"].value == pytest.approx((table["label"] == table["predicted"]).mean())
    images, _ = shades(500)
    scores = result.predictor.predict_proba(images[table["file"].astype(int)])
    np.testing.assert_allclose(scores, table[["proba_0", "proba_1"]].to_numpy(), atol=1e-5)


def test_model_knows_when_it_is_unsure(study: tuple[FitResult, int]) -> None:
    result, _ = study
    said = json.loads((result.model_dir / "confidence.json").read_text())
    assert said["rows"] == result.document["data"]["n_val"]
    model, (images, labels) = result.predictor, shades(500)
    answers = model.predict(images, reject=0.6)
    kept = [answer == label for answer, label in zip(answers, labels, strict=True) if answer is not None]
    assert kept and np.mean(kept) >= 0.6
    with pytest.raises(automl.AutomlError, match=r"cannot promise answers of which 0.99 are right"):
        model.predict(images, reject=0.99)


def test_model_tells_how_unknown_an_image_looks(
    study: tuple[FitResult, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = study
    images, _ = shades(500)
    scores = result.predictor.unknown(images)
    assert scores.shape == (500,) and (scores > 1).mean() < 0.15
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    assert main(["predict", str(result.model_dir), str(tmp_path / "a.png"), "--proba", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["predictions"][0]
    assert list(row)[-1] == "unknown" and row["unknown"] == pytest.approx(float(scores[0]), abs=1e-3)


def test_evaluation_of_the_training_images_is_called_no_test(study: tuple[FitResult, int]) -> None:
    result, _ = study
    found = result.predictor.evaluate(*shades(500))
    assert found.trained_on == 400
    assert found.notes[0].startswith(
        "This is no test: 400 of 500 images are ones that the model was trained on"
    )
    assert result.document["holdout_reads"] == 1


def test_result_of_an_earlier_version_has_no_evaluation(study: tuple[FitResult, int], tmp_path: Path) -> None:
    document = {name: value for name, value in study[0].document.items() if name != "evaluation"}
    assert FitResult(tmp_path, document).evaluation is None
