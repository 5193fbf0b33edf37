"""Fine-tuning: which layers of a pretrained network stay as they are, and how fast each of the others learns.

Layers are timm's: stages in a convolutional network, blocks in a transformer. Layer-wise decay of the learning rate is
that of BEiT (Bao, Dong, Piao and Wei 2022, "BEiT: BERT pre-training of image transformers", appendix), as in timm.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from automl.spaces.architectures.layers import layers
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import classifier_names

# none: all layers learn; half: the first half of them stays; stages: all but the last one stay; head: all stay.
FREEZE = ("none", "half", "stages", "head")


def freeze(model: nn.Module, how: str) -> None:
    """Keep layers as they are: `how` is one of FREEZE. The head always learns.

    Their batch norms keep the statistics that they came with, and their dropout is off, also in training. Raises
    KeyError for another word.
    """
    of = layers(model, coarse=True)
    last = max(of.values())  # the head, with the last norm
    kept = {"none": 0, "half": last // 2, "stages": last - 1, "head": last}[how]
    heads = classifier_names(model)
    for name, parameter in model.named_parameters():
        frozen = of[name] < kept or (how == "head" and not name.startswith(heads))
        parameter.requires_grad_(not frozen)
    if how != "none":
        model.register_forward_pre_hook(_Hold(model))


def scaled_rates(groups: list[dict[str, Any]], model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The optimizer's groups, parted so that each has one `lr_scale`, by which the learning rate is multiplied.

    `layer_decay` is the factor from one layer to the one below it, `head_lr` that of the new head. Without either the
    groups stay as they are.
    """
    decay, head = recipe.layer_decay, recipe.head_lr
    if decay == 1.0 and head == 1.0:
        return groups
    heads, of = classifier_names(model), layers(model, coarse=False)
    top = max(of.values())
    scales = {
        id(parameter): head if name.startswith(heads) else decay ** (top - of[name])
        for name, parameter in model.named_parameters()
    }
    parted: list[dict[str, Any]] = []
    for group in groups:
        by_scale: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_scale.setdefault(scales[id(parameter)], []).append(parameter)
        parted.extend({**group, "params": own, "lr_scale": scale} for scale, own in by_scale.items())
    return parted


class _Hold:
    """Before each forward pass, puts what is frozen into evaluation mode: `train()` of the whole had put it out."""

    def __init__(self, model: nn.Module) -> None:
        frozen = [
            module
            for module in model.modules()
            if (own := list(module.parameters())) and not any(parameter.requires_grad for parameter in own)
        ]
        self.held = list(dict.fromkeys(inner for module in frozen for inner in module.modules()))

    def __call__(self, model: nn.Module, args: Any) -> None:
        for module in self.held:
            module.training = False
