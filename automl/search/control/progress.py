"""Tells a person how the search goes."""

from __future__ import annotations

from automl.records import Observer, TrialEvent
from automl.search.control.incumbent import Incumbent
from automl.search.control.timing import Timing
from automl.search.control.trial import LiveTrial
from automl.search.settings import SearchSettings


class Teller:
    """Makes events of what happens to trials. `done` counts the trials that are over."""

    def __init__(
        self, observer: Observer, settings: SearchSettings, time: Timing, incumbent: Incumbent
    ) -> None:
        self._observer = observer
        self._n_trials = settings.n_trials
        self._time = time
        self._incumbent = incumbent
        self.done = 0

    def trial(self, live: LiveTrial, reason: str) -> None:
        """Something happened to a trial."""
        best = self._incumbent.is_best(live.number)
        now = self._time.now()
        event = TrialEvent(live.number, live.state, live.config, live.round, live.value, now, reason, best)
        self._observer.trial(event)
        self._progress()

    def note(self, text: str) -> None:
        """One sentence; nothing for an empty one."""
        if text:
            self._observer.note(text)

    def _progress(self) -> None:
        """Tells how far the search is: by time or by trials, whichever is nearer to its end."""
        spent = self._time.spent()
        ways = [] if spent is None else [spent]
        if self._n_trials is not None:
            ways.append((float(self.done), float(self._n_trials)))
        self._observer.progress(*max(ways, key=lambda way: way[0] / way[1]))
