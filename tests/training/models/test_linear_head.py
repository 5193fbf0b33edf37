"""The linear head on small pixels: it learns, keeps to its time, and is delivered like any other network."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from automl.data.balance import Balance
from automl.errors import ModelError
from automl.final.model_folder import CONFIG, write_model_folder
from automl.final.predictor import Predictor
from automl.machine import Moment
from automl.records import Config, DatasetInfo, Mode, SearchSplits, Task
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.torch_setup import import_timm
from automl.training.evaluate import predict_rows, score
from automl.training.models import linear_head
from automl.training.models.linear_head import LinearHead, fit_feature_head, fit_linear_head
from automl.training.models.pretrained_weights import Weights


def fitted(splits: SearchSplits, metric: str = "accuracy", mode: Mode = "max") -> LinearHead:
    head = fit_linear_head(splits, metric=metric, mode=mode, until=Moment.now().later(20.0))
    assert head is not None
    return head


def of_task(splits: SearchSplits, task: Task, targets: np.ndarray, folder: Path) -> SearchSplits:
    """Return the images of `splits` with other targets, float32 (n, 2)."""
    np.save(folder / "targets.npy", targets.astype(np.float32))
    changes: dict[str, Any] = {"task": task, "classes": ("a", "b"), "class_counts": (72, 72)}
    if task == "regression":
        changes |= {"target_mean": tuple(targets.mean(0)), "target_std": tuple(targets.std(0))}
    parts = (replace(rows, targets=folder / "targets.npy") for rows in (splits.train, splits.val))
    return SearchSplits(replace(splits.info, **changes), *parts)


def test_head_learns_bars_and_its_score_is_that_of_the_network(splits: SearchSplits) -> None:
    head = fitted(splits)
    assert head.val_score > 0.95 and (head.n_train, head.n_val) == (144, 48)
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score


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
    pixels = np.load(splits.train.images, mmap_mode="r")

    class Slow:
        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            time.sleep(0.4)
            return np.asarray(pixels[rows])

    monkeypatch.setattr(linear_head, "open_images", lambda path: Slow())
    monkeypatch.setattr(linear_head, "_ROWS_AT_ONCE", 16)
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
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    targets = np.load(splits.val.targets)[np.load(splits.val.index)]
    assert float((predictor.predict_pixels(pixels).argmax(1) == targets).mean()) == head.val_score
    assert predictor.predict(pixels[:2]) == [head.info.classes[t] for t in targets[:2]]


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


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Weights of a small network, as they are drawn."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    network = import_timm().create_model("test_resnet")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return Weights("test_resnet", path, "folder", (0.2,) * 3, (0.2,) * 3)


@pytest.mark.parametrize("threads", [1, 2])
def test_head_on_features_is_the_network_with_a_new_classifier(
    threads: int, splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    head = fit_feature_head(
        splits,
        weights,
        {**config, "pretrained": True, "hflip": True},
        metric="accuracy",
        mode="max",
        until=Moment.now().later(30.0),
        threads=threads,
    )
    assert head is not None and head.val_score > 0.9 and (head.n_train, head.n_val) == (144, 48)
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score
    # All but the classifier is as it was in the file, also the statistics of batch norm.
    for name, value in load_file(weights.file).items():
        assert name.startswith("fc.") or torch.equal(head.model.state_dict()[name], value), name
    write_model_folder(
        tmp_path / "model", head.model, head.config, head.info, size=head.size, weights=head.weights
    )
    predictor = Predictor.load(tmp_path / "model")
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    found = predictor.predict_pixels(pixels).argmax(1)
    assert float((found == np.load(splits.val.targets)[np.load(splits.val.index)]).mean()) == head.val_score


def test_head_on_features_keeps_to_its_time(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, begun = linear_head._Features._of, time.monotonic()

    def slow(self: linear_head._Features, images: torch.Tensor) -> torch.Tensor:
        time.sleep(0.5)
        return of(self, images)

    monkeypatch.setattr(linear_head._Features, "_of", slow)
    monkeypatch.setattr(linear_head, "_ROWS_AT_ONCE", 8)
    aims: dict[str, Any] = {"metric": "accuracy", "mode": "max"}
    tuned = {**config, "pretrained": True}
    head = fit_feature_head(splits, weights, tuned, until=Moment.now().later(3.0), **aims)
    assert time.monotonic() - begun < 6.0  # all rows would take 12 s
    assert head is not None and head.n_train < 144 and head.n_val < 48
    assert fit_feature_head(splits, weights, tuned, until=Moment.now(), **aims) is None


def test_network_without_a_linear_classifier_has_no_head(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        linear_head, "load_model", lambda *_: torch.nn.Conv2d(3, 3, 1)
    )  # a network that timm did not make
    found = fit_feature_head(
        splits,
        weights,
        {**config, "pretrained": True},
        metric="accuracy",
        mode="max",
        until=Moment.now().later(5.0),
    )
    assert found is None
