"""The clock of a command, with its time limit."""

from __future__ import annotations

import time


class Clock:
    """Counts seconds from `started` (a moment of `time.time()`), up to `limit` seconds if that is given."""

    def __init__(self, limit: float | None, started: float | None = None) -> None:
        self.limit = limit
        self.started = time.time() if started is None else started
        self.stages: dict[str, float] = {}
        self._stage_began = self.started

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.time() - self.started

    def remaining(self) -> float | None:
        """Return the seconds until the limit (never negative), or None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.elapsed())

    def finish_stage(self, name: str) -> None:
        """Add the seconds since the last stage ended to stage `name`."""
        now = time.time()
        self.stages[name] = self.stages.get(name, 0.0) + now - self._stage_began
        self._stage_began = now
