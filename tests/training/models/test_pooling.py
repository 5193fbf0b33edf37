"""A transformer pools its tokens as the configuration says, with all of its weights, up to the model folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.errors import SpaceError
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.spaces import SearchSpace
from automl.spaces.architectures.families import table
from automl.torch_setup import import_timm
from automl.training.heads import FeatureHeads
from automl.training.models.build import build_model, model_arguments
from automl.training.models.check_space import check_space
from automl.training.models.finetune import head_name, linear_classifiers, save_head
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, verify
from automl.training.models.weight_sources import in_folder
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial


def _weights(model: str, folder: Path, **arguments: Any) -> Weights:
    """Weights of a network that differ from those of a new one in every tensor."""
    torch.manual_seed(5)
    state = import_timm().create_model(model, img_size=32, **arguments).state_dict()
    folder.mkdir(exist_ok=True)
    changed = {
        name: value + 0.1 * torch.rand_like(value) if value.is_floating_point() else value
        for name, value in state.items()
    }
    save_file(changed, folder / f"{model}.safetensors")
    return in_folder(folder)[model]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return _weights("test_vit", tmp_path_factory.mktemp("weights"))


@pytest.fixture
def tuned(config: Config) -> Config:
    return {**config, "model": "test_vit", "pretrained": True, "size": 32, "freeze": "none"}


def _tokens(model: Any, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval().forward_features(images)
        return found


@pytest.mark.parametrize("pretrained", [False, True])
def test_way_of_pooling_changes_a_run(
    pretrained: bool, tuned: Config, weights: Weights, splits: SearchSplits, plan: TrainPlan
) -> None:
    plan, losses = replace(plan, weights={"test_vit": weights}), []
    for pool in ("token", "avg"):
        config = {**tuned, "pretrained": pretrained, "global_pool": pool}
        losses.append(ImageTrial(config, splits=splits, plan=plan).step()["val_loss"])
    assert losses[0] != losses[1]


@pytest.mark.parametrize("model", ["test_vit", "eva02_tiny_patch14_224", "vit_small_patch16_dinov3"])
def test_all_weights_are_loaded_in_both_ways(
    model: str, tuned: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    weights = _weights(model, tmp_path)
    said = load_file(weights.file)
    heads = {"head.weight", "head.bias"}
    outputs = []
    for pool in ("token", "avg"):
        recipe = Recipe.from_config({**tuned, "model": model, "global_pool": pool})
        network: Any = build_model(recipe, splits.info, weights=weights)
        state = network.state_dict()
        resized = {name for name in state if "pos_embed" in name or "patch_embed" in name}  # for other sizes
        assert said.keys() - heads == state.keys() - heads
        assert all(torch.equal(state[name], said[name]) for name in state.keys() - heads - resized)
        with torch.no_grad():
            outputs.append(network.eval().forward_features(torch.rand(1, 3, 32, 32)))
        verify(weights, model_arguments(recipe, splits.info, weights))
    assert outputs[0].shape == outputs[1].shape


def test_without_a_word_a_network_pools_as_its_weights_did(
    tuned: Config, weights: Weights, splits: SearchSplits
) -> None:
    images = torch.rand(2, 3, 32, 32)
    said: dict[str | None, Any] = {
        pool: build_model(Recipe.from_config({**tuned, "global_pool": pool}), splits.info, weights=weights)
        for pool in (None, "token", "avg")
    }
    tokens = _tokens(said[None], images)
    expected = {None: tokens[:, 0], "token": tokens[:, 0], "avg": tokens[:, 1:].mean(1)}
    for pool, model in said.items():
        with torch.no_grad():
            features = model.forward_head(_tokens(model, images), pre_logits=True)
        torch.testing.assert_close(features, expected[pool])
    arguments = model_arguments(Recipe.from_config(tuned), splits.info, weights)
    assert "global_pool" not in arguments and "fc_norm" not in arguments


def test_weights_of_a_study_keep_the_way_that_they_were_trained_in(
    tuned: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    weights = replace(
        _weights("test_vit", tmp_path, global_pool="avg"), arguments={"global_pool": "avg", "fc_norm": True}
    )
    own = Recipe.from_config(tuned)
    model: Any = build_model(own, splits.info, weights=weights)
    assert model.global_pool == "avg"
    assert head_name(own, weights) == "test_vit" == head_name(replace(own, global_pool="avg"), weights)
    other: Any = build_model(replace(own, global_pool="token"), splits.info, weights=weights)
    assert other.global_pool == "token" and other.state_dict().keys() == model.state_dict().keys()
    assert head_name(replace(own, global_pool="token"), weights) == "test_vit-token"


def test_network_with_one_way_ignores_the_parameter(config: Config, splits: SearchSplits) -> None:
    recipe = Recipe.from_config({**config, "global_pool": "avg"})
    assert model_arguments(recipe, splits.info) == model_arguments(
        replace(recipe, global_pool=None), splits.info
    )


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_head_has_the_features_that_the_configuration_says(
    pool: str, tuned: Config, weights: Weights, splits: SearchSplits
) -> None:
    config = {**tuned, "global_pool": pool}
    heads = FeatureHeads(splits=splits, metric="accuracy")
    head = heads.fit(weights, config, until=Moment.now().later(30.0))
    assert head is not None and head.config["global_pool"] == pool
    model: Any = head.model
    images = torch.rand(2, 3, 32, 32)
    tokens = _tokens(model, images)
    expected = tokens[:, 0] if pool == "token" else tokens[:, 1:].mean(1)
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.head(expected))


def test_training_begins_with_the_head_of_its_own_way(
    tuned: Config, weights: Weights, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    values = {"test_vit": 0.25, "test_vit-avg": 0.5}
    for name, value in values.items():
        save_head(torch.full((3, 64), value), torch.zeros(3), tmp_path / name)
    plan = replace(plan, weights={"test_vit": weights}, heads={name: tmp_path / name for name in values})
    for pool, value in ((None, 0.25), ("token", 0.25), ("avg", 0.5)):
        trainer = Trainer({**tuned, "global_pool": pool}, splits.info, splits.train, plan)
        assert float(linear_classifiers(trainer.model)[0].weight.detach().mean()) == value
    plan = replace(plan, heads={"test_vit": tmp_path / "test_vit"})
    new = Trainer({**tuned, "global_pool": "avg"}, splits.info, splits.train, plan)
    assert float(linear_classifiers(new.model)[0].weight.detach().std()) > 0.0


@pytest.mark.parametrize("pretrained", [False, True])
def test_model_folder_builds_the_same_network_in_timm_and_here(
    pretrained: bool, tuned: Config, weights: Weights, splits: SearchSplits, tmp_path: Path
) -> None:
    config = {**tuned, "global_pool": "avg", "pretrained": pretrained, "hflip": False}
    given = weights if pretrained else None
    model = build_model(Recipe.from_config(config), splits.info, weights=given)
    write_model_folder(tmp_path / "model", model, config, splits.info, size=32, weights=given)
    said = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (said["model_args"]["global_pool"], said["model_args"]["fc_norm"]) == ("avg", False)
    pixels = np.load(splits.val.images)[:8]
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (splits.info.mean, splits.info.std))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
    theirs = import_timm().create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    with torch.inference_mode():
        expected = model.eval()(images)
        torch.testing.assert_close(theirs(images), expected)
    found = Predictor.load(tmp_path / "model").predict_proba(pixels)
    np.testing.assert_allclose(found, expected.softmax(dim=1).numpy(), atol=1e-5)
    again = in_folder(tmp_path / "model")["test_vit"]
    assert again.arguments["global_pool"] == "avg"
    assert build_model(Recipe.from_config(tuned), splits.info, weights=again).global_pool == "avg"


def test_space_with_an_unknown_way_is_refused() -> None:
    spec = {
        "families": {"vit": ["test_vit"]},
        "parameters": {
            "lr": {"type": "float", "low": 0.001, "high": 0.01},
            "global_pool": {"type": "categorical", "choices": ["token", "mean"]},
        },
    }
    with pytest.raises(SpaceError, match="unknown global_pool 'mean'.*avg, token"):
        check_space(SearchSpace.from_dict(spec))


@pytest.mark.slow
@pytest.mark.parametrize("model", [name for name, row in sorted(table().items()) if row.pool])
def test_both_ways_of_every_network_in_the_table_differ(
    model: str, config: Config, splits: SearchSplits
) -> None:
    outputs = []
    for pool in ("token", "avg"):
        torch.manual_seed(0)
        network = build_model(
            Recipe.from_config({**config, "model": model, "global_pool": pool}), splits.info
        )
        with torch.inference_mode():
            outputs.append(network.eval()(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)))
    assert not torch.allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)
