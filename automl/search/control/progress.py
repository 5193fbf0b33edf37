"""Reports to the observer: what happens to trials, and how far the search is."""

from __future__ import annotations

from automl.records import Observer, TrialEvent
from automl.search.control.incumbent import Incumbent
from automl.search.control.timing import Timing
from automl.search.control.trial import LiveTrial
from automl.search.settings import SearchSettings


class Progress:
    """Turns what happens to trials into events. `done` counts the trials that are over."""

    def __init__(
        self, observer: Observer, settings: SearchSettings, time: Timing, incumbent: Incumbent
    ) -> None:
        self._observer = observer
        self._n_trials = settings.n_trials
        self._time = time
        self._incumbent = incumbent
        self.done = 0

    def trial(self, live: LiveTrial, reason: str) -> None:
        """Report that something happened to a trial, and how far the search is."""
        best = self._incumbent.is_best(live.number)
        now = self._time.now()
        event = TrialEvent(live.number, live.state, live.config, live.round, live.value, now, reason, best)
        self._observer.trial(event)
        # Measured in time or in trials, whichever is nearer to its end.
        spent = self._time.spent()
        measures = [] if spent is None else [spent]
        if self._n_trials is not None:
            measures.append((float(self.done), float(self._n_trials)))
        self._observer.progress(*max(measures, key=lambda measure: measure[0] / measure[1]))

    def note(self, text: str) -> None:
        """Report a sentence, unless it is empty."""
        if text:
            self._observer.note(text)
