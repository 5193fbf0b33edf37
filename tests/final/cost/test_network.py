"""The network of a configuration, counted without its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from automl.final.cost.network import Network, counts_of
from automl.final.model_folder import write_model_folder
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.models.build import build_model
from automl.training.models.hyperparameters import Recipe
from tests.pipeline.plan.test_epoch_cost import INFO

LARGER = replace(INFO, img_size=32, large_size=128)


@pytest.mark.parametrize("model", ["test_resnet", "test_vit", "test_efficientnet"])
def test_counts_are_those_of_the_file_that_is_delivered(model: str, tmp_path: Path) -> None:
    config = {"model": model, "lr": 0.1}
    network = build_model(Recipe.from_config(config), INFO)
    found = Network.of(config, INFO)
    write_model_folder(tmp_path / "model", network, config, INFO, size=found.side)
    file = tmp_path / "model" / "model.safetensors"
    with safe_open(file, framework="pt") as tensors:
        names = tensors.keys()
    header = sum(map(len, names))
    assert found.counted() == counts_of(network)
    assert found.counted().params == sum(p.numel() for p in network.parameters())
    assert 0 < file.stat().st_size - found.counted().size < 200 * len(network.state_dict()) + header


def test_networks_are_equal_if_they_are_built_alike() -> None:
    first = Network.of({"model": "resnet10t", "lr": 0.1, "upscale": 1.5, "opt": "sgd"}, LARGER)
    assert first == Network.of({"model": "resnet10t", "lr": 0.3, "upscale": 1.5}, LARGER)
    assert first.side == 48
    narrow = Network.of({"model": "resnet10t", "lr": 0.1, "upscale": 1.5, "width": 0.5}, LARGER)
    assert narrow.key != first.key and narrow.counted().params < first.counted().params / 3
    tuned = Network.of({"model": "resnet10t", "pretrained": True, "size": 128}, LARGER)
    assert tuned.side == 128 and tuned.counted() == first.counted()


def test_head_on_pixels_is_a_network_of_a_few_numbers() -> None:
    found = Network.of({"model": LINEAR_ON_PIXELS}, INFO)
    assert found.side == INFO.img_size
    assert found.counted().params == INFO.n_outputs * (16 * 16 * INFO.in_chans + 1)
    assert found.counted().size == 4 * found.counted().params
