"""The image size grows during a training."""

from dataclasses import replace

import pytest

from automl.records import Config, SearchSplits
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import TrainPlan
from automl.training.steps.progressive_resizing import may_grow, side_at
from automl.training.trainer import Trainer


@pytest.mark.parametrize(
    ("change", "size", "grows"),
    [
        ({}, 48, True),
        ({"pretrained": True}, 48, False),
        ({"model": "vit_tiny_patch16_224"}, 48, False),  # built for one side
        ({"model": "convnext_atto"}, 48, True),
    ],
)
def test_networks_from_scratch_that_take_any_side_grow(change: Config, size: int, grows: bool) -> None:
    assert may_grow(Recipe.from_config({"model": "resnet10t", "lr": 0.1, **change}), size) is grows


def test_side_grows_to_its_end_and_never_below_what_networks_see() -> None:
    sides = [side_at(share / 20, 96) for share in range(21)]
    assert sides == sorted(sides) and sides[0] == 64 and set(sides[14:]) == {96}
    assert {side_at(share, 32) for share in (0.0, 0.5, 1.0)} == {32}
    assert side_at(0.0, 24) == 24


def seen_by(config: Config, splits: SearchSplits, plan: TrainPlan) -> tuple[list[int], Trainer]:
    """The sides of the images that the network sees in a training, and the training."""
    trainer, sides = Trainer(config, splits.info, splits.train, plan), []
    trainer.model.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    while trainer.train_round() is not None and trainer.rounds < plan.epochs:
        pass
    return sides, trainer


def test_training_that_time_ends_begins_with_small_images(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    timed = replace(plan, epochs=10_000, seconds=1.5, final=True)
    sides, trainer = seen_by({**config, "upscale": 1.5}, splits, timed)
    full = trainer.size
    assert sides == sorted(sides) and sides[0] == round(2 / 3 * full) and sides[-1] == full


@pytest.mark.parametrize("change", [{"final": False}, {"grow": False}, {"seconds": None, "epochs": 2}])
def test_other_trainings_see_one_size(
    change: Config, config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    timed = replace(plan, **{"epochs": 10_000, "seconds": 0.3, "final": True, **change})
    sides, trainer = seen_by({**config, "upscale": 1.5}, splits, timed)
    assert set(sides) == {trainer.size}
