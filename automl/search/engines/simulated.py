"""The simulated engine: trials in this process, on a clock that their reported seconds advance."""

from __future__ import annotations

import math

from automl.errors import TrialError
from automl.search.control.coordinator import Coordinator
from automl.search.engines.base import Clock
from automl.search.engines.event_loop import EventLoop, InProcess
from automl.search.objective import Objective, Step
from automl.search.settings import SearchSettings

DEFAULT_SECONDS = 1.0
STILL = 1000  # results in succession at one moment, from which on the clock stands still


class SimulatedEngine(InProcess):
    """Simulates any number of workers in as little time as the decisions take. Deadlines and all times are virtual.

    A round counts the `seconds` that the objective reports, or one second, so that results do not depend on the
    machine. A trial that would report after the deadline is cut there. Starting and resuming take no time. Without
    `n_trials`, rounds that take no time would go on for ever, so these raise TrialError.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._limit = math.inf
        self._still, self._most_still = 0, math.inf

    @property
    def clock(self) -> Clock:
        """The virtual clock, which begins at 0."""
        return lambda: self._now

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Run the search."""
        self._limit = math.inf if settings.time_limit is None else settings.time_limit
        if settings.n_trials is None:
            self._most_still = STILL + 2 * settings.parallel  # all workers may report at the same moment
        EventLoop(coordinator, objective, settings.parallel, self).run()

    def seconds(self, step: Step) -> float:
        """Return the seconds that the objective reported, or one second."""
        return DEFAULT_SECONDS if step.seconds is None else step.seconds

    def advance(self, moment: float) -> bool:
        """Go to the moment, but not beyond the deadline: what is due later does not happen."""
        self._still = 0 if moment > self._now else self._still + 1
        if self._still > self._most_still:
            raise TrialError(
                f"rounds must take time until the time limit of {self._limit:g} s, but {self._still} in succession "
                "took 0 seconds: report 'seconds' above 0, or give n_trials"
            )
        self._now = min(moment, self._limit)
        return moment <= self._limit
