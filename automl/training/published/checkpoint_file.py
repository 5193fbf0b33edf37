"""The weights in a file as people have it: a part of a checkpoint, by names of what was around the network.

Such files come from timm's own training, from Lightning, DINO, LightlyTrain and other programs, and from DataParallel
and torch.compile.
"""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

SAFETENSORS = ".safetensors"
# First words of names that belong to what is around a network, of which some may be the network's own.
_WRAPPER = re.compile(
    "_forward_module|_model|_orig_mod|backbone|base_encoder|ema|ema_model|encoder|encoder_[kq]|feature_extractor|model|"
    "model_ema|module|net|network|student|teacher|wrapped_model"
)
_UNKNOWN_NAMES = ("module.", "_orig_mod.")  # removed from names of which the network knows none
_DEEPEST, _LONGEST = 4, 8  # mappings in each other, and words before the name of a weight
_SCALAR = np.float64().__reduce__()[0]  # what makes a number of NumPy
# What checkpoints hold beside tensors and makes nothing but numbers and words.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    pathlib.PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a network in a file, by the network's own names.

    They were found in `part` of it ("state_dict"; "" for the file itself), below names that begin with `prefix`.
    `others` are parts that hold as much of the network, such as the weights that `state_dict_ema` are the average of.
    """

    values: dict[str, Tensor]
    part: str = ""
    prefix: str = ""
    others: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Return which part of the file is used, and which is not."""
        taken = _label(self.part, self.prefix)
        others = " or ".join(f"`{other}`" if other else "the rest" for other in self.others)
        return f"`{taken}` of the file is used" + (f", and not {others}" if others else "")


def read_checkpoint(file: Path, names: Callable[[], Collection[str]]) -> Checkpoint | None:
    """Return the weights of a network in a file, None if the file holds just these by usual names.

    `names` returns those of the network's weights; it is called where it is needed. Of parts that hold as much of the
    network, an average of the weights is taken before others, as timm does, and a teacher before its student. Where
    names are foreign, as in the files of the authors of many networks, the largest part is returned with its own names:
    timm translates them. Raises OSError, ValueError and what safetensors and torch raise for a damaged file.
    """
    content = _content(file)
    if content is None or (all(isinstance(v, Tensor) for v in content.values()) and _usual(content)):
        return None
    parts = dict(_parts(content))
    if not parts:
        raise ValueError("it holds no tensors with names")
    return _known(parts, set(names())) or _foreign(parts)


def _content(file: Path) -> Mapping[str, Any] | None:
    """Return what a file holds; None for a file of safetensors with usual names, without reading it."""
    if file.suffix == SAFETENSORS:
        with safe_open(file, "pt") as tensors:
            names = list(tensors.keys())
            return None if _usual(names) else {name: tensors.get_tensor(name) for name in names}
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(file)) from error
    if not isinstance(found, Mapping):
        raise ValueError("it holds no tensors with names")
    return found


def _refusal(file: Path) -> str:
    """Return why a pickle is not loaded."""
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:  # it is no pickle of torch, which raises many types of errors
        unsafe = []
    if not unsafe:
        return "it is no file of tensors, or holds more than tensors, which could run code"
    return (
        f"it holds more than tensors ({unsafe[0]:.80}), which could run code; if you trust it, save its "
        "weights alone, read with `weights_only=False`"
    )


def _usual(names: Collection[str]) -> bool:
    """Return whether names look like those of a network with nothing around it."""
    first = {str(name).partition(".")[0] for name in names}
    return len(first) > 1 and not any(map(_WRAPPER.fullmatch, first))


def _parts(
    content: Mapping[str, Any], path: str = "", depth: int = 0
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the mappings that hold tensors, with their places in the file."""
    own = {
        name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)
    }
    if own:
        yield path, own
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _parts(value, f"{path}.{name}" if path else name, depth + 1)


def _known(parts: Mapping[str, dict[str, Tensor]], names: Collection[str]) -> Checkpoint | None:
    """Return the part that holds most of the network; None if none holds half of it."""
    found = [
        (count, _rank(_label(part, prefix)), part, prefix)
        for part, tensors in parts.items()
        for prefix, count in _prefixes(tensors, names).items()
    ]
    count, _, part, prefix = max(found, key=lambda one: one[:2], default=(0, 0, "", ""))
    if 2 * count < len(names) or not count:
        return None
    values = {
        name.removeprefix(prefix): value for name, value in parts[part].items() if name.startswith(prefix)
    }
    others = tuple(_label(*one[2:]) for one in found if one[0] == count and one[2:] != (part, prefix))
    return Checkpoint(values, part, prefix, others)


def _prefixes(tensors: Collection[str], names: Collection[str]) -> Counter[str]:
    """Return how many of the network's names come behind each beginning of these names."""
    found = Counter[str]()
    for name in tensors:
        words = name.split(".")
        for place in range(min(len(words), _LONGEST)):
            if ".".join(words[place:]) in names:
                found["".join(f"{word}." for word in words[:place])] += 1
    return found


def _foreign(parts: Mapping[str, dict[str, Tensor]]) -> Checkpoint:
    """Return the largest part; of equal ones, that of an average."""
    part = max(parts, key=lambda one: (len(parts[one]), _rank(one)))
    values, prefix = parts[part], ""
    while begun := next((one for one in _UNKNOWN_NAMES if all(name.startswith(one) for name in values)), ""):
        values = {name.removeprefix(begun): value for name, value in values.items()}
        prefix += begun
    return Checkpoint(values, part, prefix)


def _rank(label: str) -> int:
    """Return how much a part is preferred to others that hold as much of the network."""
    words = set(label.lower().replace(".", "_").split("_"))
    return 2 * ("ema" in words) + ("teacher" in words) - ("student" in words)


def _label(part: str, prefix: str) -> str:
    return ".".join(name for name in (part, prefix.rstrip(".")) if name)
