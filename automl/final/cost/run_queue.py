"""How long threads of this process waited for a core because other programs used it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")
AT_WORK = 0.25  # of what the calling thread computed: a thread that computed less does other things


@dataclass(frozen=True)
class ThreadTimes:
    """Seconds that each thread of this process has computed, and waited for a core, by its number.

    Linux counts both (`schedstat`). Empty on a system that does not.
    """

    seconds: dict[str, tuple[float, float]]

    @staticmethod
    def now(tasks: Path = TASKS) -> ThreadTimes:
        """Return the times until now."""
        found = {}
        for folder in tasks.glob("*"):
            try:
                computed, waited, *_ = (folder / "schedstat").read_text(encoding="ascii").split()
                found[folder.name] = int(computed) / 1e9, int(waited) / 1e9
            except (OSError, ValueError):  # it has ended, or the system does not count
                continue
        return ThreadTimes(found)

    def waited(self, before: ThreadTimes) -> float:
        """Return the seconds that the calling thread lost since `before` because cores were taken; 0 if unknown.

        It computes together with others and waits for the last of them. So it is the longest wait of a thread that
        computed about as much.
        """
        none = 0.0, 0.0
        spent = {
            name: (after[0] - before.seconds.get(name, none)[0], after[1] - before.seconds.get(name, none)[1])
            for name, after in self.seconds.items()
        }
        own = spent.get(str(threading.get_native_id()), none)[0]
        return max((waited for computed, waited in spent.values() if computed >= AT_WORK * own), default=0.0)
