"""Pictures that grow while a network is trained: small ones teach it the most of what it learns in the least time.

Progressive resizing, as Howard et al. trained for DAWNBench (2018) and Tan and Le ("EfficientNetV2", 2021, section 4):
a retrain that time ends sees pictures of two thirds of their side first, then of five sixths, and the last part of the
training, where it anneals, as they will be predicted. In the same time a network from scratch goes through its pictures
a third more often (docs/benchmarks/history.md, "Growing pictures").
"""

from __future__ import annotations

from automl.spaces.architectures.families import capabilities
from automl.training.models.hyperparameters import Recipe

# Up to such a share of the training, so large a part of the side.
STAGES = ((0.35, 2 / 3), (0.70, 5 / 6))
LEAST = 32  # px


def side_at(progress: float, size: int) -> int:
    """The side in pixels at a share of the training, for pictures that are `size` px in the end.

    >>> [side_at(share, 48) for share in (0.0, 0.5, 0.8)], side_at(0.0, 36)
    ([32, 40, 48], 32)
    """
    part = next((part for until, part in STAGES if progress < until), 1.0)
    return max(min(LEAST, size), round(part * size))


def may_grow(recipe: Recipe, size: int) -> bool:
    """Whether the network learns from scratch, and from pictures of any side down to the smallest of the stages."""
    can = capabilities(recipe.model)
    any_side = not (can.img_size or can.fixed_size or recipe.pretrained)
    return any_side and can.min_size <= side_at(0.0, size)
