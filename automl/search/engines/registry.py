"""The engines by name, each imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automl.search.engines.base import Engine


@dataclass(frozen=True)
class EngineRow:
    """One engine: its name, where its class is, and what it does in one line."""

    name: str
    place: str
    description: str

    def load(self) -> Callable[[], Engine]:
        """The engine's class."""
        module, _, name = self.place.partition(":")
        found: Callable[[], Engine] = getattr(import_module(module), name)
        return found


ENGINES = {
    row.name: row
    for row in (
        EngineRow(
            "ray", "automl.search.engines.ray.engine:RayEngine", "processes on this machine or a cluster"
        ),
        EngineRow("local", "automl.search.engines.local:LocalEngine", "this process, one round at a time"),
        EngineRow(
            "simulated",
            "automl.search.engines.simulated:SimulatedEngine",
            "this process on a virtual clock, with any number of workers",
        ),
    )
}


def load_engine(name: str) -> Callable[[], Engine]:
    """The class of an engine, by a name in ENGINES."""
    return ENGINES[name].load()
