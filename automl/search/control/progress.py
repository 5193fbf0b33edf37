"""Reports to the observer: what happens to trials, and how far the search is."""

from __future__ import annotations

from collections.abc import Mapping

from automl.records import BestSoFar, Config, Observer, TrialEvent
from automl.search.control.incumbent import Incumbent
from automl.search.control.timing import Timing
from automl.search.control.trial import LiveTrial
from automl.search.settings import SearchSettings


class Progress:
    """Turns what happens to `trials` into events. `done` counts the trials that are over."""

    def __init__(
        self,
        observer: Observer,
        settings: SearchSettings,
        time: Timing,
        incumbent: Incumbent,
        trials: Mapping[int, LiveTrial],
    ) -> None:
        self._observer = observer
        self._n_trials = settings.n_trials
        self._most_rounds = settings.max_rounds
        self._time = time
        self._incumbent = incumbent
        self._trials = trials
        self._attributes = settings.attributes
        self.done = 0

    def trial(self, live: LiveTrial, reason: str) -> None:
        """Report that something happened to a trial, and how far the search is."""
        best = self._best()
        event = TrialEvent(
            trial=live.number,
            state=live.state,
            config=self._told(live.config),
            round=live.round,
            value=live.value,
            time=self._time.now(),
            reason=reason,
            incumbent=best is not None and best.trial == live.number,
            best=best,
            most_rounds=self._most_rounds,
            seconds=live.seconds,
            metrics=live.metrics,
        )
        self._observer.trial(event)
        # Measured in time or in trials, whichever is nearer to its end.
        spent = self._time.spent()
        measures = [] if spent is None else [spent]
        if self._n_trials is not None:
            measures.append((float(self.done), float(self._n_trials)))
        self._observer.progress(*max(measures, key=lambda measure: measure[0] / measure[1]))

    def _best(self) -> BestSoFar | None:
        found = self._incumbent.best
        if found is None:
            return None
        return BestSoFar(found.trial, found.value, found.round, self._told(self._trials[found.trial].config))

    def _told(self, config: Config) -> Config:
        return config if self._attributes is None else {**config, **self._attributes(config)}

    def note(self, text: str) -> None:
        """Report a sentence, unless it is empty."""
        if text:
            self._observer.note(text)
