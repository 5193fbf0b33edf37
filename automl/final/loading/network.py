"""Load the network of a model folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from automl.errors import ModelError
from automl.final.loading.config_file import read_config, require_types
from automl.final.loading.sized_network import build_with_weights, require_numbers
from automl.final.model_folder import CONFIG, FACTORY, WEIGHTS
from automl.records import DatasetInfo
from automl.spaces.architectures.factories import ALL_DEPTHS, ENSEMBLE, is_built_in, load_factory
from automl.torch_setup import import_timm
from automl.training.models.safe_arguments import plain_arguments


def load_network(
    folder: Path, info: DatasetInfo, factory: str | Callable[..., nn.Module] | None
) -> nn.Module:
    """Return the network of a model folder, with its weights, for the data set `info`.

    Nothing in the folder runs as code. A network that a user's function built needs that function as `factory`, itself
    or by the name that the folder gives: whoever passes it trusts it. This package's own network needs none. Raises
    ModelError without it. For a damaged folder it raises nearly anything: ValueError if the sizes in config.json are
    not those of the weights, TypeError for unknown arguments.
    """
    said = read_config(folder, info)
    name, arguments = said.get(FACTORY), said["model_args"]
    if name is None:
        return _timm_network(folder, said, arguments, info)
    if is_built_in(name):
        # An ensemble checks the arguments of its members itself.
        given = arguments if name == ENSEMBLE else plain_arguments(arguments)
        make = partial(load_factory(str(name)), **given)
        _require_outputs(arguments.get("num_classes"), info)
        if name == ALL_DEPTHS:
            _require_channels(arguments, info)
        return build_with_weights(make, folder / WEIGHTS)
    if factory is None or (isinstance(factory, str) and factory != name):
        raise ModelError(
            f"the model folder {str(folder)!r} needs the function {name!r:.200}, which is code outside the folder; "
            f"if you trust it, pass factory={name!r:.200} in Python or --factory {name!s:.200} to a command"
        )
    made = (load_factory(factory) if isinstance(factory, str) else factory)(**arguments)
    made.load_state_dict(load_file(folder / WEIGHTS))
    require_numbers(made)
    return made


def _timm_network(
    folder: Path, said: dict[str, Any], arguments: dict[str, Any], info: DatasetInfo
) -> nn.Module:
    """Return timm's network with the folder's weights.

    timm can open the folder by itself, but would then follow addresses and paths in its config.json. That file may
    come from a stranger, so only the architecture and its sizes are taken from it.
    """
    timm = import_timm()
    name, arguments = said.get("architecture"), plain_arguments(arguments)
    if not (isinstance(name, str) and timm.is_model(name)):
        raise ValueError(f"timm has no architecture {name!r:.100}")
    _require_outputs(said.get("num_classes"), info)
    _require_channels(arguments, info)
    keywords = {**arguments, "num_classes": info.n_outputs}
    network = build_with_weights(
        partial(timm.create_model, name, pretrained=False, **keywords), folder / WEIGHTS
    )
    require_types(network, arguments)
    return network


def _require_channels(arguments: dict[str, Any], info: DatasetInfo) -> None:
    given = arguments.get("in_chans", 3)
    if given != info.in_chans:
        raise ValueError(
            f"{CONFIG} must have the channels of the images ({info.in_chans}), not {given!r:.40}"
        )


def _require_outputs(given: Any, info: DatasetInfo) -> None:
    if given != info.n_outputs or isinstance(given, bool):
        raise ValueError(
            f"{CONFIG} must have one output for each class ({info.n_outputs}), not {given!r:.40}"
        )
