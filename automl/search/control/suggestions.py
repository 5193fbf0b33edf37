"""Suggestions: what the next trial tries. First the portfolio, then the sampler, and nothing that takes too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.records import Config
from automl.search.control.prefetch import Prefetcher
from automl.search.reasons import Code, Reason
from automl.search.round_time import Forecast
from automl.search.sampling.drafts import Draft
from automl.search.sampling.registry import context_of, within_constraints
from automl.search.settings import SearchSettings
from automl.search.space import Space
from automl.search.storage.reader import StoredTrial
from automl.search.storage.store import Store

PORTFOLIO, SAMPLER = "portfolio", "sampler"
ASKED_AGAIN = 3  # times that the sampler is asked again where its suggestion takes too long,
AT_RANDOM = 30  # and then random draws, of which one will do


@dataclass(frozen=True)
class Limit:
    """What a new trial has to keep: its first `rounds` must fit into so many `seconds`."""

    rounds: int
    seconds: float


@dataclass(frozen=True)
class Suggestion:
    """A draft, its origin, and notes about how it was chosen."""

    draft: Draft
    origin: str
    notes: tuple[Reason, ...] = ()


class Suggestions:
    """Hands out drafts. After `take`, the caller makes a trial of the draft and then calls `adopted`."""

    def __init__(
        self,
        store: Store,
        space: Space,
        settings: SearchSettings,
        forecast: Forecast,
        past: Sequence[StoredTrial],
    ) -> None:
        self._store, self._space, self._forecast, self._settings = store, space, forecast, settings
        own = space.portfolio if settings.portfolio is None else settings.portfolio
        self._portfolio = _untried(own, past)
        self._prefetcher: Prefetcher | None = None

    def prefetch(self) -> None:
        """From now on, ask the sampler in a thread, before there is need."""
        if self._prefetcher is None:
            self._prefetcher = Prefetcher(lambda: self._store.draw(self._space.suggest))

    def invalidate(self) -> None:
        """The study has changed: a suggestion that is ready may be out of date."""
        if self._prefetcher is not None and self._more():
            self._prefetcher.invalidate()

    def adopted(self) -> None:
        """What was taken has become a trial."""
        if self._prefetcher is not None and self._more():
            self._prefetcher.resume()

    def close(self) -> None:
        """Stop the thread, if there is one."""
        if self._prefetcher is not None:
            self._prefetcher.close()
            self._prefetcher = None

    def take(self, limit: Limit) -> Suggestion:
        """Return the next configuration whose first rounds fit into the time; if none does, the quickest one drawn.

        The notes name what was left out.
        """
        for place, config in enumerate(self._portfolio):
            if self._too_slow(config, limit) is None:
                left_out = [self._too_slow(one, limit) for one in self._portfolio[:place]]
                del self._portfolio[place]
                if self._prefetcher is not None:
                    self._prefetcher.skip()
                fixed = self._space.to_params(config)
                draft = self._store.draw(self._space.suggest, fixed=fixed)
                return Suggestion(draft, PORTFOLIO, _notes(left_out))
        draft, notes = self._first()
        why = self._too_slow(draft.config, limit)
        if why is None:
            return Suggestion(draft, SAMPLER, notes)
        drafts, left_out = [draft], [why]
        for attempt in range(ASKED_AGAIN + AT_RANDOM):
            drafts.append(self._another(attempt))
            why = self._too_slow(drafts[-1].config, limit)
            if why is None:
                return Suggestion(drafts[-1], SAMPLER, (*notes, *_notes(left_out)))
            left_out.append(why)
        quickest = min(drafts, key=lambda one: self._forecast.seconds(one.config) or 0.0)
        return Suggestion(quickest, SAMPLER, (*notes, *_notes(left_out[1:])))

    # --------------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        return self._settings.n_trials is None or len(self._store) < self._settings.n_trials

    def _first(self) -> tuple[Draft, tuple[Reason, ...]]:
        if self._prefetcher is None:
            return self._store.draw(self._space.suggest), ()
        draft, since = self._prefetcher.take()
        return draft, (Reason(Code.PREFETCHED, {"reports": since}),)

    def _another(self, attempt: int) -> Draft:
        if attempt < ASKED_AGAIN:
            return self._store.draw(self._space.suggest)
        from optuna.samplers import RandomSampler

        seed = (self._settings.seed * 1_000_003 + len(self._store) * 101 + attempt) % 2**32
        # Without the priors: the configurations that they favour are what takes too long.
        context = context_of(self._space, self._settings, seed=seed)
        sampler = within_constraints(RandomSampler(seed=seed), context)
        return self._store.draw(self._space.suggest, sampler=sampler)

    def _too_slow(self, config: Config, limit: Limit) -> dict[str, str | float] | None:
        """Return the model and the seconds of a configuration that exceeds the limit, None for any other."""
        seconds = self._forecast.seconds(config)
        if seconds is None or limit.rounds * seconds <= limit.seconds:
            return None
        model = str(config.get("model", "a configuration"))
        return {"model": model, "needed": limit.rounds * seconds, "left": limit.seconds}


def _notes(left_out: Sequence[Mapping[str, str | float] | None]) -> tuple[Reason, ...]:
    """Return a note about configurations that take too long: the first, and how many others."""
    first = next(iter(left_out), None)
    if first is None:
        return ()
    return (Reason(Code.LEFT_OUT, {**first, "others": len(left_out) - 1}),)


def _untried(portfolio: Sequence[Config], past: Sequence[StoredTrial]) -> list[Config]:
    """Return the portfolio without the configurations that an earlier run has tried.

    A trial's configuration may hold more than what the portfolio asked for. Where none agrees, because the portfolio
    has changed, as many as were tried are left out from the front.
    """
    left = list(portfolio)
    for trial in past:
        if trial.origin == PORTFOLIO and left:
            same = (
                place
                for place, config in enumerate(left)
                if all(trial.config.get(name) == value for name, value in config.items())
            )
            del left[next(same, 0)]
    return left
