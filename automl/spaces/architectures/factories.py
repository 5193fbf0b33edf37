"""Create networks by name: timm's, or those of a user's function ("package.module:make")."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError
from automl.torch_setup import import_timm

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[..., "nn.Module"]

WORKING_FOLDER = (
    "AUTOML_WORKING_FOLDER"  # in the environment of Ray's workers, which may run in another folder
)
# This package's own networks. A folder may name them, as no other code is run.
LINEAR_ON_PIXELS = "automl.training.models.linear_head:linear_on_pixels"
ALL_DEPTHS = "automl.training.models.depths.network:all_depths"  # around one of timm's networks
FOUND_DEPTHS = "automl.training.models.depths.network:found_depths"  # the same, for its costs
DEPTHS_WORDS = "from all depths"  # of the features of such a network
ENSEMBLE = "automl.final.ensemble.network:ensemble"  # of all these


def is_built_in(name: object) -> bool:
    """Return whether `name` is a function of this package, which is safe to call for a folder from a stranger."""
    return name in (LINEAR_ON_PIXELS, ALL_DEPTHS, ENSEMBLE)


def is_factory(name: str) -> bool:
    """Return whether `name` is that of a function and not of a timm model."""
    return ":" in name


def load_factory(name: str) -> Factory:
    """Import the function `package.module:make`, also from the current folder (in a worker: that of the driver).

    It is called with num_classes and in_chans (and with img_size and drop_path_rate if it accepts them), and returns a
    new network from images (B, in_chans, H, W) to logits (B, num_classes). Raises SpaceError if it does not exist.
    """
    module_name, _, attribute = name.partition(":")
    here = os.environ.get(WORKING_FOLDER) or str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # for a command, it holds only the command's folder
    try:
        found: Any = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a user's module may fail in any way
        raise SpaceError(
            f"a model with a colon must be package.module:function, but {name!r} cannot be imported "
            f"({type(error).__name__}: {error})"
        ) from error
    if not callable(found):
        raise SpaceError(f"a model with a colon must be package.module:function, but {name!r} is no function")
    factory: Factory = found
    return factory


def create(name: str, **keywords: Any) -> nn.Module:
    """Create a network with timm's keywords. Raises what timm or the function raises for unknown ones."""
    if is_factory(name):
        return load_factory(name)(**keywords)
    network: nn.Module = import_timm().create_model(name, pretrained=False, **keywords)
    return network
