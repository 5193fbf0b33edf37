"""What the next trial tries: first from the portfolio, then from the sampler, and nothing that takes too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.records import Config
from automl.search.control.prefetch import AskAhead
from automl.search.reasons import Code, Reason
from automl.search.round_time import Forecast
from automl.search.sampling.drafts import Draft
from automl.search.sampling.registry import context_of, within_constraints
from automl.search.settings import SearchSettings
from automl.search.space import Space
from automl.search.storage.reader import StoredTrial
from automl.search.storage.store import Store

PORTFOLIO, SAMPLER = "portfolio", "sampler"
AGAIN = 3  # times that the sampler is asked again where its suggestion takes too long,
AT_RANDOM = 30  # and then draws at random, of which one will do


@dataclass(frozen=True)
class Limit:
    """What a new trial has to keep: its first `rounds` must fit into so many `seconds`."""

    rounds: int
    seconds: float


@dataclass(frozen=True)
class Suggestion:
    """A draft, where it came from, and what a person may want to know about how it was chosen."""

    draft: Draft
    origin: str
    notes: tuple[Reason, ...] = ()


class Suggestions:
    """Hands out drafts. After `take`, the caller makes a trial of the draft and then calls `taken`."""

    def __init__(
        self,
        store: Store,
        space: Space,
        settings: SearchSettings,
        forecast: Forecast,
        past: Sequence[StoredTrial],
    ) -> None:
        self._store, self._space, self._forecast = store, space, forecast
        self._settings, self._n_trials = settings, settings.n_trials
        own = space.portfolio if settings.portfolio is None else settings.portfolio
        self._portfolio = _untried(own, past)
        self._ahead: AskAhead | None = None

    def ask_ahead(self) -> None:
        """From now on the sampler is asked in a thread, before there is need."""
        if self._ahead is None:
            self._ahead = AskAhead(lambda: self._store.draw(self._space.suggest))

    def news(self) -> None:
        """The study knows more than before."""
        if self._ahead is not None and self._more():
            self._ahead.news()

    def close(self) -> None:
        """Nothing will be asked any more."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def taken(self) -> None:
        """What was taken has become a trial."""
        if self._ahead is not None and self._more():
            self._ahead.resume()

    def take(self, limit: Limit) -> Suggestion:
        """The next configuration whose first rounds fit into the time; if none does, the quickest that was drawn.

        What was passed over is told in the notes.
        """
        for place, config in enumerate(self._portfolio):
            if self._too_slow(config, limit) is None:
                passed = [self._too_slow(one, limit) for one in self._portfolio[:place]]
                del self._portfolio[place]
                if self._ahead is not None:
                    self._ahead.skip()
                fixed = self._space.to_params(config)
                draft = self._store.draw(self._space.suggest, fixed=fixed)
                return Suggestion(draft, PORTFOLIO, _passed_over(passed))
        draft, notes = self._first()
        why = self._too_slow(draft.config, limit)
        if why is None:
            return Suggestion(draft, SAMPLER, notes)
        drafts, passed = [draft], [why]
        for attempt in range(AGAIN + AT_RANDOM):
            drafts.append(self._again(attempt))
            why = self._too_slow(drafts[-1].config, limit)
            if why is None:
                return Suggestion(drafts[-1], SAMPLER, (*notes, *_passed_over(passed)))
            passed.append(why)
        quickest = min(drafts, key=lambda one: self._forecast.seconds(one.config) or 0.0)
        return Suggestion(quickest, SAMPLER, (*notes, *_passed_over(passed[1:])))

    # ------------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        return self._n_trials is None or len(self._store) < self._n_trials

    def _first(self) -> tuple[Draft, tuple[Reason, ...]]:
        if self._ahead is None:
            return self._store.draw(self._space.suggest), ()
        draft, since = self._ahead.take()
        return draft, (Reason(Code.ASKED_AHEAD, {"reports": since}),)

    def _again(self, attempt: int) -> Draft:
        if attempt < AGAIN:
            return self._store.draw(self._space.suggest)
        from optuna.samplers import RandomSampler

        seed = (self._settings.seed * 1_000_003 + len(self._store) * 101 + attempt) % 2**32
        # Not by the priors: what they speak for is what takes too long.
        context = context_of(self._space, self._settings, seed=seed)
        sampler = within_constraints(RandomSampler(seed=seed), context)
        return self._store.draw(self._space.suggest, sampler=sampler)

    def _too_slow(self, config: Config, limit: Limit) -> dict[str, str | float] | None:
        """The name and the seconds of a configuration that does not keep the limit; None for one that does."""
        seconds = self._forecast.seconds(config)
        if seconds is None or limit.rounds * seconds <= limit.seconds:
            return None
        model = str(config.get("model", "a configuration"))
        return {"model": model, "needed": limit.rounds * seconds, "left": limit.seconds}


def _passed_over(passed: Sequence[Mapping[str, str | float] | None]) -> tuple[Reason, ...]:
    """A note about configurations that take too long: the first, and how many others."""
    first = next(iter(passed), None)
    if first is None:
        return ()
    return (Reason(Code.PASSED_OVER, {**first, "others": len(passed) - 1}),)


def _untried(portfolio: Sequence[Config], past: Sequence[StoredTrial]) -> list[Config]:
    """The portfolio without what an earlier run has tried of it. A trial's configuration may hold more than what was
    asked for; where none agrees (a portfolio that was changed), as many as were tried are left out from the front.
    """
    left = list(portfolio)
    for trial in past:
        if trial.origin == PORTFOLIO and left:
            same = (place for place, config in enumerate(left) if _agrees(trial.config, config))
            del left[next(same, 0)]
    return left


def _agrees(tried: Config, config: Config) -> bool:
    return all(tried.get(name) == value for name, value in config.items())
