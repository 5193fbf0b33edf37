"""The limits of the model as they were asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from automl.config import StudyConfig
from automl.config.durations import format_latency, parse_latency
from automl.config.sizes import format_count, format_size, parse_count, parse_size
from automl.errors import ConfigError

FLAGS = {"latency": "--max-latency", "size": "--max-size", "params": "--max-params"}
PARSERS: dict[str, Callable[[object], float]] = {
    "latency": parse_latency,
    "size": parse_size,
    "params": parse_count,
}
FORMATS: dict[str, Callable[[float], str]] = {
    "latency": format_latency,
    "size": format_size,
    "params": format_count,
}


@dataclass(frozen=True)
class Asked:
    """The most milliseconds of one image, bytes of the weights in float32, and parameters; infinite without a limit."""

    latency: float = math.inf
    size: float = math.inf
    params: float = math.inf

    @staticmethod
    def of(config: StudyConfig) -> Asked:
        """Return the limits in the options of a study."""
        return Asked(
            *(
                math.inf if value is None else float(value)
                for value in (config.max_latency, config.max_size, config.max_params)
            )
        )

    @staticmethod
    def read(*, max_latency: object = None, max_size: object = None, max_params: object = None) -> Asked:
        """Return limits as people write them. Raises ConfigError for what is none."""
        found = {}
        for name, given in (("latency", max_latency), ("size", max_size), ("params", max_params)):
            if given is not None:
                try:
                    found[name] = float(PARSERS[name](given))
                except ValueError as error:
                    raise ConfigError(f"{FLAGS[name]} {error}") from None
        return Asked(**found)

    @staticmethod
    def from_dict(found: Mapping[str, float]) -> Asked:
        """Return the limits that `to_dict` described."""
        return Asked(**{name: float(found[name]) for name in FLAGS if name in found})

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return self != Asked()

    def to_dict(self) -> dict[str, float]:
        """Return the limits that there are, for JSON."""
        return {name: value for name in FLAGS if (value := getattr(self, name)) < math.inf}

    def in_words(self) -> str:
        """Return the limits as flags: `--max-latency 20ms --max-size 10M`."""
        return " ".join(f"{FLAGS[name]} {FORMATS[name](value)}" for name, value in self.to_dict().items())

    def exceeded_by(self, params: float, size: float) -> str:
        """Return which limit a network of this size exceeds, such as `45M of 10M`; "" if it keeps both."""
        for name, value in (("size", size), ("params", params)):
            if value > getattr(self, name):
                return self.beside(name, value)
        return ""

    def beside(self, name: str, value: float) -> str:
        """Return a value beside its limit, such as `31ms of 20ms`."""
        shown = FORMATS[name]
        unit = " parameters" if name == "params" else ""
        return f"{shown(value)} of {shown(getattr(self, name))}{unit}"
