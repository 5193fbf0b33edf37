"""The local engine: trials in this process, by wall time."""

from __future__ import annotations

import time

from automl.search.control.coordinator import Coordinator
from automl.search.engines.base import Clock
from automl.search.engines.event_loop import EventLoop, InProcess
from automl.search.objective import Objective, Step
from automl.search.settings import SearchSettings


class LocalEngine(InProcess):
    """Advances `parallel` trials in turn, one round at a time, ordered by the seconds that each slot has used."""

    clock: Clock = staticmethod(time.monotonic)

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Run the search. The deadline is checked after each round: only the objective can cut one short."""
        EventLoop(coordinator, objective, settings.parallel, self).run()

    def seconds(self, step: Step) -> float:
        """Return the seconds that the objective reported, or else the measured ones."""
        return step.wall if step.seconds is None else step.seconds

    def advance(self, moment: float) -> bool:
        """Return True: wall time passes by itself."""
        return True
