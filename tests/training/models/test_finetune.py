"""What is frozen stays, what learns learns at its own rate, and weights of a related task help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from automl.errors import ModelError
from automl.records import Config, Rows, SearchSplits
from automl.spaces.architectures.layers import layers
from automl.torch_setup import import_timm
from automl.training.models.finetune import (
    begin_with_head,
    freeze,
    linear_classifiers,
    save_head,
    scaled_rates,
)
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, classifier_names
from automl.training.models.weight_sources import in_folder
from automl.training.plan import TrainPlan
from automl.training.steps.optimizers import param_groups
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial


def _model(name: str = "test_resnet") -> nn.Module:
    built: nn.Module = import_timm().create_model(name, num_classes=3)
    return built


def _head_of(model: nn.Module) -> nn.Linear:
    (found,) = linear_classifiers(model)
    assert isinstance(found, nn.Linear)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_resnet", ["fc"]),
        ("caformer_s18", ["head.fc.fc2"]),  # behind a hidden layer
        ("efficientformerv2_s0", ["head", "head_dist"]),
        ("levit_128s", ["head.linear", "head_dist.linear"]),  # behind norms
        ("repvit_m0_9", ["head.head.l", "head.head_dist.l"]),
        ("crossvit_tiny_240", ["head.0", "head.1"]),
        ("resnetv2_50", ["head.fc"]),  # a convolution of 1x1
        ("volo_d1_224", ["head"]),
    ],
)
def test_last_layers_are_linear_ones_or_convolutions_of_one_pixel(name: str, expected: list[str]) -> None:
    with torch.device("meta"):
        model = _model(name)
    inner = dict(model.named_modules())
    assert list(linear_classifiers(model)) == [inner[layer] for layer in expected]


def test_network_without_a_linear_last_layer_has_none(tmp_path: Path) -> None:
    without = import_timm().create_model("test_resnet", num_classes=0)
    assert linear_classifiers(without) == () == linear_classifiers(nn.Conv2d(3, 3, 1))
    save_head(torch.zeros(3, 8), torch.zeros(3), tmp_path / "head.safetensors")
    with pytest.raises(ModelError, match="does not end in a linear layer"):
        begin_with_head(without, tmp_path / "head.safetensors")


def test_both_layers_of_a_distilled_network_begin_with_the_head(tmp_path: Path) -> None:
    model, weight = _Distilled(), torch.randn(3, 3)
    save_head(weight, torch.ones(3), tmp_path / "head.safetensors")
    begin_with_head(model, tmp_path / "head.safetensors")
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(model(images), images.mean(dim=(2, 3)) @ weight.T + 1.0)


class _Distilled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

    def get_classifier(self) -> tuple[nn.Linear, nn.Linear]:
        return self.one, self.two

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = images.mean(dim=(2, 3))
        found: torch.Tensor = (self.one(pooled) + self.two(pooled)) / 2
        return found


def _learning(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_each_option_freezes_more_than_the_one_before_and_never_the_head(name: str) -> None:
    counts = []
    for how in ("none", "half", "stages", "head"):
        model = _model(name)
        freeze(model, how)
        counts.append(len(_learning(model)))
        heads = classifier_names(model)
        assert any(learning.startswith(heads) for learning in _learning(model))
    assert counts == sorted(counts, reverse=True) and len(set(counts)) == 4
    assert all(learning.startswith(heads) for learning in _learning(model))


def test_stages_of_a_resnet_are_its_freezing_points() -> None:
    model = _model("resnet10t")
    assert max(layers(model, coarse=True).values()) == 5
    freeze(model, "stages")
    assert {name.split(".")[0] for name in _learning(model)} == {"layer4", "fc"}


def test_network_that_names_no_stages_is_frozen_in_parts() -> None:
    with torch.device("meta"):
        model = _model("poolformer_s12")
    assert 2 <= max(layers(model, coarse=True).values()) <= 6
    freeze(model, "stages")
    assert 2 < len(_learning(model)) < len(list(model.parameters())) / 2


def test_frozen_batch_norm_keeps_its_statistics_and_others_do_not() -> None:
    model = _model()
    freeze(model, "stages")
    before = {name: value.clone() for name, value in model.state_dict().items() if "running_mean" in name}
    model.train()
    model(torch.randn(4, 3, 32, 32)).sum().backward()
    moved = {name for name, value in before.items() if not torch.equal(value, model.state_dict()[name])}
    assert moved and all(name.startswith("layer4") for name in moved)


def test_frozen_parameters_do_not_move_in_training(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    save_file(_model().state_dict(), tmp_path / "test_resnet.safetensors")
    config = {**config, "pretrained": True, "freeze": "half", "ema": 0.9}
    trainer = Trainer(config, splits.info, splits.train, replace(plan, weights=in_folder(tmp_path)))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train_round()
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == set(_learning(trainer.model))
    assert 0 < len(moved) < len(before)


def test_rates_fall_by_layer_and_the_heads_is_its_own() -> None:
    model = _model("test_vit")
    groups = scaled_rates(
        param_groups(model, 0.1), model, Recipe("test_vit", lr=0.1, layer_decay=0.5, head_lr=3.0)
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    scale = {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}
    assert set(scale) == set(names.values())
    of = layers(model, coarse=False)
    top = max(of.values())
    assert scale["head.weight"] == scale["head.bias"] == 3.0
    assert scale["patch_embed.proj.weight"] == 0.5**top
    for name in scale:
        if not name.startswith("head"):
            assert scale[name] == 0.5 ** (top - of[name])
    decayed = {names[id(p)] for group in groups if group["weight_decay"] == 0.1 for p in group["params"]}
    assert "head.weight" in decayed and "head.bias" not in decayed


def test_schedule_keeps_the_ratio_of_the_rates(config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
    config = {**config, "layer_decay": 0.5, "head_lr": 2.0}
    trainer = Trainer(config, splits.info, splits.train, plan)
    trainer.train_round()
    base = {group["lr"] / group["lr_scale"] for group in trainer.optimizer.param_groups}
    assert len(base) == 1 and max(base) - min(base) < 1e-12


def _shifted(splits: SearchSplits, folder: Path) -> SearchSplits:
    """The same bars in other images: turned by a quarter, with other noise."""
    images = np.load(splits.train.images)
    noise = np.random.default_rng(5).integers(0, 40, images.shape)
    np.save(folder / "turned.npy", np.clip(images.transpose(0, 2, 1, 3) + noise, 0, 255).astype(np.uint8))

    def moved(rows: Rows) -> Rows:
        return replace(rows, images=folder / "turned.npy")

    return SearchSplits(splits.info, moved(splits.train), moved(splits.val))


def test_one_epoch_from_weights_of_a_related_task_beats_one_from_scratch(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    related = Trainer({**config, "lr": 5e-3}, splits.info, _shifted(splits, tmp_path).train, plan)
    for _ in range(3):
        related.train_round()
    file = tmp_path / "test_resnet.safetensors"
    save_file({name: value.contiguous() for name, value in related.model.state_dict().items()}, file)
    own = Weights("test_resnet", file, "folder", splits.info.mean, splits.info.std)
    plan = replace(plan, epochs=1, weights={"test_resnet": own})
    config = {**config, "lr": 2e-4}  # an epoch from scratch teaches little
    scratch = ImageTrial(config, splits=splits, plan=plan).step()
    tuned = ImageTrial({**config, "pretrained": True, "head_lr": 5.0}, splits=splits, plan=plan).step()
    assert float(tuned["accuracy"]) > float(scratch["accuracy"]) + 0.1
    assert float(tuned["val_loss"]) < float(scratch["val_loss"])


def test_checkpoint_of_a_fine_tuning_resumes_exactly(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    save_file(_model().state_dict(), tmp_path / "test_resnet.safetensors")
    config = {**config, "pretrained": True, "freeze": "half", "layer_decay": 0.7, "head_lr": 3.0}
    plan = replace(plan, weights=in_folder(tmp_path))
    whole = ImageTrial(config, splits=splits, plan=plan)
    whole.step()
    expected = whole.step()
    first = ImageTrial(config, splits=splits, plan=plan)
    first.step()
    first.save(tmp_path / "checkpoint")
    second = ImageTrial(config, splits=splits, plan=plan)
    second.load(tmp_path / "checkpoint")
    found = second.step()
    assert (found["train_loss"], found["val_loss"]) == (expected["train_loss"], expected["val_loss"])


def test_pretrained_training_sees_the_larger_images_at_its_own_size(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    save_file(_model().state_dict(), tmp_path / "test_resnet.safetensors")
    images = np.load(splits.train.images).repeat(2, axis=1).repeat(2, axis=2)
    np.save(tmp_path / "large.npy", images)
    train, val = (
        replace(rows, large=tmp_path / "large.npy", large_size=64) for rows in (splits.train, splits.val)
    )
    two = SearchSplits(replace(splits.info, large_size=64), train, val)
    plan = replace(plan, weights=in_folder(tmp_path))
    tuned = ImageTrial({**config, "pretrained": True, "size": 48}, splits=two, plan=plan)
    scratch = ImageTrial(config, splits=two, plan=plan)
    for trial, stored, side in ((tuned, 64, 48), (scratch, 32, 32)):
        assert (trial.trainer.info.img_size, trial.trainer.size) == (stored, side)
        assert next(trial.trainer.batches.epoch(0))[0].shape[2:] == (stored, stored)
        assert np.isfinite(float(trial.step()["accuracy"]))


def test_fine_tuning_begins_with_its_head(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    save_file(_model().state_dict(), tmp_path / "test_resnet.safetensors")
    head = torch.nn.Linear(_head_of(_model()).in_features, 3)
    save_head(head.weight, head.bias, tmp_path / "head")
    plan = replace(plan, weights=in_folder(tmp_path), heads={"test_resnet": tmp_path / "head"})
    tuned = Trainer({**config, "pretrained": True}, splits.info, splits.train, plan)
    assert torch.equal(_head_of(tuned.model).weight, head.weight)
    assert torch.equal(_head_of(tuned.averaged).bias, head.bias)
    scratch = Trainer(config, splits.info, splits.train, plan)
    assert not torch.equal(_head_of(scratch.model).weight, head.weight)


@pytest.mark.parametrize("outputs", [3, 5])
def test_head_that_does_not_fit_is_named(tmp_path: Path, outputs: int) -> None:
    model = _model()
    head = torch.nn.Linear(_head_of(model).in_features, outputs)
    file = tmp_path / "head"
    if outputs == 5:
        save_head(head.weight, head.bias, file)
    with pytest.raises(ModelError, match=f"the linear head '{file}' cannot be used"):
        begin_with_head(model, file)


def test_trial_with_weights_is_scored_on_its_part_of_the_validation_rows(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    save_file(_model().state_dict(), tmp_path / "test_resnet.safetensors")
    plan = replace(plan, weights=in_folder(tmp_path), score_pretrained=0.5)
    tuned = ImageTrial({**config, "pretrained": True}, splits=splits, plan=plan).step()
    scratch = ImageTrial(config, splits=splits, plan=plan).step()
    assert (tuned["val_rows"], "val_rows" in scratch) == (24.0, False)


@pytest.mark.parametrize("shape", [(3, 96), (3,), (1, 1), (3, 1)])
def test_head_of_another_number_of_features_is_refused_by_name(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    with torch.device("meta"):
        model = _model("crossvit_tiny_240")
    save_head(
        torch.zeros(shape), torch.zeros(3), tmp_path / "head.safetensors"
    )  # (3, 96): of one of its branches
    with pytest.raises(ModelError, match=r"head.safetensors' cannot be used for this network"):
        begin_with_head(model, tmp_path / "head.safetensors")
