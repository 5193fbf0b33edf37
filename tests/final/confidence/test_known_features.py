"""Images that are unlike those of the training are told by the distance to their features."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.metrics import roc_auc_score
from torch import nn

from automl.errors import ModelError
from automl.final.confidence.known_features import (
    KNOWN_FEATURES,
    KnownFeatures,
    last_inputs,
    read_known_features,
    write_known_features,
)
from automl.final.confidence.measure_known import LONGEST, measure_known, seconds_for_features
from automl.final.predictor import Predictor
from automl.records import SearchSplits
from automl.torch_setup import import_timm
from tests.final.evaluation.greys import grey, predictor
from tests.training.conftest import config, plan, splits

__all__ = ["config", "plan", "splits"]  # fixtures


def drawn(n: int, *, around: int, seed: int) -> np.ndarray:
    """Features that point into one of sixteen directions, more or less."""
    rng = np.random.default_rng(seed)
    found: np.ndarray = (np.eye(16)[around] * 3 + rng.normal(0, 0.5, (n, 16))).astype(np.float32)
    return found


@pytest.fixture
def known() -> KnownFeatures:
    return KnownFeatures.of(drawn(200, around=0, seed=0), drawn(100, around=0, seed=1))


def test_other_directions_are_unknown_and_one_in_twenty_of_the_same_is(known: KnownFeatures) -> None:
    same, other = known.scores(drawn(400, around=0, seed=2)), known.scores(drawn(400, around=5, seed=3))
    assert (other > 1).mean() > 0.99 and (same > 1).mean() == pytest.approx(0.05, abs=0.04)
    truth = np.repeat([0, 1], 400)
    assert roc_auc_score(truth, np.concatenate([same, other])) > 0.99
    assert known.features.dtype == np.float16


def test_length_does_not_matter_and_what_is_not_finite_is_unknown(known: KnownFeatures) -> None:
    one = drawn(5, around=0, seed=4)
    np.testing.assert_allclose(known.scores(one), known.scores(7 * one), rtol=1e-4)
    assert known.scores(np.full((1, 16), np.nan, dtype=np.float32))[0] > 1
    few = KnownFeatures.of(one[:2], one[2:])
    assert few.scores(one).shape == (5,)


def test_features_are_the_same_after_the_file(known: KnownFeatures, tmp_path: Path) -> None:
    assert read_known_features(tmp_path) is None and read_known_features(None) is None
    write_known_features(tmp_path, known)
    again = read_known_features(tmp_path)
    assert again is not None and again.threshold == known.threshold
    assert np.array_equal(again.features, known.features)
    assert [path.name for path in tmp_path.iterdir()] == [KNOWN_FEATURES]


@pytest.mark.parametrize("damage", ["bytes", "nan", "shape", "threshold", "name"])
def test_damaged_features_are_refused(known: KnownFeatures, tmp_path: Path, damage: str) -> None:
    features = known.features.copy()
    if damage == "nan":
        features[0, 0] = np.nan
    tensors = {"other" if damage == "name" else "features": features[0] if damage == "shape" else features}
    save_file(tensors, tmp_path / KNOWN_FEATURES, {"threshold": "-1" if damage == "threshold" else "0.5"})
    if damage == "bytes":
        (tmp_path / KNOWN_FEATURES).write_bytes(b"\xff" * 40)
    with pytest.raises(ModelError, match=r"known_features.safetensors' cannot be read"):
        read_known_features(tmp_path)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_inputs_of_the_last_layer_give_the_outputs(name: str) -> None:
    network = import_timm().create_model(name, num_classes=3).eval()
    images = torch.randn(4, 3, *network.pretrained_cfg["input_size"][1:])
    with torch.inference_mode(), last_inputs(network) as taken:
        outputs = network(images)
        assert len(taken) == 1 and taken[0].shape[0] == 4
        again = network.get_classifier()(taken[0])
    torch.testing.assert_close(again, outputs, atol=1e-4, rtol=1e-4)
    with last_inputs(nn.Identity()) as none:
        assert none == []


def a_predictor(splits: SearchSplits, *, mirrored: bool = False) -> Predictor:
    torch.manual_seed(0)
    network = import_timm().create_model("test_resnet", num_classes=3)
    return Predictor(network, splits.info, splits.info.img_size, mirrored=mirrored)


def test_features_come_with_the_scores_one_for_each_image(splits: SearchSplits) -> None:
    pixels = np.load(splits.val.images)[:30]
    plain, both = a_predictor(splits), a_predictor(splits, mirrored=True)
    scores, features = plain.predict_with_features(pixels)
    np.testing.assert_allclose(scores, plain.predict_pixels(pixels), atol=1e-6)
    mirrored = both.predict_with_features(pixels)[1]
    assert features is not None and mirrored is not None and len(features) == 30
    np.testing.assert_allclose(mirrored, features, atol=1e-5)


def test_features_are_measured_within_the_time(splits: SearchSplits) -> None:
    model = a_predictor(splits)
    found = measure_known(model, splits.train, splits.val, seconds=20.0, seed=0)
    assert found is not None and len(found.features) == len(splits.train)
    begun = time.monotonic()
    assert measure_known(model, splits.train, splits.val, seconds=0.1, seed=0) is None
    assert time.monotonic() - begun < 2.0
    assert measure_known(model, splits.train, splits.val, seconds=5.0, seed=0, per_row=1.0) is None
    assert time.monotonic() - begun < 2.0, "a batch that takes longer than the time is not begun"
    assert measure_known(predictor(), splits.train, splits.val, seconds=0.1, seed=0) is None


def test_seconds_leave_time_for_the_results() -> None:
    assert seconds_for_features(None, None) == LONGEST
    assert seconds_for_features(60.0, 30.0) == 3.0 and seconds_for_features(60.0, 1.0) == 0.5
    assert seconds_for_features(60.0, -2.0) == 0.0 and seconds_for_features(36000.0, 500.0) == LONGEST


def test_predictor_tells_unknown_images_or_says_that_it_cannot(splits: SearchSplits, tmp_path: Path) -> None:
    model = a_predictor(splits)
    known = measure_known(model, splits.train, splits.val, seconds=20.0, seed=0)
    assert known is not None
    write_known_features(tmp_path, known)
    model.folder = tmp_path
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    found = model.unknown(pixels)
    assert found.shape == (len(pixels),) and 0 < (found > 1).mean() < 0.12
    assert model.unknown([]).shape == (0,)
    with pytest.raises(ModelError, match=r"must have known_features.safetensors to tell unknown images"):
        predictor().unknown([grey(0)])
