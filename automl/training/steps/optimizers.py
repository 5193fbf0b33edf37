"""Optimizers from timm's registry, without weight decay on norms and biases."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from automl.errors import ConfigError, unknown_name
from automl.torch_setup import import_timm
from automl.training.models.finetune import scaled_rates
from automl.training.models.hyperparameters import Recipe

# torch's fused kernels; on a CPU, AdamW's takes a third of the time of the loop.
FUSED: dict[str, type[torch.optim.AdamW | torch.optim.Adam]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
}


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of `recipe` (`opt`, `lr`, `weight_decay`, `momentum`).

    As in timm, `sgd` is SGD with Nesterov momentum and `momentum` the plain one. Raises ConfigError for a name
    that timm does not have.
    """
    name, lr, momentum = recipe.opt, recipe.lr, recipe.momentum
    groups = scaled_rates(param_groups(model, recipe.weight_decay), model, recipe)
    if name in FUSED:
        return FUSED[name](groups, lr=lr, fused=True)
    if name in ("sgd", "momentum"):
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=name == "sgd", fused=True)
    require_optimizer(name)
    optimizer: torch.optim.Optimizer = import_timm().optim.create_optimizer_v2(
        groups, opt=name, lr=lr, momentum=momentum
    )
    return optimizer


def require_optimizer(name: str) -> None:
    """Raise ConfigError with the closest match if timm has no optimizer of that name."""
    if name in (*FUSED, "sgd", "momentum"):
        return
    names = [str(known) for known in import_timm().optim.list_optimizers()]
    if name not in names:
        raise ConfigError(unknown_name("optimizer", name, names))


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return two groups: weights with `weight_decay`; biases, norms and what the model exempts without."""
    exempt = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()  # type: ignore[operator]  # timm's models offer it, nn.Module's stub does not know
    decay: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (plain if parameter.ndim <= 1 or name in exempt else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
