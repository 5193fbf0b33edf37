"""The head on features: it is scikit-learn's model as a layer of the network, keeps to its time, and is delivered."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from torch import Tensor, nn

from automl.data.balance import Balance, class_weights
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.machine import Moment
from automl.records import Config, Rows, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.heads import FeatureHeads, Head, feature_head, frozen_network
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.models.finetune import linear_classifiers
from automl.training.models.pretrained_weights import Weights
from automl.training.steps.losses import to_scores
from tests.training.heads.other_targets import of_task


def fitted(splits: SearchSplits, weights: Weights, config: Config, **options: Any) -> Head | None:
    until = options.pop("until", None) or Moment.now().later(30.0)
    heads = FeatureHeads(splits=splits, **{"metric": "accuracy", **options})
    return heads.fit(weights, {**config, "pretrained": True}, until=until)


def certain(splits: SearchSplits, weights: Weights, config: Config, **options: Any) -> Head:
    head = fitted(splits, weights, config, **options)
    assert head is not None
    return head


def features(head: Head, rows: Rows, *, mirrored: bool = False) -> np.ndarray:
    """The inputs of the classifier of the delivered network, in float32."""
    model: Any = head.model
    found: list[Tensor] = []
    handle = model.get_classifier().register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    pixels = np.load(rows.images)[np.load(rows.index)]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (head.info.mean, head.info.std))
    with torch.no_grad():
        images = (images - mean) / std
        model(images.flip(3) if mirrored else images)
    handle.remove()
    return found[0].numpy()


class Scaler:
    """Divides features by their deviation in some rows, shrunk to the common one."""

    def __init__(self, x: np.ndarray) -> None:
        variance = x.astype(np.float64).var(axis=0)
        self.mean, self.deviation = x.mean(axis=0), np.sqrt((variance + variance.mean()) / 2)

    def transform(self, x: np.ndarray) -> np.ndarray:
        return np.asarray((x - self.mean) / self.deviation)


def targets_of(rows: Rows) -> np.ndarray:
    return np.asarray(np.load(rows.targets)[np.load(rows.index)])


def views_of(head: Head, *parts: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets that the head was fitted on, one view after the other."""
    views = range(head.views)
    x = np.concatenate([features(head, rows, mirrored=view > 0) for view in views for rows in parts])
    return x, np.concatenate([targets_of(rows) for _ in views for rows in parts])


@pytest.mark.parametrize("threads", [1, 2])
def test_head_on_features_is_the_network_with_a_new_classifier(
    threads: int, splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    head = certain(splits, weights, config, threads=threads)
    assert head.val_score > 0.9 and (head.n_train, head.n_val) == (144, 48)
    assert head.config["freeze"] == "head"
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score
    assert head.full is not None
    for model in (head.model, head.full):
        # All but the classifier is as it was in the file, also the statistics of batch norm.
        for name, value in load_file(weights.file).items():
            assert name.startswith("fc.") or torch.equal(model.state_dict()[name], value), name
    write_model_folder(
        tmp_path / "model", head.model, head.config, head.info, size=head.size, weights=head.weights
    )
    predictor = Predictor.load(tmp_path / "model")
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    found = predictor.predict_pixels(pixels).argmax(1)
    assert float((found == targets_of(splits.val)).mean()) == head.val_score


@pytest.mark.parametrize("balance", ["none", "loss"])
def test_probabilities_are_those_of_scikit_learn(
    balance: Balance, splits: SearchSplits, config: Config, weights: Weights
) -> None:
    splits = replace(splits, info=replace(splits.info, class_counts=(48, 24, 72)))  # for unequal weights
    head = certain(splits, weights, config, balance=balance)
    every = np.array(class_weights(head.info)) if balance == "loss" else np.ones(3)
    scaler = Scaler(features(head, splits.train))
    assert head.full is not None
    for model, parts in ((head.model, [splits.train]), (head.full, [splits.train, splits.val])):
        x, y = views_of(head, *parts)
        own = LogisticRegression(C=head.strength, tol=1e-8, max_iter=5000)
        own.fit(scaler.transform(x).astype(np.float64), y, sample_weight=every[y] / head.views)
        expected = own.predict_proba(scaler.transform(features(head, splits.val)))
        logits, _ = predict_rows(model, splits.val, head.info, size=head.size)
        assert np.abs(to_scores(logits, "classification").numpy() - expected).max() < 1e-4


def test_several_labels_have_a_regression_each(
    splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    kinds = np.arange(192) % 3
    splits = of_task(splits, "multilabel", np.stack([kinds == 0, kinds != 1], axis=1), tmp_path)
    head = certain(splits, weights, config, metric="average_precision")
    assert head.val_score > 0.95
    x, y = views_of(head, splits.train)
    scaler = Scaler(features(head, splits.train))
    # Weights of rows as for the strength: 1 / views.
    own = OneVsRestClassifier(LogisticRegression(C=head.strength / head.views, tol=1e-8, max_iter=5000))
    expected = own.fit(scaler.transform(x), y.astype(int)).predict_proba(
        scaler.transform(features(head, splits.val))
    )
    logits, _ = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert np.abs(to_scores(logits, "multilabel").numpy() - expected).max() < 1e-4


def test_values_are_those_of_a_ridge_regression(
    splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    kinds = (np.arange(192) % 3).astype(float)
    splits = of_task(splits, "regression", np.stack([100.0 + 10.0 * kinds, -kinds], axis=1), tmp_path)
    head = certain(splits, weights, config, metric="r2")
    assert head.val_score > 0.8
    x, y = views_of(head, splits.train)
    y = (y - head.info.target_mean) / head.info.target_std
    scaler = Scaler(features(head, splits.train))
    own = Ridge(alpha=head.views / head.strength).fit(scaler.transform(x).astype(np.float64), y)
    expected = own.predict(scaler.transform(features(head, splits.val)))
    logits, _ = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert np.abs(logits.numpy() - expected).max() < 1e-4


class Watched:
    """Counts the images that networks compute features of, and may slow them down or stop them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = {False: 0, True: 0}
        self.seconds = {False: 0.0, True: 0.0}
        self.most = 10**9
        of = FrozenNetwork._of

        def watched(network: FrozenNetwork, images: Tensor, mirrored: bool) -> Tensor:
            if sum(self.images.values()) >= self.most:
                raise KeyboardInterrupt
            self.images[mirrored] += len(images)
            time.sleep(self.seconds[mirrored])
            return of(network, images, mirrored)

        monkeypatch.setattr(FrozenNetwork, "_of", watched)
        monkeypatch.setattr(FrozenNetwork, "measure", lambda *_, **__: None)


def test_head_on_features_keeps_to_its_time(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, begun = Watched(monkeypatch), time.monotonic()
    watched.seconds[False] = 0.5
    head = certain(splits, weights, config, until=Moment.now().later(3.0))
    assert time.monotonic() - begun < 6.0  # all rows would take 12 s
    assert head.n_train < 144 and head.n_val < 48 and head.views == 1
    assert fitted(splits, weights, config, until=Moment.now()) is None


def test_mirror_images_are_left_out_if_there_is_no_time_for_all(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, begun = Watched(monkeypatch), time.monotonic()
    watched.seconds[True] = 0.5
    head = certain(splits, weights, config, until=Moment.now().later(5.0))
    assert time.monotonic() - begun < 8.0  # all mirror images would take 12 s
    assert (head.n_train, head.n_val, head.views) == (144, 48, 1)
    assert 0 < watched.images[True] < 192


def test_mirror_images_are_not_begun_if_they_would_take_too_long(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    watched.seconds[False] = 0.15  # 3.6 s for all
    head = certain(splits, weights, config, until=Moment.now().later(7.0))
    assert (head.n_train, head.views) == (144, 1)
    assert watched.images == {False: 192, True: 0}


def test_later_head_on_the_same_images_computes_nothing(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watched = Watched(monkeypatch)
    first = certain(splits, weights, config, cache=tmp_path)
    assert watched.images == {False: 192, True: 192}
    second = certain(splits, weights, config, cache=tmp_path)
    assert watched.images == {False: 192, True: 192}
    others = second.model.state_dict()
    assert all(torch.equal(value, others[name]) for name, value in first.model.state_dict().items())
    assert (second.val_score, second.strength, second.views) == (
        first.val_score,
        first.strength,
        first.views,
    )


def test_features_serve_another_split_but_no_other_size_weights_or_order(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watched = Watched(monkeypatch)
    certain(splits, weights, config, cache=tmp_path / "cache")
    np.save(tmp_path / "val.npy", np.arange(48))
    np.save(tmp_path / "train.npy", np.arange(48, 192))
    other = SearchSplits(
        splits.info,
        replace(splits.train, index=tmp_path / "train.npy"),
        replace(splits.val, index=tmp_path / "val.npy"),
    )
    certain(other, weights, config, cache=tmp_path / "cache")
    assert sum(watched.images.values()) == 384
    certain(splits, weights, {**config, "upscale": 2.0}, cache=tmp_path / "cache")
    assert sum(watched.images.values()) == 768
    changed = replace(weights, mean=(0.3,) * 3)
    certain(splits, changed, config, cache=tmp_path / "cache")
    assert sum(watched.images.values()) == 1152
    np.save(tmp_path / "images.npy", np.load(splits.train.images)[::-1])
    parts = (replace(rows, images=tmp_path / "images.npy") for rows in (splits.train, splits.val))
    certain(SearchSplits(splits.info, *parts), weights, config, cache=tmp_path / "cache")
    assert sum(watched.images.values()) == 1536


def test_interrupted_reading_goes_on_where_it_was(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watched = Watched(monkeypatch)
    watched.most = 100
    with pytest.raises(KeyboardInterrupt):
        fitted(splits, weights, config, cache=tmp_path)
    before = sum(watched.images.values())
    assert 90 < before < 120
    watched.most = 10**9
    again = certain(splits, weights, config, cache=tmp_path)
    assert sum(watched.images.values()) == 384
    assert again.val_score == certain(splits, weights, config).val_score


def test_network_without_a_linear_classifier_has_no_head(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        feature_head, "load_model", lambda *_: nn.Conv2d(3, 3, 1)
    )  # a network that timm did not make
    assert fitted(splits, weights, config) is None


def test_network_that_changes_the_outputs_of_its_classifier_has_no_head(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def get_classifier(self) -> nn.Linear:
            return self.head

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = 2.0 * self.head(images.mean(dim=(2, 3)))
            return found

    monkeypatch.setattr(feature_head, "load_model", lambda *_: Scaled())
    assert fitted(splits, weights, config) is None


class Distilled(nn.Module):
    """Two classifiers whose mean are the scores; `apart`: each has features of its own."""

    def __init__(self, *, apart: bool) -> None:
        super().__init__()
        self.one, self.two, self.apart = nn.Linear(64, 3), nn.Linear(64, 3), apart

    def get_classifier(self) -> tuple[nn.Linear, nn.Linear]:
        return self.one, self.two

    def forward(self, images: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(images.mean(dim=1), 8).flatten(1)
        found: Tensor = (self.one(pooled) + self.two(pooled.square() if self.apart else pooled)) / 2
        return found


@pytest.mark.parametrize("apart", [False, True])
def test_distilled_network_has_a_head_in_both_classifiers(
    apart: bool, splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_head, "load_model", lambda *_: Distilled(apart=apart))
    head = certain(splits, weights, config)
    one, two = linear_classifiers(head.model)
    assert one.bias is not None and two.bias is not None
    assert torch.equal(one.weight, two.weight) and torch.equal(one.bias, two.bias)
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score > 0.9


def test_head_is_the_last_layer_of_a_classifier_with_a_hidden_one(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hidden(nn.Module):
        pretrained_cfg = {"classifier": "head.2"}

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))

        def get_classifier(self) -> nn.Module:
            return self.head

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.head(nn.functional.adaptive_avg_pool2d(images.mean(dim=1), 8).flatten(1))
            return found

    network = Hidden()
    before = network.state_dict()["head.0.weight"].clone()
    monkeypatch.setattr(feature_head, "load_model", lambda *_: network)
    head = certain(splits, weights, config)
    assert head.model is network and torch.equal(network.state_dict()["head.0.weight"], before)
    logits, targets = predict_rows(head.model, splits.val, head.info, size=head.size)
    assert score(logits, targets, head.info, "accuracy")["accuracy"] == head.val_score > 0.9


def test_features_are_in_float32_where_the_processor_has_no_bf16(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.training.heads.features.has_bf16", lambda device: False)
    monkeypatch.setattr(frozen_network, "GAIN", 0.0)
    monkeypatch.setattr(frozen_network, "WORTH_SECONDS", 0.0)
    used = set()
    of = FrozenNetwork._of

    def watched(self: FrozenNetwork, images: Tensor, mirrored: bool) -> Tensor:
        used.add(self.precision)
        return of(self, images, mirrored)

    monkeypatch.setattr(FrozenNetwork, "_of", watched)
    certain(splits, weights, config)
    assert used == {"fp32"}


def test_head_fitted_on_features_in_bf16_is_as_good_in_float32(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = certain(splits, weights, config)
    monkeypatch.setattr("automl.training.heads.features.has_bf16", lambda device: True)
    monkeypatch.setattr(frozen_network, "GAIN", 0.0)
    monkeypatch.setattr(frozen_network, "WORTH_SECONDS", 0.0)
    head = certain(splits, weights, config)
    assert not torch.equal(head.model.state_dict()["fc.weight"], plain.model.state_dict()["fc.weight"])
    outputs = []
    for each in (plain, head):
        logits, targets = predict_rows(each.model, splits.val, each.info, size=each.size)
        outputs.append(to_scores(logits, "classification"))
        assert score(logits, targets, each.info, "accuracy")["accuracy"] > 0.9
    assert float((outputs[0] - outputs[1]).abs().mean()) < 0.02
