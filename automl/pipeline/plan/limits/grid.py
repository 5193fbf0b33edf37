"""The networks that a search space may train: every combination of what changes a network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

from automl.records import Config
from automl.spaces import SearchSpace
from automl.spaces.parameters import Categorical, Parameter, Value
from automl.spaces.space import PRETRAINED

SHAPING = ("width", "upscale", "size", "global_pool")  # the parameters that change a network


def network_configs(
    space: SearchSpace, pretrained: Collection[str], *, scratch: bool
) -> Iterator[tuple[str, bool, Config]]:
    """Yield (model, whether pretrained, configuration) for all networks of a space: only what shapes a network.

    `pretrained` are the models that may start from weights; `scratch`: whether others may train from scratch. The ends
    and the middle of a range of numbers stand for it.
    """
    for family, members in space.families.items():
        for model in members:
            for kind in (False, True):
                base = {"family": family, "model": model, PRETRAINED: kind}
                wanted = model in pretrained if kind else scratch
                if wanted and space.allows(base):
                    yield from ((model, kind, config) for config in _shaped(space, base))


def variations(space: SearchSpace, config: Mapping[str, Any]) -> Iterator[Config]:
    """Yield copies of a configuration that differ only in what shapes its network and what the space searches."""
    known = {key: config[key] for key in ("family", "model", PRETRAINED) if key in config}
    for shape in _shaped(space, {PRETRAINED: False, **known}):
        changed = {key: shape[key] for key in SHAPING if key in shape and key in config}
        yield {**config, **changed}


def _shaped(space: SearchSpace, base: Config) -> Iterator[Config]:
    values = {key: _values(space, key, base) for key in SHAPING if space.parameters.get(key)}
    for chosen in product(*values.values()):
        shape = {key: value for key, value in zip(values, chosen, strict=True) if value is not None}
        yield {**base, **shape}


def _values(space: SearchSpace, key: str, known: Mapping[str, Any]) -> list[Value]:
    """Return the values of a parameter, or (None,) if it is not searched; conditions on others may hold."""
    found: dict[Value, None] = {}
    for variant in space.parameters[key]:
        open_ones = [name for name, _ in variant.when if name not in known]
        if all(known[name] in values for name, values in variant.when if name in known):
            found.update(dict.fromkeys(_points(variant)))
            if not open_ones:
                return list(found)  # this range is active, so that later ones are not
    return [*found, None]


def _points(variant: Parameter) -> tuple[Value, ...]:
    if isinstance(variant, Categorical):
        return variant.choices
    low, high = variant.low, variant.high
    middle = (low + high) / 2
    return low, (int(middle) if isinstance(low, int) else middle), high
