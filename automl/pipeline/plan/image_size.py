"""Choose the image size of a short study: more epochs are worth more than more pixels."""

from __future__ import annotations

from automl.data import Source
from automl.data.constants import CPU_SIZE
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import affordable_size
from automl.pipeline.plan.constants import BRIEF_BELOW
from automl.spaces import SearchSpace
from automl.training.models.hyperparameters import Recipe
from automl.training.speed_probe import scratch_rate


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
