"""Features of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from automl.errors import DataError, ModelError
from automl.final.predictor import Predictor
from automl.final.use.embed import pooled_features
from automl.torch_setup import import_timm
from automl.training.evaluate import EVAL_BATCH
from tests.final.use.literals import INFO, Plain, random_images


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_features_are_what_the_classifier_gets(name: str) -> None:
    torch.manual_seed(0)
    network = import_timm().create_model(name, num_classes=2, in_chans=1).eval()
    size = 160 if "vit" in name else 32
    predictor = Predictor(network, replace(INFO, img_size=size), size)
    images = random_images(3, size)
    found = predictor.embed(images)
    assert found.dtype == np.float32 and found.shape == (3, network.num_features)
    scores = network.get_classifier()(torch.from_numpy(found)).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(scores, predictor.predict_proba(images), atol=1e-5)


def test_features_of_many_images_are_those_of_each() -> None:
    torch.manual_seed(0)
    network = import_timm().create_model("test_resnet", num_classes=2, in_chans=1).eval()
    predictor = Predictor(network, INFO, 8)
    images = random_images(EVAL_BATCH + 2, 8)
    found = predictor.embed(images)
    assert len(found) == len(images)
    np.testing.assert_allclose(found[-2:], predictor.embed(images[-2:]), atol=1e-5)


def test_no_image_gives_as_many_answers_and_an_evaluation_says_what_is_missing() -> None:
    network = import_timm().create_model("test_resnet", num_classes=2, in_chans=1).eval()
    predictor = Predictor(network, INFO, 8)
    empty: list[Any] = [[], (), iter(()), np.empty((0, 8, 8)), np.array([]), torch.empty(0, 1, 8, 8)]
    for nothing in (*empty, pd.DataFrame({"file": []})):
        assert predictor.predict(nothing) == []
        assert predictor.predict_proba(nothing).shape == (0, 2)
        features = predictor.embed(nothing)
        assert features.shape == (0, network.num_features) and features.dtype == np.float32
        with pytest.raises(DataError, match="an explanation is of one image, got none"):
            predictor.explain(nothing)
    missing: list[tuple[Any, ...]] = [([],), ([], []), (np.empty((0, 8, 8)), []), (np.array([]), [])]
    for given in missing:
        with pytest.raises(DataError, match="^the data must hold at least one image, but there is none$"):
            predictor.evaluate(*given)
    with pytest.raises(DataError, match="must have rows"):
        predictor.evaluate(pd.DataFrame({"file": [], "label": []}))


def test_network_without_two_halves_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="features need a network of timm, .* Plain is none"):
        Predictor(Plain(), INFO, 8).embed(random_images(1, 8))

    class Odd(nn.Module):
        def forward_features(self, images: torch.Tensor) -> torch.Tensor:
            return images

        def forward_head(self, features: torch.Tensor) -> torch.Tensor:
            return features

    with pytest.raises(ModelError, match="cannot give features of these images: .*pre_logits"):
        pooled_features(Odd(), torch.zeros(1, 1, 8, 8))


def test_classes_are_an_array_of_the_labels() -> None:
    predictor = Predictor(Plain(), replace(INFO, classes=("3", "7"), label_type="int"), 8)
    assert predictor.classes_.tolist() == [3, 7] and predictor.classes_.dtype.kind == "i"
