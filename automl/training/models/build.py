"""Build the model of a configuration for a data set."""

from __future__ import annotations

from typing import Any

from torch import nn

from automl.errors import ModelError
from automl.records import DatasetInfo
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.factories import create
from automl.spaces.architectures.families import capabilities
from automl.training.models.depths.network import with_all_depths
from automl.training.models.finetune import freeze
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, arch, load_model

MAX_ENLARGED = 96  # px; from scratch
MIN_POSITIONS = 2  # per side, of the last features
MAX_FINE_TUNED = 128  # px; pretrained filters respond to larger structures, and there is less to train


def build_model(recipe: Recipe, info: DatasetInfo, *, weights: Weights | None = None) -> nn.Module:
    """Return the model `recipe.model` with one output per class, ready to train, from `weights` if there are any.

    Raises ModelError if it cannot be built or the weights cannot be used.
    """
    arguments = model_arguments(recipe, info, weights)
    if drop_path := _drop_path(recipe):
        arguments["drop_path_rate"] = drop_path
    if weights is not None:
        tuned = load_model(weights, arguments)
        freeze(tuned, recipe.freeze, norm=recipe.freeze_norm)
        return tuned
    try:
        model = create(recipe.model, **arguments)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"the model {recipe.model!r} could not be built with {arguments}: {error}; leave it out of the space"
        ) from error
    return model


def model_arguments(recipe: Recipe, info: DatasetInfo, weights: Weights | None = None) -> dict[str, Any]:
    """Return the keywords that build the same architecture again, for the model folder's config.json.

    Models with a fixed input size (transformers) get that size. For small images their patches become smaller, so that
    32 px give 64 tokens and not 4; so do stems of patches. With weights, patches and widths are those of the weights.
    A transformer that pools its tokens in another way keeps its last norm where it was, so that its weights are loaded.
    Drop path is not included, because it matters in training alone.
    """
    can = capabilities(recipe.model)
    arguments: dict[str, Any] = {"num_classes": info.n_outputs, "in_chans": info.in_chans}
    size = input_size(recipe, info)
    pool = {"global_pool": recipe.global_pool} if can.pool and recipe.global_pool else {}
    if can.img_size:
        arguments["img_size"] = size
    if weights is not None:
        return {**arguments, **(can.pool_norm if pool else {}), **weights.arguments, **pool}
    if pool:
        arguments |= {**can.pool_norm, **pool}
    if patch := _smaller_patch(can, size):
        arguments["patch_size"] = patch
    width = recipe.width
    if can.channels and width != 1.0:
        arguments["channels"] = [max(8, int(c * width)) for c in can.channels]
        if can.stem:  # a full-width stem would take a third of the time
            arguments["stem_width"] = max(8, 4 * round(can.stem * width / 4))
    return arguments


def load_for_head(recipe: Recipe, info: DatasetInfo, weights: Weights) -> nn.Module:
    """Return the network of a linear head, with its weights: that of the configuration, and its layers if it has any.

    Raises ModelError if the weights cannot be used, or the network has no layers whose features could be read.
    """
    arguments = model_arguments(recipe, info, weights)
    network = load_model(weights, arguments)
    if not recipe.depths:
        return network
    side = input_size(recipe, info)
    found = with_all_depths(network, arch(recipe.model), arguments, side=side, every=recipe.depths)
    if found is None:
        raise ModelError(f"{recipe.model} has no layers whose features could be read")
    return found


def input_size(recipe: Recipe, info: DatasetInfo) -> int:
    """Return the side in pixels of the network's input.

    A pretrained network has the `size` of its configuration. Otherwise it is the stored size times `upscale`: networks
    made for 224 px reduce an image 32 times, so small images should be enlarged first, up to 96 px (128 for
    fine-tuning). If the space does not search `upscale`, a network whose patches cannot become smaller gets enough
    pixels for two positions per side of its last features. Weights that fit one size only have that one.
    """
    can = capabilities(recipe.model)
    if recipe.pretrained and can.one_size:
        return can.input_size
    if recipe.pretrained:
        info = info.detailed
        if recipe.size is not None:
            return can.side_with_weights(recipe.size)
    enlarged = round(info.img_size * (1.0 if recipe.upscale is None else recipe.upscale))
    if recipe.upscale is None and not can.patch_size:
        enlarged = max(enlarged, MIN_POSITIONS * can.stride)
    largest = MAX_FINE_TUNED if recipe.pretrained else MAX_ENLARGED
    size = min(enlarged, max(info.img_size, largest))
    return max(size, can.min_size)


def _smaller_patch(can: Capability, size: int) -> int:
    """Return the patch size for small images, or 0 to keep the usual one."""
    if not can.patch_size or size >= MAX_ENLARGED:
        return 0
    if can.stride <= can.patch_size:  # the resolution stays the same from the first layer to the last
        return max(2, size // 8)
    patch, later = can.patch_size, can.stride // can.patch_size
    while patch > 1 and size < MIN_POSITIONS * later * patch:
        patch //= 2
    return patch if patch < can.patch_size else 0


def _drop_path(recipe: Recipe) -> float:
    return recipe.drop_path if capabilities(recipe.model).drop_path else 0.0
