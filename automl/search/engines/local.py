"""The local engine: trials in this process, by the clock on the wall."""

from __future__ import annotations

import time

from automl.search.control.coordinator import Coordinator
from automl.search.engines.base import Clock
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.engines.event_loop import EventLoop
from automl.search.objective import Objective, Step
from automl.search.settings import SearchSettings


class LocalEngine:
    """Advances `parallel` trials in turn, one round at a time, ordered by the seconds that each slot has
    used.
    """

    clock: Clock = staticmethod(time.monotonic)

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Runs the search. The deadline is looked at after each round: only the objective can cut one
        short.
        """
        EventLoop(coordinator, objective, settings.parallel, self).run()

    def resources(self) -> ClusterResources | None:
        """Nothing beyond this process."""
        return None

    def release(self) -> None:
        """Nothing is held."""

    def seconds(self, step: Step) -> float:
        """What the objective told, or what was measured."""
        return step.wall if step.seconds is None else step.seconds

    def advance(self, moment: float) -> bool:
        """The wall's clock goes on by itself, and what was run has happened."""
        return True
