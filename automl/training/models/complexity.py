"""How large a network is: what it holds, and what it computes for one picture."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from automl.log import get_logger

if TYPE_CHECKING:
    from torch import nn

PARAMS, MACS = "params", "macs"

# Worker processes train many trials, often of the same network: counting costs two to ten times a forward pass.
_counted: dict[Hashable, float] = {}


def parameters(model: nn.Module) -> float:
    """The number of parameters, frozen ones included."""
    return float(sum(parameter.numel() for parameter in model.parameters()))


def multiplications(model: nn.Module, size: tuple[int, int, int], device: str) -> float:
    """The number of multiplications for one picture of (channels, height, width).

    The network runs once, without gradients, and is left in evaluation mode; one of the same class, size and number
    of parameters was counted before. NaN where it cannot be followed: a person's own network may do what the counter
    does not know, and trains all the same.
    """
    key = (type(model), parameters(model), tuple(name for name, _ in model.named_modules()), size)
    if key not in _counted:
        try:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                model.eval()(torch.zeros((1, *size), device=device))
            _counted[key] = counter.get_total_flops() / 2
        except Exception as error:  # from anybody's code
            get_logger(__name__).info("multiplications cannot be counted: %s", error)
            _counted[key] = math.nan
    return _counted[key]
