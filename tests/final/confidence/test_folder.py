"""A model folder knows its temperature and when it is unsure; a stranger's folder is not believed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from automl.errors import ConfigError, ModelError
from automl.final.confidence.answers import KnownAnswers
from automl.final.confidence.folder import CONFIDENCE, write_confidence
from automl.final.confidence.measure import confidence_of
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.records import Config, SearchSplits
from automl.torch_setup import import_timm
from tests.final.confidence.test_temperature import drawn
from tests.final.evaluation.greys import grey, predictor
from tests.training.conftest import config, plan, splits

__all__ = ["config", "plan", "splits"]  # fixtures


def known(n: int = 400) -> KnownAnswers:
    """Answers for brightness: all right but those near the middle."""
    light = np.linspace(0.0, 1.0, n)
    targets = (light > 0.5).astype(np.int64)
    middle = np.abs(light - 0.5) < 0.1
    targets[middle] = np.arange(n)[middle] % 2
    odds = 1 / (1 + np.exp(-80 * (light - 0.5)))
    return KnownAnswers(targets, np.stack([1 - odds, odds], axis=1).astype(np.float32))


def test_temperature_is_kept_in_the_folder_and_applied(
    config: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    network = import_timm().create_model("test_resnet", num_classes=3)
    for name, temperature in (("one", 1.0), ("two", 2.0)):
        write_model_folder(
            tmp_path / name, network, config, splits.info, size=splits.info.img_size, temperature=temperature
        )
    pixels = np.load(splits.val.images)[:8]
    plain, warm = (Predictor.load(tmp_path / name).predict_proba(pixels) for name in ("one", "two"))
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(warm, expected, atol=1e-5)
    assert np.abs(warm - plain).max() > 1e-4
    assert Predictor.load(tmp_path / "two").on("cpu").temperature == 2.0


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), "warm", None, 1e9, True])
def test_impossible_temperature_is_refused(
    config: Config, splits: SearchSplits, tmp_path: Path, temperature: object
) -> None:
    network = import_timm().create_model("test_resnet", num_classes=3)
    write_model_folder(tmp_path / "m", network, config, splits.info, size=splits.info.img_size)
    file = tmp_path / "m" / "preprocess.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": temperature}))
    with pytest.raises(ModelError, match="must have 0.01 to 100 as temperature"):
        Predictor.load(tmp_path / "m")


def test_folder_of_an_earlier_version_has_temperature_one(
    config: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    network = import_timm().create_model("test_resnet", num_classes=3)
    write_model_folder(tmp_path / "m", network, config, splits.info, size=splits.info.img_size)
    file = tmp_path / "m" / "preprocess.json"
    said = json.loads(file.read_text())
    del said["temperature"]
    file.write_text(json.dumps(said))
    assert Predictor.load(tmp_path / "m").temperature == 1.0


def test_unsure_answers_are_left_out(tmp_path: Path) -> None:
    model = predictor()
    found = confidence_of(known(), model.info, seed=0)
    write_confidence(tmp_path, found.table)
    model.folder, model.temperature = tmp_path, found.temperature
    images = [grey(level) for level in (0, 120, 128, 250)]
    assert model.predict(images) == ["dark", "dark", "light", "light"]
    assert model.predict(images, reject=0.95) == ["dark", None, None, "light"]
    with pytest.raises(ConfigError, match=r"must be above 0 and below 1, got 95"):
        model.predict(images, reject=95)
    with pytest.raises(
        ModelError, match=r"of which 0.9999 are right: that takes 23,025 images or more .* on 400 are"
    ):
        model.predict(images, reject=0.9999)


def test_promise_that_the_answers_break_is_refused(tmp_path: Path) -> None:
    scores = np.tile([0.2, 0.8], (200, 1))
    model = predictor()
    found = confidence_of(KnownAnswers(np.arange(200) % 2, scores), model.info, seed=0)
    write_confidence(tmp_path, found.table)
    model.folder = tmp_path
    with pytest.raises(ModelError, match="100 of its answers on 200 images .* are wrong, which is too often"):
        model.threshold(0.9)


def test_models_without_a_table_say_so(tmp_path: Path) -> None:
    model = predictor()
    write_confidence(tmp_path, None)
    for folder in (None, tmp_path):
        model.folder = folder
        with pytest.raises(ModelError, match=r"must have confidence.json to leave out unsure answers"):
            model.predict([grey(0)], reject=0.9)
    with pytest.raises(ModelError, match="only a classification can leave out unsure answers"):
        predictor("regression", ("age",)).threshold(0.9)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "rows": 1, "points": 3}'])
def test_damaged_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIDENCE).write_text(text)
    model = predictor()
    model.folder = tmp_path
    with pytest.raises(ModelError, match=r"confidence.json' cannot be read"):
        model.threshold(0.9)


def test_nothing_is_known_of_a_regression_or_without_answers() -> None:
    for task in ("classification", "regression"):
        found = confidence_of(None if task == "classification" else known(), predictor(task).info, seed=0)
        assert found.temperature == 1.0 and found.table is None


def test_measured_temperature_makes_the_table() -> None:
    targets, scores = drawn(3.0, classes=2)
    found = confidence_of(KnownAnswers(targets, scores), predictor().info, seed=0)
    assert found.temperature == pytest.approx(3.0, rel=0.12)
    assert found.table is not None and found.table.points[0][0] < scores.max()
