"""Progressive resizing: training starts with small images, which takes less time, and ends with large ones.

As in Howard et al. for DAWNBench (2018) and Tan and Le ("EfficientNetV2", 2021, section 4): a retrain that time ends
starts with two thirds of the final side, then uses five sixths, and in the last part, with low learning rates, the
whole. In the same time it makes a third more epochs (docs/benchmarks/history.md, "Growing images").
"""

from __future__ import annotations

from automl.spaces.architectures.families import capabilities
from automl.training.models.hyperparameters import Recipe

# (share of the training up to which, part of the side); measured in docs/benchmarks/history.md, "Growing images".
STAGES = ((0.35, 2 / 3), (0.70, 5 / 6))
MIN_SIZE = 32  # px


def side_at(progress: float, size: int) -> int:
    """Return the side in pixels at a share of the training, for images of `size` px at the end.

    >>> [side_at(share, 48) for share in (0.0, 0.5, 0.8)], side_at(0.0, 36)
    ([32, 40, 48], 32)
    """
    part = next((part for until, part in STAGES if progress < until), 1.0)
    return max(min(MIN_SIZE, size), round(part * size))


def may_grow(recipe: Recipe, size: int) -> bool:
    """Return whether the network trains from scratch and takes images of the smallest stage."""
    can = capabilities(recipe.model)
    any_side = not (can.img_size or can.fixed_size or recipe.pretrained)
    return any_side and can.min_size <= side_at(0.0, size)
