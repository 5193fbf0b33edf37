"""Fine-tuning: its first head, which layers of a pretrained network are frozen, and the learning rate of the others.

Fine-tuning begins with a head that was fitted on the frozen features, so that the first steps do not spoil these: Kumar
et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution".

Layers are timm's: stages in a convolutional network, blocks in a transformer. Layer-wise decay of the learning rate is
that of BEiT (Bao, Dong, Piao and Wei 2022, "BEiT: BERT pre-training of image transformers", appendix), as in timm.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automl.errors import ModelError
from automl.spaces.architectures.families import capabilities
from automl.spaces.architectures.layers import layers
from automl.training.models.hyperparameters import Recipe
from automl.training.models.linear_head import LinearOnPixels
from automl.training.models.pretrained_weights import Weights, classifier_names
from automl.training.steps.batch_norm import keep_statistics

# Frozen layers: none; the first half; all stages but the last; all but the head.
FREEZE = ("none", "half", "stages", "head")


def freeze(model: nn.Module, how: str, *, norm: bool = False) -> None:
    """Freeze layers; `how` is one of FREEZE. The head always learns.

    Frozen layers keep their batch norm statistics, and their dropout is off, also in training. With `norm`, all batch
    norms keep theirs: with those of other images, a head that was fitted before would not know the features any more.
    Raises KeyError for another word.
    """
    of = layers(model, coarse=True)
    last = max(of.values())  # the head, with the last norm
    below = {"none": 0, "half": last // 2, "stages": last - 1, "head": last}[how]
    heads = classifier_names(model)
    for name, parameter in model.named_parameters():
        frozen = of[name] < below or (how == "head" and not name.startswith(heads))
        parameter.requires_grad_(not frozen)
    kept = [module for module in model.modules() if norm and isinstance(module, _BatchNorm)]
    for module in kept:
        keep_statistics(module)
    if how != "none" or kept:
        model.register_forward_pre_hook(_Hold(model, kept))


def head_name(recipe: Recipe, weights: Weights) -> str:
    """Return the name of the linear head that a fine-tuning begins with: it is of a network and a way of pooling.

    The name is that of the network if it pools as its weights were trained.
    """
    own = own_pool(recipe.model, weights)
    return (
        f"{recipe.model}-{recipe.global_pool}"
        if own and recipe.global_pool not in (None, own)
        else recipe.model
    )


def own_pool(model: str, weights: Weights) -> str:
    """Return how the network pooled its tokens when its weights were trained; "" if it has only one way."""
    pool = capabilities(model).pool
    return str(weights.arguments.get("global_pool", pool)) if pool else ""


def save_head(weight: Tensor, bias: Tensor, file: Path) -> None:
    """Write a linear head, weight (n_outputs, d) and bias (n_outputs,), for `begin_with_head`."""
    save_file({"weight": weight.detach().cpu().contiguous(), "bias": bias.detach().cpu().contiguous()}, file)


def head_of_fold(file: Path, fold: int) -> Path:
    """Return the file of the head for a fold of a cross-validation, from 0; the first has `file` itself."""
    return file.with_name(f"{file.stem}.fold{fold + 1}{file.suffix}") if fold else file


def linear_classifiers(model: nn.Module) -> tuple[nn.Linear, ...]:
    """Return the linear layers that put out the scores of a network; () if it does not end in linear layers.

    It is one layer: the whole classifier, or the last layer of one that has hidden ones. A network that was made to be
    distilled has two, and its scores are their mean.
    """
    if isinstance(model, LinearOnPixels):
        return (model.classifier,)
    found: Any = getattr(model, "get_classifier", lambda: None)()
    if isinstance(found, nn.Module) and not isinstance(found, nn.Linear):
        inner = dict(model.named_modules())
        found = tuple(inner.get(name) for name in classifier_names(model))
    every = found if isinstance(found, tuple) else (found,)
    good = tuple(layer for layer in every if isinstance(layer, nn.Linear) and layer.bias is not None)
    alike = len(good) == len(every) and len({layer.in_features for layer in good}) == 1
    return good if alike else ()


def classifier_layer(model: nn.Module) -> Any:
    """Return the first of `linear_classifiers`, None without any."""
    return next(iter(linear_classifiers(model)), None)


def whole_head(file: Path) -> Path:
    """Return the file of the same head, fitted on the validation rows as well."""
    return file.with_name(f"{file.stem}.whole{file.suffix}")


@torch.no_grad()
def begin_with_head(model: nn.Module, file: Path) -> None:
    """Put the head of `save_head` in the place of the network's new one.

    Raises ModelError that names the file if it cannot be read, or is of another network.
    """
    classifiers = linear_classifiers(model)
    try:
        if not classifiers:
            raise KeyError("it does not end in a linear layer")
        head = load_file(file)
        for layer in classifiers:
            layer.weight.copy_(head["weight"])
            layer.bias.copy_(head["bias"])
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the linear head {str(file)!r} cannot be used for this network ({error}); remove the file, and the study "
            "trains without it"
        ) from error


def scaled_rates(groups: list[dict[str, Any]], model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the optimizer's groups, split so that each has one `lr_scale`, a factor of the learning rate.

    `layer_decay` is the factor from one layer to the one below it, `head_lr` that of the new head. Without either the
    groups stay the same.
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
    split: list[dict[str, Any]] = []
    for group in groups:
        by_scale: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_scale.setdefault(scales[id(parameter)], []).append(parameter)
        split.extend({**group, "params": own, "lr_scale": scale} for scale, own in by_scale.items())
    return split


class _Hold:
    """Puts frozen layers into evaluation mode before each forward pass, because `model.train()` ends it."""

    def __init__(self, model: nn.Module, kept: Sequence[nn.Module] = ()) -> None:
        frozen = [
            *kept,
            *(
                module
                for module in model.modules()
                if (own := list(module.parameters()))
                and not any(parameter.requires_grad for parameter in own)
            ),
        ]
        self.held = list(dict.fromkeys(inner for module in frozen for inner in module.modules()))

    def __call__(self, model: nn.Module, args: Any) -> None:
        for module in self.held:
            module.training = False
