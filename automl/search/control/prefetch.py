"""Asking ahead of need: the next draft is ready before a worker is free."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from automl.search.sampling.drafts import Draft

REST = 3.0  # times as long as a draft took, before the next one that nobody waits for: trials need the cores


class AskAhead:
    """Keeps a draft ready, drawn in a thread of its own, and draws it anew when there are news.

    A draft from before the last trial began is never handed out, because the sampler has to know of that trial: from
    `take` or `skip` until `resume`, by when the trial exists, nothing is drawn, and what was under way is dropped.
    """

    def __init__(self, draw: Callable[[], Draft]) -> None:
        self._draw = draw
        self._changed = threading.Condition()
        self._news = self._round = 0
        self._held = self._closing = False
        self._ready: tuple[int, Draft] | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="automl-ask-ahead", daemon=True)
        self._thread.start()

    def news(self) -> None:
        """Something was reported: the draft is drawn anew, if there is time before it is taken."""
        with self._changed:
            self._news += 1
            self._changed.notify_all()

    def take(self) -> tuple[Draft, int]:
        """The draft, and how many news came since it was begun. Waits where none was finished since the last trial.

        Raises what the sampler raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self._error is not None)
            if self._ready is None:
                assert self._error is not None
                raise self._error
            begun, draft = self._ready
            self._hold()
            return draft, self._news - begun

    def skip(self) -> None:
        """A trial begins without a draft."""
        with self._changed:
            self._hold()

    def resume(self) -> None:
        """The trial is known to the study: the next draft may be drawn."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the thread, after the draft that it may be at."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    # ------------------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._ready, self._held = None, True
        self._round += 1

    def _wanted(self) -> bool:
        stale = self._ready is None or self._ready[0] < self._news
        return self._closing or (stale and not self._held)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._wanted)
                if self._closing:
                    return
                begun, now = self._news, self._round
            start = time.monotonic()
            try:
                draft = self._draw()
            except Exception as error:  # raised where the draft is taken
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                if now == self._round:
                    self._ready = (begun, draft)
                    self._changed.notify_all()
                    rest = start + (1.0 + REST) * (time.monotonic() - start) - time.monotonic()
                    self._changed.wait_for(lambda: self._closing or self._ready is None, max(rest, 0.0))
