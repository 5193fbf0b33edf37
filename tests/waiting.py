"""Wait for a condition instead of sleeping for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], *, limit: float = 30.0) -> None:
    """Return once the condition holds; fail after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"the condition did not hold within {limit:g} s"
        time.sleep(0.005)
