"""timm's models: which exist, which match a pattern, and what arguments each accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from automl.errors import SpaceError, unknown_name
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.factories import is_factory, load_factory
from automl.spaces.architectures.limits import Limits
from automl.spaces.architectures.patterns import is_pattern

# A pattern that matches more models is a mistake: nobody searches over so many members of one family.
_MOST_MEMBERS = 64


def capabilities(model: str) -> Capability:
    """Return the capability of a model, from the table or, within seconds, by building it.

    Raises SpaceError with the closest match for a name that timm does not have.
    """
    row = table().get(model)
    if row is not None:
        return row
    require_model(model)
    return _measured(model)


@cache
def table() -> dict[str, Capability]:
    """Return the measured capabilities by name of the model; `build_table.py` writes them."""
    text = (
        resources.files("automl.spaces.architectures")
        .joinpath("capabilities.json")
        .read_text(encoding="utf-8")
    )
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


def expand(
    patterns: tuple[str, ...], limits: Mapping[str, Limits | None] | None = None, bounds: Limits | None = None
) -> tuple[str, ...]:
    """Return the models of names and patterns, in order, each once, without those beyond the limits.

    `limits` are by pattern, `bounds` apply to all. timm is imported only for patterns, and for limits of models outside
    of the table. Raises SpaceError for a pattern that matches nothing or more than 64 models, and if no model is left.
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
    from automl.spaces.architectures.measure import measure_size

    require_model(model)
    return measure_size(model)


@cache
def _measured(model: str) -> Capability:
    from automl.spaces.architectures.measure import measure

    return measure(model)
