"""How large the pictures are that a short study trains on: more epochs are worth more than more pixels."""

from __future__ import annotations

from automl.config import StudyConfig
from automl.data import Source
from automl.data.constants import CPU_SIZE
from automl.machine import hub_answers
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import affordable_size
from automl.spaces import SearchSpace
from automl.training.models.hyperparameters import Recipe
from automl.training.models.weight_sources import in_caches
from automl.training.speed_probe import scratch_rate


def largest_size(context: Context, source: Source, space: SearchSpace, *, cores: float) -> int:
    """The largest side in pixels that the time allows to train on, at most `CPU_SIZE`.

    Only a training from scratch is held back: pretrained filters look for what small pictures do not show. Without a
    time limit, and where a size was asked for, it is `CPU_SIZE`. The retrain is as fast as `cores` of this machine.
    """
    config, remaining = context.config, context.clock.remaining()
    if remaining is None or config.img_size != "auto":
        return CPU_SIZE
    shares = (1.0 - config.holdout) * (1.0 - config.val)
    seen = _enlargement(space)
    size = affordable_size(
        n_train=max(1, round(len(source.files) * shares)),
        seconds=remaining,
        rate=lambda size: cores * scratch_rate(size * seen),
        most=CPU_SIZE,
    )
    return CPU_SIZE if size < CPU_SIZE and _may_begin_with_weights(config, space) else size


def _may_begin_with_weights(config: StudyConfig, space: SearchSpace) -> bool:
    if config.pretrained != "auto":
        return config.pretrained != "never"
    models = [model for members in space.families.values() for model in members]
    return bool(in_caches(models)) or hub_answers()


def _enlargement(space: SearchSpace) -> float:
    """How many times the recipe that is tried first enlarges the pictures before its network sees them."""
    recipes = map(Recipe.from_config, space.portfolio)
    first = next((recipe for recipe in recipes if not recipe.pretrained), None)
    return 1.0 if first is None or first.upscale is None else first.upscale
