"""The places in a network where features of all depths are read: the outputs of its layers, as timm names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from automl.spaces.architectures.layers import layers

MOST = 64  # taps of a network


@dataclass(frozen=True)
class Tap:
    """A module whose output has `width` channels: as its last axis if `last`, else as the first of an image."""

    name: str
    width: int
    last: bool


def layer_names(network: nn.Module) -> list[str]:
    """Return the names of the modules that are layers of a network, from the input on.

    A layer is the smallest module with all parameters that timm counts as one. Layers without a module of their own,
    such as a stem of several modules, are left out.
    """
    members: dict[int, list[list[str]]] = {}
    for name, number in layers(network, coarse=False).items():
        members.setdefault(number, []).append(name.split(".")[:-1])
    found = dict.fromkeys(".".join(_shared(paths)) for _, paths in sorted(members.items()))
    # A module around others puts out what the last of them does.
    inner = [name for name in found if name and not any(other.startswith(f"{name}.") for other in found)]
    return inner[-MOST:]


def find_taps(network: nn.Module, *, channels: int, side: int) -> list[Tap]:
    """Return the layers of a network whose outputs are maps or tokens, for images of `channels` and `side` pixels.

    The network runs once, on an empty image.
    """
    inner, shapes = dict(network.named_modules()), dict[str, tuple[int, ...]]()
    names, training = layer_names(network), network.training
    device = next(network.parameters()).device
    with _seen(inner, names, shapes), torch.no_grad():
        network.eval()(torch.zeros(1, channels, side, side, device=device))
    network.train(training)
    every = ((name, _axis(inner[name], shapes[name])) for name in names if name in shapes)
    return [Tap(name, shapes[name][axis], axis == -1) for name, axis in every if axis is not None]


def every_kth(taps: Sequence[Tap], k: int) -> list[Tap]:
    """Return each k-th tap, counted from the last one."""
    return list(taps[::-1][::k][::-1])


def pooled(output: Tensor, *, last: bool) -> Tensor:
    """Return mean and standard deviation (B, 2 * C) of the channels of an output, (B, C, H, W) or (B, ..., C)."""
    values = output.float()
    axes = tuple(range(1, values.ndim - 1)) if last else tuple(range(2, values.ndim))
    mean = values.mean(dim=axes, keepdim=True)
    variance = (values - mean).square().mean(dim=axes)
    return torch.cat([mean.flatten(1), (variance + 1e-6).sqrt()], dim=1)


def _shared(paths: Sequence[Sequence[str]]) -> list[str]:
    """Return what all paths begin with."""
    found = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        found.append(parts[0])
    return found


@contextmanager
def _seen(
    inner: dict[str, nn.Module], names: Sequence[str], shapes: dict[str, tuple[int, ...]]
) -> Iterator[None]:
    """In the block, keep the shapes of the outputs of these modules."""

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[name] = tuple(output.shape)

    handles = [
        inner[name].register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _axis(module: nn.Module, shape: tuple[int, ...]) -> int | None:
    """Return the axis of the channels, 1 or -1; None if the output is neither maps nor tokens.

    Maps may have their channels first or last: it is the axis whose length norms or biases of the module have.
    """
    if len(shape) == 3:
        return -1
    if len(shape) != 4:
        return None
    lengths = {len(value) for value in module.parameters() if value.ndim == 1}
    return 1 if shape[1] in lengths else -1 if shape[3] in lengths else None
