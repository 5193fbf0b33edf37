"""The clock of a command, with its time limit."""

from __future__ import annotations

from automl.machine import Moment


class Clock:
    """Counts seconds from `started` (by default now), up to `limit` seconds if that is given.

    It does not depend on the system's clock, which may be set meanwhile.
    """

    def __init__(self, limit: float | None, started: Moment | None = None) -> None:
        self.limit = limit
        self.started = Moment.now() if started is None else started
        self.stages: dict[str, float] = {}
        self._held_back = 0.0
        self._stage_began = 0.0

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return -self.started.left()

    def remaining(self) -> float | None:
        """Return the seconds until the limit (never negative) without those held back, or None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self._held_back - self.elapsed())

    def hold_back(self, seconds: float) -> None:
        """Keep so many of the last seconds for what comes at the very end; 0 gives them free."""
        self._held_back = seconds

    def shortened(self, seconds: float) -> Clock:
        """Return a clock with the same start, whose limit is so many seconds earlier, and which holds back as much."""
        other = Clock(None if self.limit is None else self.limit - seconds, self.started)
        other.hold_back(self._held_back)
        return other

    def finish_stage(self, name: str) -> None:
        """Add the seconds since the last stage ended to stage `name`."""
        now = self.elapsed()
        self.stages[name] = self.stages.get(name, 0.0) + now - self._stage_began
        self._stage_began = now
