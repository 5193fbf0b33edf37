"""Networks by name: timm's, and those that a person's own function makes ("package.module:make")."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError
from automl.torch_setup import import_timm

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[..., "nn.Module"]


def is_factory(name: str) -> bool:
    """Whether `name` is that of a function and not of a timm model."""
    return ":" in name


def load_factory(name: str) -> Factory:
    """The function `package.module:make`; modules of the working directory count too. Its module is run.

    Called with num_classes and in_chans (and img_size, drop_path_rate where it takes them), it returns a new network of
    logits (B, num_classes) for images (B, in_chans, H, W). Raises SpaceError where there is no such function.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a command has only its own folder there
    try:
        found: Any = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a person's module may fail in any way
        raise SpaceError(
            f"a model with a colon must be package.module:function, and {name!r} cannot be imported "
            f"({type(error).__name__}: {error})"
        ) from error
    if not callable(found):
        raise SpaceError(f"a model with a colon must be package.module:function, and {name!r} is no function")
    factory: Factory = found
    return factory


def create(name: str, **keywords: Any) -> nn.Module:
    """A new network, with timm's keywords. Raises what timm or the function raises for those that it does not take."""
    if is_factory(name):
        return load_factory(name)(**keywords)
    network: nn.Module = import_timm().create_model(name, pretrained=False, **keywords)
    return network
