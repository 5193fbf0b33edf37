"""Weights are found in checkpoints of other programs, whatever is around them, and nothing in a file runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from automl.errors import ModelError
from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import Weights, load_model, part_taken, verify
from automl.training.models.weight_sources import in_folder

MODEL, ARGUMENTS = "test_resnet", {"num_classes": 3, "in_chans": 3}
Values = dict[str, Tensor]


def drawn(seed: int) -> Values:
    """The values of a network with another number of classes."""
    torch.manual_seed(seed)
    values: Values = import_timm().create_model(MODEL, num_classes=5).state_dict()
    return values


def below(prefix: str, values: Values) -> Values:
    """The values by names that begin with `prefix`."""
    return {prefix + name: value for name, value in values.items()}


def saved(folder: Path, content: Any, ending: str = ".pth") -> Weights:
    """The weights in a file with this content."""
    torch.save(content, folder / f"{MODEL}{ending}")
    return in_folder(folder)[MODEL]


def loaded(weights: Weights) -> Values:
    """The values that a network got from a file."""
    values: Values = verify(weights, ARGUMENTS).state_dict()
    return values


ADAM = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
# What is saved of these values and of others, how the file ends, and what is told of it.
CHECKPOINTS: dict[str, tuple[Callable[[Values, Values], Any], str, str]] = {
    "the network alone": (lambda own, _: own, ".pt", ""),
    "Lightning": (
        lambda own, _: {
            "state_dict": below("model.", own),
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [ADAM],
        },
        ".ckpt",
        "`state_dict.model` of the file is used",
    ),
    "a loop of one's own": (
        lambda own, _: {"epoch": 3, "model_state_dict": own, "optimizer_state_dict": ADAM},
        ".pth.tar",
        "`model_state_dict` of the file is used",
    ),
    "a tool of one's own": (
        lambda own, _: {"net": own, "best": np.float64(0.9)},
        ".bin",
        "`net` of the file is used",
    ),
    "parallel": (lambda own, _: below("module.", own), ".pth", "`module` of the file is used"),
    "compiled": (
        lambda own, _: below("_orig_mod.module.", own),
        ".pth",
        "`_orig_mod.module` of the file is used",
    ),
    "a backbone": (
        lambda own, _: {**below("backbone.", own), "head.weight": torch.ones(3, 3)},
        ".pth",
        "`backbone` of the file is used",
    ),
    "LightlyTrain": (lambda own, _: below("_model.", own), ".pt", "`_model` of the file is used"),
    "timm": (
        lambda own, other: {
            "arch": MODEL,
            "args": argparse.Namespace(lr=0.1),
            "state_dict": other,
            "state_dict_ema": own,
            "optimizer": ADAM,
        },
        ".pth.tar",
        "`state_dict_ema` of the file is used, and not `state_dict`",
    ),
    "a parallel average": (
        lambda own, other: {"model": other, "model_ema": below("module.", own)},
        ".pth",
        "`model_ema.module` of the file is used, and not `model`",
    ),
    "DINO": (
        lambda own, other: {
            "student": {**below("module.backbone.", other), "module.head.last.weight": torch.ones(9, 3)},
            "teacher": {**below("backbone.", own), "head.last.weight": torch.ones(9, 3)},
            "epoch": 7,
        },
        ".pth",
        "`teacher.backbone` of the file is used, and not `student.module.backbone`",
    ),
    "a contrastive training": (
        lambda own, other: {
            "state_dict": {**below("module.encoder_q.", own), **below("module.encoder_k.", other)}
        },
        ".pth.tar",
        "`state_dict.module.encoder_q` of the file is used, and not `state_dict.module.encoder_k`",
    ),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_network_in_a_checkpoint_is_found_and_it_is_told_which_part_is_used(
    name: str, tmp_path: Path
) -> None:
    content, ending, said = CHECKPOINTS[name]
    own = drawn(1)
    weights = saved(tmp_path, content(own, drawn(2)), ending)
    found = loaded(weights)
    assert all(torch.equal(found[key], own[key]) for key in own if not key.startswith("fc."))
    assert part_taken(weights, ARGUMENTS) == said


def test_names_of_safetensors_may_have_a_beginning_too(tmp_path: Path) -> None:
    own = drawn(1)
    save_file(below("model.", own), tmp_path / f"{MODEL}.safetensors")
    weights = in_folder(tmp_path)[MODEL]
    assert torch.equal(loaded(weights)["layer1.0.conv1.weight"], own["layer1.0.conv1.weight"])
    assert part_taken(weights, ARGUMENTS) == "`model` of the file is used"


def test_average_without_statistics_of_batch_norm_is_not_taken(tmp_path: Path) -> None:
    own, average = drawn(1), {k: v for k, v in drawn(2).items() if "running" not in k}
    weights = saved(tmp_path, {"state_dict_ema": average, "state_dict": own})
    assert torch.equal(loaded(weights)["layer1.0.conv1.weight"], own["layer1.0.conv1.weight"])
    assert part_taken(weights, ARGUMENTS) == "`state_dict` of the file is used"


def test_network_keeps_no_tensors_of_the_file_beside_its_own(tmp_path: Path) -> None:
    model: Any = load_model(saved(tmp_path, {"net": drawn(1)}), ARGUMENTS)
    assert "state_dict" not in model.pretrained_cfg and "state_dict" not in model.default_cfg


def test_names_that_only_timm_knows_are_left_to_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = import_timm().create_model("convnext_atto").state_dict()
    facebook = {
        name.replace("stem.", "downsample_layers.0.")
        .replace("head.norm.", "norm.")
        .replace("head.fc.", "head."): value
        for name, value in own.items()
        if not name.startswith("stages.")
    }
    facebook["downsample_layers.1.0.weight"] = own["stages.1.downsample.0.weight"]
    torch.save({"model_state_dict": below("module.", facebook)}, tmp_path / "convnext_atto.pth")
    weights = in_folder(tmp_path)["convnext_atto"]
    found: Values = load_model(weights, ARGUMENTS).state_dict()
    assert torch.equal(found["stem.0.weight"], own["stem.0.weight"])
    assert torch.equal(found["stages.1.downsample.0.weight"], own["stages.1.downsample.0.weight"])
    assert part_taken(weights, ARGUMENTS) == "`model_state_dict.module` of the file is used"


def test_part_of_a_network_is_refused_with_counts(tmp_path: Path) -> None:
    half = {name: value for name, value in drawn(1).items() if not name.startswith("layer4.")}
    weights = saved(tmp_path, {"state_dict": below("model.", half)}, ".ckpt")
    problem = (
        r"\d+% of its values are not in the file: it lacks \d of \d+ tensors, such as 'layer4.0.conv1.weight'"
    )
    with pytest.raises(ModelError, match=problem):
        verify(weights, ARGUMENTS)


class _Settings:
    """An object in a checkpoint, as of Lightning's hyperparameters."""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"state_dict": {}, "hyper_parameters": _Settings()},
            r"more than tensors \(.*_Settings\), which could run code; ",
        ),
        ([1, 2, 3], "it holds no tensors with names"),
        ({"epoch": 3, "state_dict": {}}, "it holds no tensors with names"),
    ],
)
def test_file_that_holds_something_else_is_refused_with_what_to_do(
    content: Any, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=problem) as refused:
        verify(saved(tmp_path, content), ARGUMENTS)
    assert "\n" not in str(refused.value)
    if "run code" in problem:
        assert "save its weights alone, read with `weights_only=False`" in str(refused.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_program_of_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / f"{MODEL}.pt")
    with pytest.raises(ModelError, match="it is a TorchScript program"):
        verify(in_folder(tmp_path)[MODEL], ARGUMENTS)
