"""Build a network only if it has the weights that a file holds.

Sizes come from a file that anybody may have written: a classifier of a million million classes would fill the memory
before its weights turn out not to fit. So the network is sketched first, on torch's meta device, where tensors have a
shape and no content, and the sketch ends as soon as it is larger than the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from automl.training.models.pretrained_weights import wrong_values

Shape = tuple[int, ...]

# A network may make a tensor twice, and has modules without weights; tables that are not stored follow the image size.
_TWICE, _MODULES_EACH, _MORE = 2, 20, 1000
_MOST_BUFFERED = 2**26  # numbers
# End in "_", and change something else than values.
_NOT_VALUES = ("requires_grad_", "detach_", "share_memory_")


def build_with_weights(make: Callable[[], nn.Module], file: Path) -> nn.Module:
    """Return the network that `make` builds, with the weights in a safetensors file.

    Raises ValueError if names or shapes differ, before any memory is taken, and for weights that are whole numbers or
    not finite; SafetensorError for a damaged file.
    """
    stored = shapes_in(file)
    with _no_larger_than(stored), _Uninitialised():
        with torch.device("meta"):
            sketch = make()
        _require_same({name: tuple(value.shape) for name, value in sketch.state_dict().items()}, stored)
        network = make()
    weights = load_file(file)
    _require_same_kind(network, weights)
    network.load_state_dict(weights)
    require_numbers(network)
    return network


class _Uninitialised(TorchFunctionMode):
    """Leaves out what fills weights with their first values, which takes most of the time of building a network."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, unless it changes a weight in place: then return the weight."""
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.startswith("_") and name not in _NOT_VALUES:
            target = args[0] if args else given.get("tensor")
            if isinstance(target, nn.Parameter):
                return target
        return func(*args, **given)


def shapes_in(file: Path) -> dict[str, Shape]:
    """Return the shape of each tensor, from the header alone. Raises SafetensorError for a damaged one."""
    with safe_open(file, framework="pt") as tensors:
        names = tensors.keys()
        return {name: tuple(tensors.get_slice(name).get_shape()) for name in names}


def require_numbers(network: nn.Module) -> None:
    """Raise ValueError if the network has weights that are no numbers to compute with."""
    if wrong := wrong_values(network):
        raise ValueError(wrong)


def _require_same(built: Mapping[str, Shape], stored: Mapping[str, Shape]) -> None:
    missing, odd = sorted(built.keys() - stored.keys()), sorted(stored.keys() - built.keys())
    if missing or odd:
        what = f"{missing[0]!r:.100} is missing" if missing else f"{odd[0]!r:.100} is not in the network"
        raise ValueError(f"the weights do not belong to the architecture: {what}")
    for name, shape in built.items():
        if shape != stored[name]:
            raise ValueError(
                f"the weights do not have the sizes in config.json: {name!r:.100} is {stored[name]!s:.80}, not {shape}"
            )


def _require_same_kind(network: nn.Module, stored: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError for whole numbers in place of others: torch would round the weights without a word."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() != stored[name].is_floating_point():
            kind = str(stored[name].dtype).removeprefix("torch.")
            raise ValueError(f"the weights of {name!r:.100} are {kind} numbers, which the network cannot use")


@contextmanager
def _no_larger_than(stored: Mapping[str, Shape]) -> Iterator[None]:
    """Raise ValueError as soon as a network that this thread builds is larger than the stored weights can be."""
    here = threading.get_ident()
    numbers = sum(torch.Size(shape).numel() for shape in stored.values())
    left = {
        "weights": 2 * _TWICE * numbers + _MORE,  # built twice
        "tensors": 2 * _TWICE * len(stored) + _MORE,
        "modules": 2 * _MODULES_EACH * len(stored) + _MORE,
        "buffers": _MOST_BUFFERED + 2 * numbers,
    }

    def take(kind: str, amount: int) -> None:
        if threading.get_ident() == here:
            left[kind] -= amount
            if left[kind] < 0:
                raise ValueError("config.json describes a network that is larger than its weights")

    def parameter(_: nn.Module, __: str, value: Any) -> None:
        take("tensors", 1)
        take("weights", 0 if value is None else value.numel())

    def buffer(_: nn.Module, __: str, value: Any) -> None:
        take("buffers", 0 if value is None else value.numel())

    def module(_: nn.Module, __: str, ___: Any) -> None:
        take("modules", 1)

    handles = (
        hooks.register_module_parameter_registration_hook(parameter),
        hooks.register_module_buffer_registration_hook(buffer),
        hooks.register_module_module_registration_hook(module),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
