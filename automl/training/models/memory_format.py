"""Where a model's numbers lie: channels last, which convolutions work on fastest, but for those that must not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# A vector register of AVX2 holds so many float32.
_LANES = 8


def channels_last(model: nn.Module, device: str) -> nn.Module:
    """The model on the device, in channels_last.

    On a CPU, strided 1x1 convolutions of two to seven channels (RepVGG's first) stay in the usual layout: their
    backward pass in channels_last writes beyond its memory where the CPU has AVX2 and no AVX-512 (oneDNN of torch
    2.13), and the process dies.
    """
    placed = _moved(model, device, torch.channels_last)
    if torch.device(device).type == "cpu":
        for module in placed.modules():
            if isinstance(module, nn.Conv2d) and _breaks(module):
                module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
                module.register_forward_pre_hook(_usual)
    return placed


def to_cpu(model: nn.Module) -> nn.Module:
    """The model on the CPU in the usual layout, as it is written down and read again."""
    return _moved(model, "cpu", torch.contiguous_format)


def _moved(model: nn.Module, device: str, layout: torch.memory_format) -> nn.Module:
    moved: nn.Module = model.to(device=device, memory_format=layout)  # type: ignore[call-overload]  # torch's stub lacks this form
    return moved


def _breaks(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and max(conv.stride) > 1 and 1 < conv.in_channels < _LANES


def _usual(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    return tuple(arg.contiguous() for arg in args)
