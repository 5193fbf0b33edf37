"""An ensemble as one network, and in a model folder."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl.errors import ModelError
from automl.final.ensemble.network import Ensemble, Member
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.records import DatasetInfo, Task
from automl.spaces.architectures.factories import ENSEMBLE, LINEAR_ON_PIXELS
from automl.training.evaluate import fit_size
from automl.training.steps.losses import to_scores
from tests.delivery.conftest import info_of


def member(name: str, info: DatasetInfo, *, side: int, weight: float, mean: float = 0.5) -> Member:
    arguments = {"num_classes": info.n_outputs, "in_chans": info.in_chans}
    return Member(name, arguments, side, info.img_size, (mean,) * 3, (0.25,) * 3, weight)


def ensemble_of(info: DatasetInfo) -> tuple[Ensemble, list[nn.Module]]:
    """A network, another one with other statistics, and the linear model, with random weights."""
    members = [
        member("test_resnet", info, side=32, weight=0.5),
        member("test_efficientnet", info, side=48, weight=0.25, mean=0.4),
        member(LINEAR_ON_PIXELS, info, side=40, weight=0.25),
    ]
    torch.manual_seed(0)
    networks = [one.build() for one in members]
    whole = Ensemble(
        members, networks, task=info.task, mean=info.mean, std=info.std, num_classes=info.n_outputs
    )
    return whole.eval(), [copy.deepcopy(network).eval() for network in networks]


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_output_is_the_weighted_mean_of_what_the_members_answer(task: Task) -> None:
    info = info_of(task)
    whole, networks = ensemble_of(info)
    pixels = torch.rand(4, 3, 40, 40)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (info.mean, info.std))
    seen = [fit_size((pixels - one.mean[0]) / 0.25, one.side) for one in whole.members]
    answers = [
        one.weight * to_scores(network(images), task)
        for one, network, images in zip(whole.members, networks, seen, strict=True)
    ]
    expected = torch.stack(answers).sum(dim=0)
    with torch.inference_mode():
        found = to_scores(whole((pixels - mean) / std), task)
    assert torch.allclose(found, expected, atol=1e-4)


def test_model_folder_holds_it_and_gives_it_back(tmp_path: Path) -> None:
    info = info_of()
    whole, _ = ensemble_of(info)
    config = {"model": ENSEMBLE, "lr": 1.0, "hflip": True}
    write_model_folder(tmp_path / "model", whole, config, info, size=info.img_size)
    loaded = Predictor.load(tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3)).astype(np.uint8)
    alone = Predictor(whole, info, info.img_size, mirrored=True)
    assert np.allclose(loaded.predict_pixels(pixels), alone.predict_pixels(pixels), atol=1e-6)
    assert loaded.mirrored and isinstance(loaded.model, Ensemble)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "os:system"}, "timm has no architecture"),
        ({"arguments": {"pretrained_cfg": "x"}}, "numbers and plain words"),
        ({"arguments": {"checkpoint_path": "/etc/passwd"}}, "numbers and plain words"),
        ({"side": 10**9}, "impossible sizes"),
        ({"weight": -1.0}, "impossible sizes or weights"),
        ({"std": []}, "for each channel"),
        ({"mean": None}, "lacks something"),
    ],
)
def test_folder_of_a_stranger_cannot_name_anything_else(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    info = info_of()
    whole, _ = ensemble_of(info)
    config = {"model": ENSEMBLE, "lr": 1.0}
    write_model_folder(tmp_path / "model", whole, config, replace(info), size=info.img_size)
    file = tmp_path / "model" / "config.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["model_args"]["members"][0] |= change
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        Predictor.load(tmp_path / "model")
