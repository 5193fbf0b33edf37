"""Choose the sizes at which images are stored. In a short study, more epochs are worth more than more pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from automl.data import Source
from automl.data.constants import CPU_SIZE, GPU_SIZE, WEIGHTS_SIZE
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import affordable_size
from automl.pipeline.plan.constants import BRIEF_BELOW
from automl.pipeline.plan.hardware import Device
from automl.pipeline.weights.find import FoundWeights, from_scratch_too
from automl.spaces import SearchSpace
from automl.training.models.hyperparameters import Recipe
from automl.training.speed_probe import scratch_rate


@dataclass(frozen=True)
class Sizes:
    """The size of images in pixels, the largest that "auto" may choose, and the second size (0 for none)."""

    img_size: int | Literal["auto"]
    most: int
    large: int = 0


def image_sizes(
    context: Context,
    source: Source,
    device: Device,
    looked: FoundWeights | None,
    load_space: Callable[[], SearchSpace],
) -> Sizes:
    """Return the sizes at which images are stored. A resumed study keeps its sizes, whatever became of its space."""
    config = context.config
    earlier = context.workspace.read_plan()
    if config.img_size != "auto":
        return Sizes(config.img_size, GPU_SIZE)
    if earlier is not None:
        return Sizes(int(earlier["img_size"]), GPU_SIZE, int(earlier.get("large_size", 0)))
    if device.kind != "cpu":
        return Sizes("auto", GPU_SIZE)
    space = load_space()
    if looked is not None and looked.weights and not from_scratch_too(looked.asked, space):
        return Sizes("auto", WEIGHTS_SIZE)
    large = WEIGHTS_SIZE if looked is not None and looked.weights else 0
    return Sizes("auto", largest_size(context, source, space, cores=device.cores_together), large)


def largest_size(context: Context, source: Source, space: SearchSpace, *, cores: float) -> int:
    """Return the largest side in pixels for which a training from scratch has time, at most `CPU_SIZE`.

    It is `CPU_SIZE` without a time limit, and if the user chose a size. The retrain is as fast as `cores` of this
    machine.
    """
    config, remaining = context.config, context.clock.remaining()
    if remaining is None or config.img_size != "auto":
        return CPU_SIZE
    shares = (1.0 - config.holdout) * (1.0 - config.val_share)
    seen = _enlargement(space)
    return affordable_size(
        n_train=max(1, round(len(source.files) * shares)),
        seconds=remaining,
        rate=lambda size: cores * scratch_rate(size * seen, brief=remaining < BRIEF_BELOW),
        most=CPU_SIZE,
    )


def _enlargement(space: SearchSpace) -> float:
    """Return by how much the first configuration enlarges the images."""
    recipes = map(Recipe.from_config, space.portfolio)
    first = next((recipe for recipe in recipes if not recipe.pretrained), None)
    return 1.0 if first is None or first.upscale is None else first.upscale
