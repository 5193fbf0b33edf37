"""How large a network may be: for a pattern ("convnext*"), or for all networks of a space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KEYS = ("max_params", "max_macs", "pretrained")
_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}


@dataclass(frozen=True)
class Limits:
    """At most so many parameters and so many multiplications for an image of the network's own size; with
    `pretrained`, only networks that weights are published of.
    """

    max_params: float = math.inf
    max_macs: float = math.inf
    pretrained: bool = False

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self != Limits()

    def admit(
        self, params: Callable[[], float], macs: Callable[[], float], weights: Callable[[], str]
    ) -> bool:
        """Whether a network of this size may take part; sizes are asked for only where they matter."""
        if self.pretrained and not weights():
            return False
        if self.max_params < math.inf and params() > self.max_params:
            return False
        return self.max_macs == math.inf or macs() <= self.max_macs

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        numbers = {key: getattr(self, key) for key in ("max_params", "max_macs")}
        return {
            **{key: value for key, value in numbers.items() if value < math.inf},
            **({"pretrained": True} if self.pretrained else {}),
        }


def parse_limits(spec: Mapping[str, Any], where: str, problems: list[str]) -> Limits:
    """The limits among the keys of `spec`; what is wrong with them is added to `problems`."""
    found: dict[str, Any] = {}
    for key in ("max_params", "max_macs"):
        if key in spec:
            value = _number(spec[key])
            if value is None:
                problems.append(
                    f"{where}{key}: must be a number above 0 such as 30M or 1.5G, not {spec[key]!r}"
                )
            else:
                found[key] = value
    pretrained = spec.get("pretrained", False)
    if not isinstance(pretrained, bool):
        problems.append(f"{where}pretrained: must be true or false, not {pretrained!r}")
        pretrained = False
    return Limits(**found, pretrained=pretrained)


def _number(value: Any) -> float | None:
    unit = 1.0
    if isinstance(value, str) and value.strip()[-1:].upper() in _UNITS:
        unit, value = _UNITS[value.strip()[-1].upper()], value.strip()[:-1]
    if isinstance(value, bool):
        return None
    try:
        number = float(value) * unit
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
