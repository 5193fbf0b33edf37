"""A space that training cannot follow is refused, and every preset is one that it can."""

from __future__ import annotations

from typing import Any

import pytest

from automl.errors import SpaceError
from automl.spaces import SearchSpace, presets
from automl.training.models.check_space import check_space
from automl.training.models.hyperparameters import PARAMETERS
from tests.training.test_trainer import CHANGES, FINE_TUNING

LR = {"type": "float", "low": 0.001, "high": 0.01}


@pytest.mark.parametrize("name", presets())
def test_preset_can_be_trained(name: str) -> None:
    check_space(SearchSpace.load(name))


def test_every_known_parameter_is_shown_to_change_a_run() -> None:
    # momentum needs another optimizer, patience more than one epoch, and global_pool a transformer
    # (test_pooling.py): they have tests of their own.
    tuned = {name for name, _ in FINE_TUNING}
    assert set(CHANGES) - {"model"} | {"momentum", "patience", "global_pool"} | tuned == PARAMETERS


@pytest.mark.parametrize(
    ("families", "parameters", "message"),
    [
        (
            {"a": ["test_resnet"]},
            {"lr": LR, "layers": {"type": "int", "low": 1, "high": 2}},
            "unknown parameter 'layers'",
        ),
        (
            {"a": ["test_resnet"]},
            {"batch_size": {"type": "categorical", "choices": [8]}},
            "parameters must have lr",
        ),
        (
            {"a": ["test_resnet"]},
            {"lr": LR, "opt": {"type": "categorical", "choices": ["adamww"]}},
            "mean 'adamw'",
        ),
        (
            {"a": ["test_resnet"]},
            {"lr": LR, "sched": {"type": "categorical", "choices": ["cosin"]}},
            "mean 'cosine'",
        ),
        ({"a": ["test_resnett"]}, {"lr": LR}, "mean 'test_resnet'"),
        ({}, {"lr": LR}, "at least one family"),
    ],
)
def test_space_that_training_cannot_follow_is_refused(
    families: dict[str, Any], parameters: dict[str, Any], message: str
) -> None:
    space = SearchSpace.from_dict({"families": families, "parameters": parameters})
    with pytest.raises(SpaceError, match=message):
        check_space(space)
