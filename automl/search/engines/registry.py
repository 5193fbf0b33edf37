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
    """An engine: its name, the import path of its class, and a one-line description."""

    name: str
    path: str
    description: str


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
    """Return the class of an engine, by a name in ENGINES."""
    module, _, attribute = ENGINES[name].path.partition(":")
    found: Callable[[], Engine] = getattr(import_module(module), attribute)
    return found
