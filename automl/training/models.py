"""Building the model that a configuration names, for the data at hand."""

from __future__ import annotations

from typing import Any

from torch import nn

from automl.errors import ModelError
from automl.records import Config, DatasetInfo
from automl.spaces.families import capabilities
from automl.torch_setup import import_timm

LARGEST_ENLARGED = 96  # px


def build_model(config: Config, info: DatasetInfo, *, pretrained: bool = False) -> nn.Module:
    """The timm model `config["model"]` with one output a class, ready to train.

    Raises ModelError where timm cannot build it.
    """
    timm = import_timm()
    arguments = model_arguments(config, info)
    if drop_path := _drop_path(config):
        arguments["drop_path_rate"] = drop_path
    try:
        model: nn.Module = timm.create_model(config["model"], pretrained=pretrained, **arguments)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"the model {config['model']!r} could not be built with {arguments}: {error}; leave it out of the space"
        ) from error
    return model


def model_arguments(config: Config, info: DatasetInfo) -> dict[str, Any]:
    """The keywords that make the same architecture again: what the model folder's config.json must say.

    Models that fix their input size (transformers) are told it; where the picture is small their patch is made
    smaller, so that 32 px become 64 tokens and not 4. Drop path is not part of it: it acts in training alone.
    """
    can = capabilities(str(config["model"]))
    arguments: dict[str, Any] = {"num_classes": info.n_outputs, "in_chans": info.in_chans}
    size = input_size(config, info)
    if can.img_size:
        arguments["img_size"] = size
    if can.patch_size and size < 96:
        arguments["patch_size"] = max(2, size // 8)
    if can.channels and float(config.get("width", 1.0)) != 1.0:
        arguments["channels"] = [max(8, int(c * float(config["width"]))) for c in can.channels]
    return arguments


def input_size(config: Config, info: DatasetInfo) -> int:
    """The side in pixels of what the network sees.

    It is the stored size times `upscale`: networks made for 224 px shrink a picture 32 times, so small pictures are
    worth enlarging first. Beyond 96 px nothing is enlarged: it would cost time and show nothing new.
    """
    can = capabilities(str(config["model"]))
    enlarged = round(info.img_size * float(config.get("upscale", 1.0)))
    size = min(enlarged, max(info.img_size, LARGEST_ENLARGED))
    return max(size, can.min_size)


def _drop_path(config: Config) -> float:
    rate = float(config.get("drop_path", 0.0))
    return rate if capabilities(str(config["model"])).drop_path else 0.0
