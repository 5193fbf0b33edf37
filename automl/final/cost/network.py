"""The network of a configuration: what builds it, its parameters, and the size of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import torch

from automl.records import DatasetInfo
from automl.spaces.architectures.factories import FOUND_DEPTHS, LINEAR_ON_PIXELS, create, is_factory
from automl.training.models.build import input_size, model_arguments
from automl.training.models.complexity import multiplications
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, arch

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Counted:
    """The parameters of a network, and the bytes of its weights in float32, with the statistics of its norms."""

    params: int
    size: int


@dataclass(frozen=True)
class Network:
    """A network: timm's `model` or a user's function, its keywords as JSON, and the side of its input in pixels.

    Configurations with equal networks cost the same.
    """

    model: str
    keywords: str
    side: int

    @staticmethod
    def of(config: Mapping[str, Any], info: DatasetInfo, weights: Weights | None = None) -> Network:
        """Return the network that a configuration builds for the data `info`, from `weights` if it is pretrained."""
        recipe = Recipe.from_config({"lr": 1.0, **config})
        if recipe.pretrained:
            info = info.detailed
        arguments = model_arguments(recipe, info, weights if recipe.pretrained else None)
        if recipe.model == LINEAR_ON_PIXELS:
            arguments = {name: arguments[name] for name in ("num_classes", "in_chans")}
            return Network(recipe.model, _text(arguments), info.img_size)
        side = input_size(recipe, info)
        if recipe.depths:
            around = {
                "network": arch(recipe.model),
                "taps_every": recipe.depths,
                "input_side": side,
                **arguments,
            }
            return Network(FOUND_DEPTHS, _text(around), side)
        return Network(recipe.model, _text(arguments), side)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The keywords that build it."""
        found: dict[str, Any] = json.loads(self.keywords)
        return found

    @property
    def key(self) -> str:
        """A text that is equal for equal networks."""
        return f"{self.model} at {self.side} px {self.keywords}"

    @property
    def words(self) -> str:
        """The network for people: its name, and what it is built with beside it."""
        patch, width = self.arguments.get("patch_size"), self.arguments.get("channels")
        parts = [f"patches of {patch} px"] if patch else []
        parts += [f"{width[0]} channels first"] if width else []
        name = self.arguments.get("network", self.model)
        return f"{name} at {self.side} px" + (f" ({', '.join(parts)})" if parts else "")

    def build(self) -> nn.Module:
        """Return the network with random weights, in evaluation mode."""
        return create(self.model, **self.arguments).eval()

    def counted(self) -> Counted:
        """Return its parameters and the size of its file, which need no memory for its weights."""
        return _counted(self.model, self.keywords)

    def multiplications(self) -> float:
        """Return its multiplications for an image, without memory for its weights; NaN if they cannot be counted."""
        return _multiplied(self.model, self.keywords, self.side)


def counts_of(network: nn.Module) -> Counted:
    """Return the parameters of a network, and the bytes of its weights as safetensors holds them."""
    params = sum(parameter.numel() for parameter in network.parameters())
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return Counted(params, size)


def _text(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)


@lru_cache(maxsize=4096)
def _counted(model: str, keywords: str) -> Counted:
    arguments = json.loads(keywords)
    if is_factory(model):  # a user's code may not know torch's meta device
        return counts_of(create(model, **arguments))
    with torch.device("meta"):
        return counts_of(create(model, **arguments))


@lru_cache(maxsize=4096)
def _multiplied(model: str, keywords: str, side: int) -> float:
    arguments = json.loads(keywords)
    shape = (int(arguments["in_chans"]), side, side)
    if is_factory(model):
        return multiplications(create(model, **arguments), shape, "cpu")
    with torch.device("meta"):
        return multiplications(create(model, **arguments), shape, "meta")
