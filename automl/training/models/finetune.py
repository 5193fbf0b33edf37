"""Fine-tuning: its first head, which layers of a pretrained network are frozen, and the learning rate of the others.

Fine-tuning begins with a head that was fitted on the frozen features, so that the first steps do not spoil these: Kumar
et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution".

Layers are timm's: stages in a convolutional network, blocks in a transformer. Layer-wise decay of the learning rate is
that of BEiT (Bao, Dong, Piao and Wei 2022, "BEiT: BERT pre-training of image transformers", appendix), as in timm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automl.errors import ModelError
from automl.spaces.architectures.families import capabilities
from automl.spaces.architectures.layers import layers
from automl.training.models.depths.network import AllDepths
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
    """Return the name of a linear head: it is of a network and a way of pooling, and of all depths or not.

    The name is that of the network if it pools as its weights were trained, and the head sees its last features alone.
    """
    own = own_pool(recipe.model, weights)
    pool = f"-{recipe.global_pool}" if own and recipe.global_pool not in (None, own) else ""
    return recipe.model + pool + ("-depths" if recipe.depths else "")


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


@dataclass(frozen=True)
class Classifier:
    """The layers that put out the scores of a network, as one linear layer on the features that go into them.

    Most networks have one layer. The scores of several are averaged: those of two in a network that was made to be
    distilled, or of one for each branch. Where their inputs have the same width, the features are the mean of these,
    and all layers get the same weights. Otherwise the features are the inputs of all layers, one after the other.
    `others` add to the scores in another way, as the auxiliary layer of VOLO does for each patch: they get zeros.
    `side` is the layer on features of all depths, which come before the others.
    """

    layers: tuple[nn.Linear | nn.Conv2d, ...]
    others: tuple[nn.Linear | nn.Conv2d, ...] = ()
    side: nn.Linear | None = None

    @staticmethod
    def of(model: nn.Module) -> Classifier | None:
        """Return the classifier of a network, None if it does not end in linear layers."""
        if isinstance(model, AllDepths):
            own = Classifier.of(model.network)
            return None if own is None else replace(own, side=model.side)
        layers, inner = linear_classifiers(model), dict(model.named_modules())
        named = (inner.get(name) for name in classifier_names(model))
        others = tuple(each for each in named if _is_linear(each) and each not in layers)
        return Classifier(layers, others) if layers else None

    @property
    def width(self) -> int:
        """The number of features."""
        return self.side_width + self.last_width

    @property
    def side_width(self) -> int:
        """The number of features of all depths, which come first."""
        return 0 if self.side is None else self.side.in_features

    @property
    def last_width(self) -> int:
        """The number of features of the last layer."""
        return sum(self._widths) if self._apart else self._widths[0]

    @property
    def read(self) -> tuple[nn.Linear | nn.Conv2d, ...]:
        """The layers whose inputs are the features, in the order of `features` and `scores`."""
        return self.layers if self.side is None else (*self.layers, self.side)

    @property
    def weight(self) -> Tensor:
        """The weights (n_outputs, width) of the layers together; where they share features, of the first."""
        own = [layer.weight.flatten(1) for layer in self.layers]
        last = torch.cat(own, dim=1) / len(own) if self._apart else own[0]
        return last if self.side is None else torch.cat([self.side.weight, last], dim=1)

    @property
    def bias(self) -> Tensor:
        """The bias (n_outputs,), which all layers share."""
        found = self.layers[0].bias
        assert found is not None
        return found

    def features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the features (B, width) of the inputs of the layers of `read`, each (B, d) or (B, d, 1, 1)."""
        flat = [each.flatten(1) for each in inputs[: len(self.layers)]]
        last = torch.cat(flat, dim=1) if self._apart else torch.stack(flat).mean(dim=0)
        return last if self.side is None else torch.cat([inputs[-1], last], dim=1)

    def scores(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return what the layers put out together for these inputs, (B, n_outputs)."""
        each = [layer(given).flatten(1) for layer, given in zip(self.layers, inputs, strict=False)]
        last = torch.stack(each).mean(dim=0)
        return last if self.side is None else last + self.side(inputs[-1])

    @torch.no_grad()
    def put(self, weight: Tensor, bias: Tensor) -> None:
        """Set the values of the layers, so that scores are `features @ weight.T + bias`.

        Raises RuntimeError for another number of features or outputs.
        """
        if weight.ndim != 2 or weight.shape[1] != self.width or bias.shape != weight.shape[:1]:
            raise RuntimeError(f"a head of {self.width} features is expected, not {tuple(weight.shape)}")
        first, last = weight.split([self.side_width, weight.shape[1] - self.side_width], dim=1)
        if self.side is not None:
            self.side.weight.copy_(first)
        parts = last.split(self._widths, dim=1) if self._apart else (last,) * len(self.layers)
        for layer, part in zip(self.layers, parts, strict=True):
            own = part * len(self.layers) if self._apart else part
            layer.weight.copy_(own if layer.weight.ndim == 2 else own[..., None, None])
            if layer.bias is not None:
                layer.bias.copy_(bias)
        self.silence_others()

    @torch.no_grad()
    def silence_others(self) -> None:
        """Set the layers that add to the scores in another way to zeros."""
        for layer in self.others:
            for value in layer.parameters():
                value.zero_()

    @property
    def _widths(self) -> list[int]:
        return [layer.weight.shape[1] for layer in self.layers]

    @property
    def _apart(self) -> bool:
        return len(set(self._widths)) > 1


def linear_classifiers(model: nn.Module) -> tuple[nn.Linear | nn.Conv2d, ...]:
    """Return the linear layers, or convolutions of 1x1, that put out the scores of a network; () without any.

    It is one layer, the whole classifier, or the last layer of one that has hidden ones, or there are several whose
    scores are averaged.
    """
    if isinstance(model, LinearOnPixels):
        return (model.classifier,)
    found: Any = getattr(model, "get_classifier", lambda: None)()
    every = tuple(found) if isinstance(found, tuple | nn.ModuleList) else (found,)
    if not all(map(_is_linear, every)):  # the layers are inside of these
        inner = dict(model.named_modules())
        every = tuple(inner[name] for name in classifier_names(model) if name in inner)
    return every if every and all(_is_linear(layer) and layer.bias is not None for layer in every) else ()


def _is_linear(layer: Any) -> TypeGuard[nn.Linear | nn.Conv2d]:
    return isinstance(layer, nn.Linear) or (
        isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
    )


def whole_head(file: Path) -> Path:
    """Return the file of the same head, fitted on the validation rows as well."""
    return file.with_name(f"{file.stem}.whole{file.suffix}")


def begin_with_head(model: nn.Module, file: Path) -> None:
    """Put the head of `save_head` in the place of the network's new one.

    Raises ModelError that names the file if it cannot be read, or is of another network.
    """
    classifier = Classifier.of(model)
    try:
        if classifier is None:
            raise KeyError("it does not end in a linear layer")
        head = load_file(file)
        classifier.put(head["weight"], head["bias"])
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
