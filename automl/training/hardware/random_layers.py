"""Random layers, such as drop path, in several threads: what they draw does not depend on which thread is faster.

torch has one generator for all threads of a CPU. Two threads that draw from it at the same time get other numbers in
each run, so a training with the same seed would not give the same network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from automl.torch_setup import import_timm


class _Own(threading.local):
    generator: torch.Generator | None = None  # of this thread, None for torch's


_own = _Own()


def separate(model: nn.Module) -> bool:
    """Let the random layers of a network draw from the thread's generator (`drawing`). Return whether there are any."""
    drop_path, dropout = _layers()
    found = False
    for module in model.modules():
        if type(module) is drop_path.__base__ and module.drop_prob:
            module.__class__ = drop_path
        elif type(module) is nn.Dropout and module.p:
            module.__class__ = dropout
        found |= isinstance(module, (drop_path, dropout))
    return found


@contextmanager
def drawing(seed: int | None) -> Iterator[None]:
    """In the block, random layers draw from a generator of this thread; with None from torch's."""
    _own.generator = None if seed is None else torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _own.generator = None


@cache
def _layers() -> tuple[Any, Any]:
    base: Any = import_timm().layers.DropPath

    class SeparateDropPath(base):  # type: ignore[misc]  # timm has no types
        """timm's drop path: a sample's block is left out, and others are scaled up (Huang et al. 2016)."""

        def forward(self, x: Tensor) -> Tensor:
            if _own.generator is None or not self.training:
                found: Tensor = super().forward(x)
                return found
            kept = 1.0 - self.drop_prob
            mask = _mask((x.shape[0],) + (1,) * (x.ndim - 1), kept, x.dtype)
            return x * (mask.div_(kept) if kept > 0.0 and self.scale_by_keep else mask)

    class SeparateDropout(nn.Dropout):
        """torch's dropout."""

        def forward(self, input: Tensor) -> Tensor:
            if _own.generator is None or not self.training or self.p >= 1.0:
                return super().forward(input)
            return input * _mask(input.shape, 1.0 - self.p, input.dtype).div_(1.0 - self.p)

    return SeparateDropPath, SeparateDropout


def _mask(shape: tuple[int, ...], kept: float, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape).bernoulli_(kept, generator=_own.generator).to(dtype)
