"""The linear head on small pixels: it learns, keeps to its time, and is delivered like any other network."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.data.balance import Balance
from automl.errors import ModelError
from automl.final.model_folder import CONFIG, write_model_folder
from automl.final.predictor import Predictor
from automl.machine import Moment
from automl.records import DatasetInfo, Mode, SearchSplits
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.evaluate import predict_rows, score
from automl.training.heads import Head, fit_linear_head, pixels
from tests.training.heads.other_targets import of_task


def fitted(splits: SearchSplits, metric: str = "accuracy", mode: Mode = "max") -> Head:
    head = fit_linear_head(splits, metric=metric, mode=mode, until=Moment.now().later(20.0))
    assert head is not None
    return head


def test_head_learns_bars_and_its_score_is_that_of_the_network(splits: SearchSplits) -> None:
    head = fitted(splits)
    assert head.val_score > 0.95 and (head.n_train, head.n_val) == (144, 48)
    assert head.strength in pixels.STRENGTHS and head.views == 1
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score


def test_full_head_learns_from_validation_rows_too(splits: SearchSplits, tmp_path: Path) -> None:
    kinds = np.load(splits.train.targets)[np.load(splits.train.index)]
    np.save(tmp_path / "two.npy", np.load(splits.train.index)[kinds != 2])
    two = replace(splits.train, index=tmp_path / "two.npy", n=int((kinds != 2).sum()))
    head = fitted(SearchSplits(splits.info, two, splits.val))
    assert head.full is not None
    found = {}
    for name, model in (("model", head.model), ("full", head.full)):
        logits, targets = predict_rows(model, splits.val, head.info, size=head.size)
        found[name] = float((logits.argmax(1) == targets)[targets == 2].float().mean())
    assert found["model"] == 0.0 and found["full"] > 0.9


def test_same_rows_and_seed_give_the_same_head(splits: SearchSplits) -> None:
    first, second = (fitted(splits).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_loss_metric_is_minimised(splits: SearchSplits) -> None:
    assert 0.0 < fitted(splits, "log_loss", "min").val_score < 0.5 * np.log(3)


def test_several_labels_have_a_regression_each(splits: SearchSplits, tmp_path: Path) -> None:
    kinds = np.arange(192) % 3
    labels = np.stack([kinds == 0, kinds != 1], axis=1)
    head = fitted(of_task(splits, "multilabel", labels, tmp_path), "average_precision")
    assert head.val_score > 0.95


def test_values_are_predicted_in_their_units(splits: SearchSplits, tmp_path: Path) -> None:
    kinds = (np.arange(192) % 3).astype(float)
    other = of_task(splits, "regression", np.stack([100.0 + 10.0 * kinds, -kinds], axis=1), tmp_path)
    assert fitted(other, "r2").val_score > 0.8


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_balance_helps_a_rare_class(balance: Balance, splits: SearchSplits, tmp_path: Path) -> None:
    index = np.load(splits.train.index)
    kinds = np.load(splits.train.targets)[index]
    rare = np.concatenate([index[kinds == 0][:2], index[kinds == 1][:48], index[kinds == 2][:48]])
    np.save(tmp_path / "rare.npy", rare)
    train = replace(splits.train, index=tmp_path / "rare.npy", n=len(rare))
    info: DatasetInfo = replace(splits.info, class_counts=(2, 48, 48), n_train=98)
    scores = [
        fit_linear_head(
            SearchSplits(info, train, splits.val),
            metric="balanced_accuracy",
            mode="max",
            until=Moment.now().later(20.0),
            balance=each,
        )
        for each in ("none", balance)
    ]
    assert scores[0] is not None and scores[1] is not None
    assert scores[1].val_score >= scores[0].val_score and scores[1].val_score > 0.6


def test_time_that_is_over_gives_no_head(splits: SearchSplits) -> None:
    assert fit_linear_head(splits, metric="accuracy", mode="max", until=Moment.now()) is None


def test_slow_disk_gives_a_head_of_fewer_rows_in_time(
    splits: SearchSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = np.load(splits.train.images, mmap_mode="r")

    class Slow:
        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            time.sleep(0.4)
            return np.asarray(stored[rows])

    monkeypatch.setattr(pixels, "open_images", lambda path: Slow())
    monkeypatch.setattr(pixels, "_ROWS_AT_ONCE", 16)
    begun = time.monotonic()
    head = fit_linear_head(splits, metric="accuracy", mode="max", until=Moment.now().later(2.0))
    assert head is not None and head.n_train < 144 and head.n_val < 48
    assert time.monotonic() - begun < 4.0  # all rows would take 4.8 s


def test_folder_of_a_head_predicts_without_a_function_of_the_user(
    splits: SearchSplits, tmp_path: Path
) -> None:
    head = fitted(splits)
    write_model_folder(tmp_path / "model", head.model, head.config, head.info, size=head.size)
    said = json.loads((tmp_path / "model" / CONFIG).read_text())
    assert said["factory"] == LINEAR_ON_PIXELS
    predictor = Predictor.load(tmp_path / "model")
    images = np.load(splits.val.images)[np.load(splits.val.index)]
    targets = np.load(splits.val.targets)[np.load(splits.val.index)]
    assert float((predictor.predict_pixels(images).argmax(1) == targets).mean()) == head.val_score
    assert predictor.predict(images[:2]) == [predictor.labels[t] for t in targets[:2]]


def test_folder_that_names_another_function_of_the_package_is_refused(
    splits: SearchSplits, tmp_path: Path
) -> None:
    head = fitted(splits)
    write_model_folder(tmp_path / "model", head.model, head.config, head.info, size=head.size)
    path = tmp_path / "model" / CONFIG
    other = json.loads(path.read_text()) | {"factory": "automl.torch_setup:import_timm"}
    path.write_text(json.dumps(other))
    with pytest.raises(ModelError, match="is code outside the folder"):
        Predictor.load(tmp_path / "model")
