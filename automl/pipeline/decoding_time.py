"""How long decoding takes: the least that a study needs, and all images of a resumed one within its time limit."""

from __future__ import annotations

import numpy as np

from automl.config.durations import format_duration
from automl.config.shortest_limit import SPARE, WORKING_S
from automl.data import Source
from automl.data.constants import CPU_SIZE
from automl.data.pixels import to_pixels
from automl.data.prepare import LEAST
from automl.errors import DataError, TimeLimitError
from automl.machine import Moment, cores
from automl.pipeline.context import Context
from automl.pipeline.plan.constants import TRIED_IMAGES
from automl.records import PassedOn

SHARE = 0.7  # of the time left, at most: what follows takes time as well
JUDGED_AFTER_S = 2.0  # of decoding


def least_seconds(source: Source, slower: float) -> float:
    """Return the seconds that the smallest useful work on these data still takes, after a look at some images.

    `slower` is how many times other programs slow this machine down. Images that cannot be read count as they are.
    """
    n = len(source.files)
    rows = np.linspace(0, n - 1, num=min(n, TRIED_IMAGES)).astype(np.int64).tolist()
    begun = Moment.now()
    for row in rows:
        try:
            to_pixels(source.load(row), size=CPU_SIZE, channels=3)
        except DataError:
            continue
    each = Moment.now().after(begun) / max(1, len(rows))
    return SPARE * (WORKING_S * slower + each * min(n, LEAST) / cores())


class AllInTime(PassedOn):
    """An observer that ends the program if the images cannot all be decoded in time.

    A resumed study needs all images of its first run, so fewer do not do. They are in the cache, unless other studies
    have taken their place or it was removed.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context.observer)
        self._clock = context.clock
        self._left = context.clock.remaining() or 0.0
        self._until = Moment.now().later(SHARE * self._left)
        self._begun = Moment.now()
        # When how many were done: processes take time to start.
        self._first: tuple[Moment, float] | None = None

    def stage(self, name: str, text: str) -> None:
        """Pass it on. Each stage has its own progress."""
        self._begun, self._first = Moment.now(), None
        self.observer.stage(name, text)

    def progress(self, done: float, total: float) -> None:
        """Pass it on. Raises TimeLimitError once it shows that the rest takes too long."""
        self.observer.progress(done, total)
        begun, before = self._first = self._first or (Moment.now(), done)
        spent = Moment.now().after(begun)
        if spent < JUDGED_AFTER_S or not before < done < total:
            return
        rest = spent * (total - done) / (done - before)
        if rest <= self._until.left():
            return
        whole = Moment.now().after(self._begun) + rest
        raise TimeLimitError(
            f"the decoded images of this study are no longer in the cache, and to decode all {total:,.0f} again takes "
            f"about {format_duration(whole)} of the {format_duration(self._left)} left: nothing was changed; resume "
            f"with `--time-limit {format_duration(self._needed(whole))}` or more"
        )

    def _needed(self, decoding: float) -> float:
        """Return a time limit that is long enough, in tens of seconds."""
        used = self._clock.elapsed() - Moment.now().after(self._begun)
        return 10.0 * -(-(used + decoding / SHARE) // 10.0)
