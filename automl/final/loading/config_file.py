"""Read config.json of a model folder, and refuse what no model has."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from automl.documents.json_file import read_json
from automl.final.model_folder import CONFIG
from automl.records import DatasetInfo

_CROPS = ("center", "squash", "border")
_FILTERS = ("bilinear", "bicubic", "nearest", "lanczos", "hamming", "box", "random")
_MOST_SIDE = 2048  # px


def read_config(folder: Path, info: DatasetInfo) -> dict[str, Any]:
    """Return config.json of a model for the data set `info`; `model_args` is there and an object.

    Raises OSError if it cannot be read, and ValueError if it contradicts itself or preprocess.json.
    """
    said = read_json(folder / CONFIG)
    if not isinstance(said, dict):
        raise ValueError(f"{CONFIG} must hold one JSON object")
    arguments = said.get("model_args")
    if not isinstance(arguments, dict | None):
        raise ValueError(f"{CONFIG} must have an object as model_args, not {arguments!r:.80}")
    for name, value in (arguments or {}).items():
        if name.endswith("_rate") and not (value is None or (_is_number(value) and 0 <= value <= 1)):
            raise ValueError(
                f"{CONFIG} must have a number from 0 to 1 as {name} in model_args, not {value!r:.80}"
            )
    wrong = next((problem for problem in _problems(said, info) if problem), "")
    if wrong:
        raise ValueError(f"{CONFIG} must have {wrong}")
    return {**said, "model_args": arguments or {}}


def require_types(network: nn.Module, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError for an argument of another type than its default in the network's class.

    Python takes the text "no" for true, so a network may be built from it that is not the one that is meant.
    """
    for name, parameter in inspect.signature(type(network).__init__).parameters.items():
        if name in arguments and not _fits(arguments[name], parameter.default):
            kind = type(parameter.default).__name__
            raise ValueError(
                f"{CONFIG} must have a value of the type {kind} as {name} in model_args, not {arguments[name]!r:.80}"
            )


def _fits(value: Any, default: Any) -> bool:
    if value is None:  # timm takes it for the default
        return True
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        values = value if isinstance(value, list | tuple) and value else [value]
        return all(isinstance(one, int) and not isinstance(one, bool) for one in values)
    if isinstance(default, float):
        return _is_number(value)
    return True


def _problems(said: Mapping[str, Any], info: DatasetInfo) -> list[str]:
    """Return what config.json must have and does not, "" for all that is right; a key may be missing."""
    labels = said.get("label_names", list(info.classes))
    found = [
        ""
        if labels == list(info.classes)
        else f"the classes of preprocess.json as label_names, not {labels!r:.80}",
        "" if isinstance(said.get("global_pool", ""), str) else "a word as global_pool",
        "" if _is_count(said.get("num_features", 1)) else "a count as num_features",
    ]
    about = said.get("pretrained_cfg")
    if about is None:
        return found
    if not isinstance(about, dict):
        return [*found, f"an object as pretrained_cfg, not {about!r:.80}"]
    return [*found, *(f"{problem} in pretrained_cfg" for problem in _about_input(about, info) if problem)]


def _about_input(about: Mapping[str, Any], info: DatasetInfo) -> list[str]:
    size = about.get("input_size", [info.in_chans, 1, 1])
    sides = size[1:] if isinstance(size, list) and len(size) == 3 and size[0] == info.in_chans else [0]
    found = [
        ""
        if all(_is_count(side) and side <= _MOST_SIDE for side in sides)
        else f"the channels of the images ({info.in_chans}), height and width as input_size, not {size!r:.80}"
    ]
    for key, values in (("mean", info.mean), ("std", info.std)):
        given = about.get(key, list(values))
        same = isinstance(given, list) and len(given) == len(values) and all(map(_is_number, given))
        same = same and all(
            math.isclose(one, other, rel_tol=1e-4) for one, other in zip(given, values, strict=True)
        )
        found.append("" if same else f"the {key} of preprocess.json as {key}, not {given!r:.80}")
    for key, known in (("crop_mode", _CROPS), ("interpolation", _FILTERS)):
        word = about.get(key, known[0])
        found.append("" if word in known else f"{' or '.join(known)} as {key}, not {word!r:.80}")
    part = about.get("crop_pct", 1.0)
    found.append(
        "" if _is_number(part) and 0 < part <= 2 else f"a number above 0 as crop_pct, not {part!r:.80}"
    )
    outputs = about.get("num_classes", info.n_outputs)
    found.append("" if outputs == info.n_outputs else f"{info.n_outputs} as num_classes, not {outputs!r:.80}")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
