"""Building the model that a configuration names, for the data at hand."""

from __future__ import annotations

from typing import Any

from torch import nn

from automl.errors import ModelError
from automl.records import DatasetInfo
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.factories import create
from automl.spaces.architectures.families import capabilities
from automl.training.models.finetune import freeze
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model

LARGEST_ENLARGED = 96  # px
MIN_POSITIONS = 2  # a side, of the last features
LARGEST_FINE_TUNED = 128  # px; what pretrained filters look for is larger, and there is less to train


def build_model(recipe: Recipe, info: DatasetInfo, *, weights: Weights | None = None) -> nn.Module:
    """The model `recipe.model` with one output a class, ready to train; from `weights` where there are any.

    Raises ModelError where it cannot be built, or the weights cannot be used.
    """
    arguments = model_arguments(recipe, info, weights)
    if drop_path := _drop_path(recipe):
        arguments["drop_path_rate"] = drop_path
    if weights is not None:
        tuned = load_model(weights, arguments)
        freeze(tuned, recipe.freeze)
        return tuned
    try:
        model = create(recipe.model, **arguments)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"the model {recipe.model!r} could not be built with {arguments}: {error}; leave it out of the space"
        ) from error
    return model


def model_arguments(recipe: Recipe, info: DatasetInfo, weights: Weights | None = None) -> dict[str, Any]:
    """The keywords that make the same architecture again: what the model folder's config.json must say.

    Models that fix their input size (transformers) are told it; where the picture is small their patch is made
    smaller, so that 32 px become 64 tokens and not 4, and so is a stem of patches. With weights, patches and widths are
    those of the weights. Drop path is not part of it: it acts in training alone.
    """
    can = capabilities(recipe.model)
    arguments: dict[str, Any] = {"num_classes": info.n_outputs, "in_chans": info.in_chans}
    size = input_size(recipe, info)
    if can.img_size:
        arguments["img_size"] = size
    if weights is not None:
        return {**arguments, **weights.arguments}
    if patch := _smaller_patch(can, size):
        arguments["patch_size"] = patch
    width = recipe.width
    if can.channels and width != 1.0:
        arguments["channels"] = [max(8, int(c * width)) for c in can.channels]
        if can.stem:  # a whole one would take a third of the time and more
            arguments["stem_width"] = max(8, 4 * round(can.stem * width / 4))
    return arguments


def input_size(recipe: Recipe, info: DatasetInfo) -> int:
    """The side in pixels of what the network sees.

    It is the stored size times `upscale`: networks made for 224 px shrink a picture 32 times, so small pictures are
    worth enlarging first. Beyond 96 px (128 where weights are fine-tuned) nothing is enlarged: it would cost time and
    show nothing new. Where a space does not search it, a network whose patches cannot be made smaller sees so many
    pixels that its last features have two places a side.
    """
    can = capabilities(recipe.model)
    enlarged = round(info.img_size * (1.0 if recipe.upscale is None else recipe.upscale))
    if recipe.upscale is None and not can.patch_size:
        enlarged = max(enlarged, MIN_POSITIONS * can.stride)
    largest = LARGEST_FINE_TUNED if recipe.pretrained else LARGEST_ENLARGED
    size = min(enlarged, max(info.img_size, largest))
    return max(size, can.min_size)


def _smaller_patch(can: Capability, size: int) -> int:
    """The patch for a small picture; 0 to leave it as it is."""
    if not can.patch_size or size >= LARGEST_ENLARGED:
        return 0
    if can.stride <= can.patch_size:  # the same places from the first layer to the last
        return max(2, size // 8)
    patch, later = can.patch_size, can.stride // can.patch_size
    while patch > 1 and size < MIN_POSITIONS * later * patch:
        patch //= 2
    return patch if patch < can.patch_size else 0


def _drop_path(recipe: Recipe) -> float:
    return recipe.drop_path if capabilities(recipe.model).drop_path else 0.0
