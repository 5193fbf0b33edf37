"""What an engine is."""

from __future__ import annotations

from typing import Protocol

from automl.search.control.coordinator import Coordinator
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.objective import Objective
from automl.search.settings import SearchSettings


class Clock(Protocol):
    """Returns seconds since some fixed moment; they only go forward."""

    def __call__(self) -> float:
        """Return the time."""


class Engine(Protocol):
    """Runs trials until the coordinator says FINISH."""

    @property
    def clock(self) -> Clock:
        """The clock of the search: deadlines and all its times."""

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Run the search. Raises EngineError if the engine itself breaks, never because of a trial."""

    def resources(self) -> ClusterResources | None:
        """Return the machines of the cluster, None where there is only this process. Waits until the engine is up."""

    def release(self) -> None:
        """Tell the engine that no other search follows: what it holds may go down in the background."""
