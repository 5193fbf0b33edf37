"""Limits on the size of networks, for a pattern ("convnext*") or for a whole space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automl.config.sizes import parse_count

KEYS = ("max_params", "max_macs", "pretrained")


@dataclass(frozen=True)
class Limits:
    """The most parameters, and the most multiplications for an image of the network's own size.

    With `pretrained`, only networks with published weights are allowed.
    """

    max_params: float = math.inf
    max_macs: float = math.inf
    pretrained: bool = False

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return self != Limits()

    def admit(
        self, params: Callable[[], float], macs: Callable[[], float], weights: Callable[[], str]
    ) -> bool:
        """Return whether a network of this size is allowed; calls only the functions that it needs."""
        if self.pretrained and not weights():
            return False
        if self.max_params < math.inf and params() > self.max_params:
            return False
        return self.max_macs == math.inf or macs() <= self.max_macs

    def to_dict(self) -> dict[str, Any]:
        """Return the limits as in YAML."""
        numbers = {key: getattr(self, key) for key in ("max_params", "max_macs")}
        return {
            **{key: value for key, value in numbers.items() if value < math.inf},
            **({"pretrained": True} if self.pretrained else {}),
        }


def parse_limits(spec: Mapping[str, Any], where: str, problems: list[str]) -> Limits:
    """Return the limits among the keys of `spec`, and add what is wrong with them to `problems`."""
    found: dict[str, Any] = {}
    for key in ("max_params", "max_macs"):
        if key in spec:
            try:
                found[key] = parse_count(spec[key])
            except ValueError as error:
                problems.append(f"{where}{key}: {error}")
    pretrained = spec.get("pretrained", False)
    if not isinstance(pretrained, bool):
        problems.append(f"{where}pretrained: must be true or false, not {pretrained!r}")
        pretrained = False
    return Limits(**found, pretrained=pretrained)
