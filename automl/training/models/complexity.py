"""The size of a network: its parameters, and its multiplications for one image."""

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

# Worker processes often train the same network again, and counting costs two to ten times a forward pass.
_counted: dict[Hashable, float] = {}


def parameters(model: nn.Module) -> float:
    """Return the number of parameters, frozen ones included."""
    return float(sum(parameter.numel() for parameter in model.parameters()))


def multiplications(model: nn.Module, size: tuple[int, int, int], device: str) -> float:
    """Return the number of multiplications for one image of (channels, height, width).

    The network runs once, without gradients, and stays in evaluation mode. The number is kept for networks of the same
    class, modules and number of parameters. NaN if the counter fails on a user's own network.
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
