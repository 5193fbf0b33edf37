"""The model of an earlier run: read from the study's folder, with the rows that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.errors import ModelError
from automl.final.evidence.answers import answered
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.earlier import read_earlier
from automl.final.model_folder import weights_sha256, write_model_folder
from automl.final.retrain import KEPT_INDEX
from automl.records import SearchSplits
from automl.training.models.build import build_model
from automl.training.models.hyperparameters import Recipe
from tests.training.conftest import splits

__all__ = ["splits"]  # a fixture

CONFIG = {"model": "test_resnet", "opt": "adamw", "lr": 0.01, "batch_size": 16, "hflip": True}
RETRAIN = {"how": "retrained", "why": "", "epochs": 3.0, "n_train": 60, "images": 170, "seconds": 2.5}


def result(**retrain: Any) -> dict[str, Any]:
    """A result.json whose delivered model was made as `retrain` says; None removes an entry."""
    said = {name: value for name, value in {**RETRAIN, **retrain}.items() if value is not None}
    return {
        "metric": "accuracy",
        "best": {"trial": 4, "config": CONFIG, "val_score": 0.9, "rounds": 3, "epochs": 3.0},
        "retrain": said,
        "holdout": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}},
        "holdout_reads": 1,
    }


@pytest.fixture
def study(splits: SearchSplits, tmp_path: Path) -> Path:
    """A study folder with a model, and the index of a retrain that did not see every third validation row."""
    network = build_model(Recipe.from_config(CONFIG), splits.info)
    write_model_folder(tmp_path / "model", network, CONFIG, splits.info, size=splits.info.img_size)
    val = np.load(splits.val.index)
    np.save(tmp_path / KEPT_INDEX, np.delete(val, np.arange(0, len(val), 3)))
    return tmp_path


def kept_out(study: Path, splits: SearchSplits) -> int:
    return len(splits.val) - len(np.load(study / KEPT_INDEX))


def test_retrain_has_seen_all_validation_rows_but_those_it_kept_out(
    study: Path, splits: SearchSplits
) -> None:
    n = len(splits.val)
    evidence = {"kept_out": kept_out(study, splits)}
    found = read_earlier(study, result(evidence=evidence), splits, reads=1)
    assert list(found.unseen) == list(range(0, n, 3))
    assert list(np.flatnonzero(~found.seen(n))) == list(range(0, n, 3))
    assert (found.made, found.trial, found.images) == (Delivery.RETRAINED, 4, 170)
    assert found.model.delivery is Delivery.EARLIER and found.model.config == CONFIG
    assert found.numbers() == {"made": "retrained", "images": 170, "kept_out": len(found.unseen)}
    assert (found.model.trained.epochs, found.model.trained.n_train) == (3.0, 60)


@pytest.mark.parametrize("how", ["own weights", "linear head"])
def test_own_weights_and_heads_have_seen_no_validation_row(
    how: str, study: Path, splits: SearchSplits
) -> None:
    found = read_earlier(study, result(how=how, evidence={"kept_out": 5}), splits, reads=1)
    assert not found.seen(len(splits.val)).any()
    assert found.images == (0 if how == "linear head" else 170)


@pytest.mark.parametrize(
    "retrain",
    [
        {"how": None, "why": None, "images": None},  # of an earlier version
        {},
        {"evidence": {"kept_out": 0}},
        {"evidence": {"kept_out": 3}},  # the index is not of this retrain
    ],
)
def test_retrain_of_which_nothing_else_is_known_has_seen_all_validation_rows(
    retrain: dict[str, Any], study: Path, splits: SearchSplits
) -> None:
    found = read_earlier(study, result(**retrain), splits, reads=1)
    assert found.seen(len(splits.val)).all()
    assert found.images == (
        180 if "images" in retrain else 170
    )  # epochs times images, if they were not counted


def test_damaged_or_missing_index_counts_as_seen(study: Path, splits: SearchSplits) -> None:
    said = result(evidence={"kept_out": kept_out(study, splits)})
    (study / KEPT_INDEX).write_bytes(b"")
    assert read_earlier(study, said, splits, reads=1).seen(len(splits.val)).all()
    (study / KEPT_INDEX).unlink()
    assert read_earlier(study, said, splits, reads=1).seen(len(splits.val)).all()


def test_model_that_was_kept_before_is_still_what_it_was_first(study: Path, splits: SearchSplits) -> None:
    kept = {"made": "retrained", "images": 170, "kept_out": kept_out(study, splits)}
    other = {**CONFIG, "lr": 0.5}
    said = result(how="earlier model", made="retrained", trial=2, config=other, evidence={"earlier": kept})
    found = read_earlier(study, said, splits, reads=1)
    assert (found.made, found.trial, found.model.config) == (Delivery.RETRAINED, 2, other)
    assert len(found.unseen) == kept_out(study, splits)


def test_earlier_model_is_scored_as_its_folder_says(study: Path, splits: SearchSplits) -> None:
    """With its mirror images or without, whatever its configuration says."""
    order, n = np.arange(8), len(splits.val)
    scores = []
    for mirrored in (True, False):
        path = study / "model" / "preprocess.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "mirrored": mirrored}))
        found = read_earlier(study, result(), splits, reads=1)
        assert found.model.mirrored is mirrored
        candidate = answered(found.model, splits.val, order, seen=found.seen(n), device="cpu").candidate
        assert candidate.scores.shape == (8, splits.info.n_outputs)
        scores.append(candidate.scores)
    assert np.abs(scores[0] - scores[1]).max() > 1e-6


@pytest.mark.parametrize("name", ["config.json", "preprocess.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_damaged_model_folder_is_a_model_error(
    name: str, content: bytes | None, study: Path, splits: SearchSplits
) -> None:
    path = study / "model" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ModelError, match="model"):
        read_earlier(study, result(), splits, reads=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retrain": []}, "does not say how"),
        ({"retrain": {"how": "by magic", "epochs": 1, "n_train": 1}}, "does not say how"),
        ({"retrain": {"how": "retrained"}}, "does not say how"),
        ({"holdout": {}}, "does not say how"),
        ({"holdout_reads": "twice"}, "does not say how"),
        ({"holdout_reads": 0}, "may have replaced it"),
        ({"model_sha256": "0" * 64}, "a later run replaced it"),
    ],
)
def test_result_that_does_not_fit_the_model_is_a_model_error(
    change: dict[str, Any], message: str, study: Path, splits: SearchSplits
) -> None:
    with pytest.raises(ModelError, match=message):
        read_earlier(study, {**result(), **change}, splits, reads=1)


def test_intact_model_is_kept_with_the_true_number_of_reads(study: Path, splits: SearchSplits) -> None:
    said = {**result(), "model_sha256": weights_sha256(study / "model")}
    said["gap"] = {"explained": "They agree. The holdout was read once."}
    found = read_earlier(study, said, splits, reads=3)
    assert found.result["holdout_reads"] == 3
    assert "They agree. The holdout was read 3 times" in found.result["gap"]["explained"]
