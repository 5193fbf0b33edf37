"""Prefetch: the next suggestion is computed before a worker needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from automl.search.sampling.drafts import Draft

LONGEST_DRAW = 10.0  # seconds that the end of a search waits for a draw
REST = 3.0  # pause before the next unasked draft, in times of the last one's duration: trials need the cores


class Prefetcher:
    """Keeps a draft ready, drawn in a thread, and draws it again when the study has changed.

    A draft from before the last trial began is never handed out, because the sampler has to know that trial. From
    `take` or `skip` until `resume`, when the trial exists, nothing is drawn, and a draw under way is thrown away.
    """

    def __init__(self, draw: Callable[[], Draft]) -> None:
        self._draw = draw
        self._changed = threading.Condition()
        self._changes = self._taken = 0
        self._held = self._closing = False
        self._ready: tuple[int, Draft] | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="automl-prefetch", daemon=True)
        self._thread.start()

    def invalidate(self) -> None:
        """The study has changed: draw again, if there is time before the draft is taken."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def take(self) -> tuple[Draft, int]:
        """Return a draft, and how often the study has changed since it was begun. Waits until there is one.

        Raises what the sampler raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self._error is not None)
            if self._ready is None:
                assert self._error is not None
                raise self._error
            begun, draft = self._ready
            self._hold()
            return draft, self._changes - begun

    def skip(self) -> None:
        """A trial begins without a draft."""
        with self._changed:
            self._hold()

    def resume(self) -> None:
        """The study knows the new trial: draw the next one."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread, after the draw that is under way, if that ends soon."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(LONGEST_DRAW)

    # --------------------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._ready, self._held = None, True
        self._taken += 1

    def _wanted(self) -> bool:
        stale = self._ready is None or self._ready[0] < self._changes
        return self._closing or (stale and not self._held)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._wanted)
                if self._closing:
                    return
                begun, taken = self._changes, self._taken
            start = time.monotonic()
            try:
                draft = self._draw()
            except Exception as error:  # raised where the draft is taken
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                if taken == self._taken:
                    self._ready = (begun, draft)
                    self._changed.notify_all()
                    rest = start + (1.0 + REST) * (time.monotonic() - start) - time.monotonic()
                    self._changed.wait_for(lambda: self._closing or self._ready is None, max(rest, 0.0))
