"""What an engine is."""

from __future__ import annotations

from typing import Protocol

from automl.search.control.coordinator import Coordinator
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.objective import Objective
from automl.search.settings import SearchSettings


class Clock(Protocol):
    """Seconds that only go forward."""

    def __call__(self) -> float:
        """Seconds since some fixed moment."""


class Engine(Protocol):
    """Runs trials until the coordinator says FINISH."""

    @property
    def clock(self) -> Clock:
        """The clock by which deadlines and all times of the search go."""

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Runs the search. Raises EngineError if the engine itself breaks, never because of a trial."""

    def resources(self) -> ClusterResources | None:
        """The machines that there are, as far as the engine knows more than this process; waits until it is up."""

    def release(self) -> None:
        """No other search will be run: what the engine holds may go down in the background."""
