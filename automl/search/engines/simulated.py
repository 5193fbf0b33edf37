"""The simulated engine: trials in this process, on a clock that their reported seconds advance."""

from __future__ import annotations

from automl.search.control.coordinator import Coordinator
from automl.search.engines.base import Clock
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.engines.event_loop import EventLoop
from automl.search.objective import Objective, Step
from automl.search.settings import SearchSettings

DEFAULT_SECONDS = 1.0


class SimulatedEngine:
    """Any number of workers, in as little time as the decisions take. Deadlines and all times are virtual.

    A round counts the `seconds` that the objective reports, or one second where it reports none, so that
    results do not depend on the machine. A trial that would report after the deadline is cut at the deadline;
    starting and resuming are free.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._limit = float("inf")

    @property
    def clock(self) -> Clock:
        """The virtual clock; it begins at 0."""
        return self._read

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Runs the search."""
        self._limit = float("inf") if settings.time_limit is None else settings.time_limit
        EventLoop(coordinator, objective, settings.parallel, self).run()

    def resources(self) -> ClusterResources | None:
        """Nothing beyond this process."""
        return None

    def release(self) -> None:
        """Nothing is held."""

    def seconds(self, step: Step) -> float:
        """What the objective told, or one second."""
        return DEFAULT_SECONDS if step.seconds is None else step.seconds

    def advance(self, moment: float) -> bool:
        """To the moment, but never beyond the deadline: what is due later does not happen."""
        self._now = min(moment, self._limit)
        return moment <= self._limit

    def _read(self) -> float:
        return self._now
