"""timm's models: which exist, and what each of them can be told when it is built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from automl.errors import SpaceError, unknown_name
from automl.spaces.factories import is_factory, load_factory
from automl.spaces.limits import Limits

# A pattern that matches more than this is a slip; nobody searches over so many members of one family.
_MOST_MEMBERS = 64


@dataclass(frozen=True)
class Capability:
    """What timm's model of this name takes.

    `img_size`, `drop_path`: whether the keywords `img_size` and `drop_path_rate` may be given; `in_chans`:
    whether it can be built for gray pictures; `patch_size`: the side in pixels of the patches that it cuts
    pictures into, where the keyword makes them smaller, else 0; `stride`: how many times it shrinks a picture in
    all (0: it does not say); `channels`: the widths of its stages where the keyword `channels` changes them,
    else empty; `stem`: the width of its stem where the keyword `stem_width` changes it, else 0; `min_size`: the
    smallest square input in pixels, from 32 on, that it learns from; `fixed_size`: whether it takes only the size
    that it was built for; `freezing`: how many layers below the head can be frozen one after the other; `params`:
    millions of parameters with 10 outputs; `input_size`: the side in pixels of the pictures that it was made for,
    `macs`: billions of multiplications for one of them, `writes`: millions of numbers that its layers write for it, and
    `layers`: how many layers without layers of their own are called; `weights`: timm's tag of its usual published
    weights, "" where there are none.
    """

    model: str
    img_size: bool
    drop_path: bool
    in_chans: bool
    patch_size: int
    stride: int
    channels: tuple[int, ...]
    stem: int
    min_size: int
    fixed_size: bool
    freezing: int
    params: float
    input_size: int
    macs: float
    writes: float
    layers: int
    weights: str


def capabilities(model: str) -> Capability:
    """The row of a model: from the table, or, for a model that is not in it, found out by building it
    (seconds).

    Raises SpaceError with the closest match for a name that timm does not have.
    """
    row = table().get(model)
    if row is not None:
        return row
    require_model(model)
    return _measured(model)


@cache
def table() -> dict[str, Capability]:
    """The capabilities that were measured beforehand, by name of the model; `automl.spaces.measure` writes
    them.
    """
    text = resources.files("automl.spaces").joinpath("capabilities.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    return {
        name: Capability(**{**row, "model": name, "channels": tuple(row["channels"])})
        for name, row in rows.items()
    }


def require_model(model: str) -> None:
    """Raise SpaceError with the closest match if timm has no such model, or if there is no such function."""
    if model in table():
        return
    if is_factory(model):
        load_factory(model)
        return
    from automl.torch_setup import import_timm

    timm = import_timm()
    if timm.is_model(model):
        return
    names: list[str] = timm.list_models()
    raise SpaceError(f"{unknown_name('model', model, names)}; see timm.list_models()")


def is_pattern(name: str) -> bool:
    """Whether `name` stands for several models ("convnext_*")."""
    return any(sign in name for sign in "*?[")


def matches(model: str, patterns: tuple[str, ...]) -> bool:
    """Whether `model` is one of the names, or fits one of the patterns."""
    return any(
        fnmatchcase(model, pattern) if is_pattern(pattern) else model == pattern for pattern in patterns
    )


def expand(
    patterns: tuple[str, ...], limits: Mapping[str, Limits | None] | None = None, bounds: Limits | None = None
) -> tuple[str, ...]:
    """The models that names and patterns stand for, in order, each once, without those beyond the limits.

    `limits` are by pattern, `bounds` hold for all. timm is imported only if there is a pattern, or a limit for a model
    beyond the table. Raises SpaceError for a pattern that matches nothing, or more than 64, and where nothing is left.
    """
    models: dict[str, None] = {}
    for pattern in patterns:
        found = _matching(pattern) if is_pattern(pattern) else [pattern]
        for limit in ((limits or {}).get(pattern), bounds):
            found = [model for model in found if limit is None or _within(model, limit)]
        models.update(dict.fromkeys(found))
    if not models:
        raise SpaceError(f"no model of {', '.join(map(repr, patterns))} keeps within the limits: raise them")
    return tuple(models)


def _within(model: str, limits: Limits) -> bool:
    def size() -> tuple[float, float, str]:
        row = table().get(model)
        return _sized(model) if row is None else (row.params, row.macs, row.weights)

    return not limits or limits.admit(
        params=lambda: size()[0] * 1e6, macs=lambda: size()[1] * 1e9, weights=lambda: size()[2]
    )


def _matching(pattern: str) -> list[str]:
    from automl.torch_setup import import_timm

    found: list[str] = import_timm().list_models(pattern)
    if not found:
        raise SpaceError(f"a pattern must match a model of timm, but {pattern!r} matches none: correct it")
    if len(found) > _MOST_MEMBERS:
        raise SpaceError(
            f"a pattern may match at most {_MOST_MEMBERS} models, but {pattern!r} matches {len(found)}: make "
            "it narrower"
        )
    return found


@cache
def _sized(model: str) -> tuple[float, float, str]:
    from automl.spaces.measure import measure_size

    require_model(model)
    return measure_size(model)


@cache
def _measured(model: str) -> Capability:
    from automl.spaces.measure import measure

    return measure(model)
