"""The head on features from all depths: read with the other one, exact, within its time, and a model like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.data.folds import RowFolds
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.heads import FeatureHeads, Head
from automl.training.heads.features import Features
from automl.training.heads.fit import Linear, Projection
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.models.build import load_for_head
from automl.training.models.depths.network import AllDepths
from automl.training.models.finetune import Classifier, begin_with_head, head_name, save_head
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights


def both(splits: SearchSplits, weights: Weights, config: Config, **options: Any) -> list[Head]:
    until = options.pop("until", None) or Moment.now().later(30.0)
    heads = FeatureHeads(splits=splits, **{"metric": "accuracy", "views": 1, **options})
    return heads.fit_both(weights, {**config, "pretrained": True}, until=until)


def test_both_heads_come_from_one_reading(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, of = [], FrozenNetwork._of

    def counted(network: FrozenNetwork, images: torch.Tensor, mirrored: bool) -> torch.Tensor:
        seen.append(len(images))
        return of(network, images, mirrored)

    monkeypatch.setattr(FrozenNetwork, "_of", counted)
    monkeypatch.setattr(FrozenNetwork, "measure", lambda *_, **__: None)
    last, deep = both(splits, weights, config)
    assert sum(seen) == 192  # training and validation rows, once
    assert "depths" not in last.config and deep.config["depths"] == 1
    assert isinstance(deep.model, AllDepths) and isinstance(deep.full, AllDepths)
    assert not any(module._forward_hooks for module in last.model.modules())
    alone = FeatureHeads(splits=splits, metric="accuracy", views=1).fit(
        weights, {**config, "pretrained": True}, until=Moment.now().later(30.0)
    )
    assert alone is not None and alone.val_score == last.val_score


def test_its_network_gives_the_scores_that_it_was_compared_by(
    splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    _, deep = both(splits, weights, config)
    assert deep.val_score > 0.9 and deep.answers is not None
    logits, targets = predict_rows(deep.model, splits.val, deep.info, size=deep.size)
    order = np.argsort(deep.answers.rows)
    assert torch.allclose(logits, deep.answers.logits[order], atol=1e-3)
    assert score(logits, targets, deep.info, "accuracy")["accuracy"] == deep.val_score
    folder = tmp_path / "model"
    write_model_folder(folder, deep.model, deep.config, deep.info, size=deep.size, weights=weights)
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    found = Predictor.load(folder).predict_pixels(pixels)
    assert np.allclose(found, logits.softmax(1).numpy(), atol=1e-4)


def test_file_of_the_head_makes_the_same_network_again(
    splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    last, deep = both(splits, weights, config)
    names = [head_name(Recipe.from_config(head.config), weights) for head in (last, deep)]
    assert names == ["test_resnet", "test_resnet-depths"]
    classifier = Classifier.of(deep.model)
    assert classifier is not None
    save_head(classifier.weight, classifier.bias, tmp_path / "head.safetensors")
    again = load_for_head(Recipe.from_config(deep.config), splits.info.detailed, weights)
    begin_with_head(again, tmp_path / "head.safetensors")
    images = torch.rand(2, 3, deep.size, deep.size)
    with torch.no_grad():
        assert torch.allclose(again.eval()(images), deep.model(images), atol=1e-5)


def test_folds_have_heads_of_their_own(splits: SearchSplits, config: Config, weights: Weights) -> None:
    rows = np.sort(np.concatenate([np.load(splits.train.index), np.load(splits.val.index)]))
    folds = RowFolds(rows, np.array([np.arange(len(rows)) // 3 % 3 + 1]), scores_trials=False)
    last, deep = both(splits, weights, config, folds=folds)
    for head in (last, deep):
        assert head.out_of_fold is not None and len(head.out_of_fold.rows) == len(rows)
        assert head.out_of_fold.value > 0.9


def test_there_is_none_without_time_or_layers(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert both(splits, weights, config, until=Moment.now()) == []
    monkeypatch.setattr("automl.training.heads.feature_head.with_all_depths", lambda *_, **__: None)
    (only,) = both(splits, weights, config)
    assert "depths" not in only.config


def test_features_of_both_kinds_do_not_mix_in_the_cache(
    splits: SearchSplits, config: Config, weights: Weights, tmp_path: Path
) -> None:
    first = both(splits, weights, config, cache=tmp_path)
    again = both(splits, weights, config, cache=tmp_path)
    assert [head.val_score for head in first] == [head.val_score for head in again]
    alone = FeatureHeads(splits=splits, metric="accuracy", views=1, cache=tmp_path).fit(
        weights, {**config, "pretrained": True}, until=Moment.now().later(30.0)
    )
    assert alone is not None and alone.val_score == first[0].val_score
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_folded_layer_is_that_of_the_components() -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(1, 300, 40)) @ np.diag(np.linspace(0.1, 9.0, 40)) + 5.0).astype(np.float32)
    features = Features(values.copy(), torch.zeros(300))
    projection = Projection.of(features, seed=0)
    assert projection is not None and projection.components.shape == (40, 40)
    layer = Linear(rng.normal(size=(3, 40)), rng.normal(size=3))
    expected = layer(projection.apply(features).values[0])
    assert np.allclose(projection.fold(layer)(values[0]), expected, atol=1e-3)


def test_components_are_those_with_the_most_variance() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2000, 5))
    values = (hidden @ rng.normal(size=(5, 900)) + 0.01 * rng.normal(size=(2000, 900))).astype(np.float32)
    reduced = Projection.of(features := Features(values[None], torch.zeros(2000)), seed=0)
    assert reduced is not None
    variance = reduced.apply(features).values[0].var(axis=0)
    assert variance.shape == (512,) and variance[:5].sum() > 0.99 * variance.sum()


def test_components_are_fewer_where_time_is_short() -> None:
    features = Features(
        np.random.default_rng(0).normal(size=(1, 900, 2000)).astype(np.float32), torch.zeros(900)
    )
    all_of_them, some = Projection.of(features, seed=0), Projection.of(features, seed=0, seconds=0.1)
    assert all_of_them is not None and all_of_them.components.shape == (2000, 300)
    assert some is not None and 64 <= some.components.shape[1] < 300
    assert Projection.of(features, seed=0, seconds=0.01) is None
    assert Projection.of(features, seed=0, seconds=-1.0) is None


def test_components_know_the_rows_of_all_parts() -> None:
    """With fewer rows than features, rows that the components do not know would look different."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, 400)).astype(np.float32)
    train, val = (Features(part[None].copy(), torch.zeros(len(part))) for part in (rows[:60], rows[60:]))
    projection = Projection.of(train, val, seed=0)
    assert projection is not None
    sizes = [np.linalg.norm(projection.apply(part).values[0], axis=1).mean() for part in (train, val)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


def test_early_features_that_are_not_finite_cost_their_head_alone(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = FrozenNetwork._of

    def broken(network: FrozenNetwork, images: torch.Tensor, mirrored: bool) -> torch.Tensor:
        found = of(network, images, mirrored).clone()
        found[:, 0] = torch.inf
        return found

    monkeypatch.setattr(FrozenNetwork, "_of", broken)
    (only,) = both(splits, weights, config)
    assert "depths" not in only.config and only.val_score > 0.9


def test_components_are_found_on_the_rows_of_both_parts(
    splits: SearchSplits, config: Config, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, of = list[int](), Projection.of

    def kept(*given: Features, **options: Any) -> Projection | None:
        parts.extend(len(part) for part in given)
        return of(*given, **options)

    monkeypatch.setattr(Projection, "of", kept)
    assert len(both(splits, weights, config)) == 2
    assert parts == [144, 48]
