"""The memory layout of a model, and how many images a CPU takes at once.

The layout is channels_last, which is fastest for convolutions, with one exception.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# float32 values in a vector register of AVX2
_LANES = 8
# Pixels of the images of a forward pass without gradients. With more, what a layer writes leaves the caches of a CPU
# before the next one reads it, and with fewer, the calls of layers cost more than the work. Decision 112.
CACHED_PIXELS, FEWEST_AT_ONCE = 2**19, 8


def channels_last(model: nn.Module, device: str) -> nn.Module:
    """Return the model on the device, in channels_last.

    On a CPU, strided 1x1 convolutions of two to seven channels (RepVGG's first) stay in the contiguous layout. In
    channels_last their backward pass writes beyond its memory on CPUs with AVX2 and without AVX-512 (oneDNN of torch
    2.13), which kills the process.
    """
    moved = _moved(model, device, torch.channels_last)
    if torch.device(device).type == "cpu":
        for module in moved.modules():
            if isinstance(module, nn.Conv2d) and _crashes(module):
                module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
                if _contiguous not in module._forward_pre_hooks.values():
                    module.register_forward_pre_hook(_contiguous)
    return moved


def at_once(size: int, device: str, *, most: int, threads: int = 1) -> int:
    """Return how many images of `size` pixels a side a forward pass without gradients should have, up to `most`.

    `threads` is how many threads share them, each for its own part.

    >>> at_once(32, "cpu", most=256), at_once(96, "cpu", most=256), at_once(224, "cpu", most=256)
    (256, 56, 10)
    """
    if torch.device(device).type != "cpu":
        return most
    return min(most, threads * max(FEWEST_AT_ONCE, CACHED_PIXELS // size**2))


def to_cpu(model: nn.Module) -> nn.Module:
    """Return the model on the CPU in the contiguous layout, in which it is saved and loaded."""
    return _moved(model, "cpu", torch.contiguous_format)


def _moved(model: nn.Module, device: str, layout: torch.memory_format) -> nn.Module:
    moved: nn.Module = model.to(device=device, memory_format=layout)  # type: ignore[call-overload]  # torch's stub lacks this form
    return moved


def _crashes(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and max(conv.stride) > 1 and 1 < conv.in_channels < _LANES


def _contiguous(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    return tuple(arg.contiguous() for arg in args)
