"""What the next trial tries."""

from collections.abc import Iterator

import pytest

from automl.records import Config
from automl.search import search
from automl.search.control.suggestions import Limit, Suggestion, Suggestions
from automl.search.reasons import Code
from automl.search.round_time import Expected, Forecast
from automl.search.sampling.registry import context_of, make_sampler
from automl.search.storage.store import Store
from tests.search.storage.test_store import KEYS
from tests.search.toy import ToySpace, context, settings

AMPLE = Limit(3, 1e9)


def expect(config: Config) -> Expected:
    """A round takes x seconds, and ten times as long with kind b."""
    return Expected(config["kind"], config["x"] * (10 if config["kind"] == "b" else 1))


class Desk:
    """A store with suggestions over it."""

    def __init__(self, portfolio: tuple[Config, ...] = (), seed: int = 0) -> None:
        self.store = Store.open(
            None, "s", fingerprint=KEYS, make_sampler=lambda count: make_sampler("random", context(seed))
        )
        self.forecast = Forecast(expect)
        self.space = ToySpace(portfolio)
        self.open()

    def open(self) -> None:
        chosen = settings()
        past = self.store.trials()
        self.suggestions = Suggestions(self.store, self.space, chosen, self.forecast, past)

    def take(self, limit: Limit) -> Suggestion:
        found = self.suggestions.take(limit)
        self.store.adopt(found.draft, time=0.0, origin=found.origin)
        self.suggestions.adopted()
        return found


A, B, C = {"x": 0.9, "kind": "a"}, {"x": 0.9, "kind": "b", "extra": 0.5}, {"x": 0.1, "kind": "a"}


def test_portfolio_comes_first_and_in_order() -> None:
    desk = Desk((A, B, C))
    assert [desk.take(AMPLE).draft.config for _ in range(3)] == [A, B, C]
    assert desk.take(AMPLE).origin == "sampler"


def test_slow_entry_of_the_portfolio_waits_and_the_reason_is_told() -> None:
    desk = Desk((B, A, C))
    found = desk.take(Limit(3, 5.0))
    assert found.draft.config == A and found.origin == "portfolio"
    (note,) = found.notes
    assert (
        str(note)
        == "left out: a configuration needs 27 s to its first comparison, and 5 s are left (0 more left out)"
    )
    assert desk.take(AMPLE).draft.config == B


def test_continued_study_goes_on_with_what_was_not_tried_of_the_portfolio() -> None:
    desk = Desk((B, A, C))
    assert desk.take(Limit(3, 5.0)).draft.config == A
    desk.open()
    assert [desk.take(AMPLE).draft.config for _ in range(2)] == [B, C]


@pytest.mark.parametrize("seed", range(5))
def test_suggestion_that_would_take_too_long_is_drawn_again(seed: int) -> None:
    desk = Desk(seed=seed)
    found = [desk.take(Limit(1, 0.5)) for _ in range(6)]
    assert all(expect(one.draft.config).seconds <= 0.5 for one in found)
    assert any(note.code is Code.LEFT_OUT for one in found for note in one.notes)


def test_quickest_is_taken_where_none_fits() -> None:
    desk = Desk()
    assert expect(desk.take(Limit(1, 1e-9)).draft.config).seconds < 0.2


def test_slow_configurations_are_not_begun_near_the_deadline() -> None:
    def train(config: Config) -> Iterator[dict[str, float]]:
        while True:
            yield {"accuracy": config["x"], "seconds": expect(config).seconds}

    def in_vain(seed: int, **changes: object) -> int:
        chosen = settings(n_trials=None, time_limit=30.0, policy="asha", seed=seed, **changes)
        return sum(trial.rounds < 2 for trial in search(train, ToySpace(), chosen).trials)

    assert sum(in_vain(seed) for seed in range(8)) > 3
    assert [in_vain(seed, expect=expect) for seed in range(8)] == [0] * 8


def test_constraints_hold_also_for_what_is_drawn_again_for_being_slow() -> None:
    class Limited(ToySpace):
        constraints = ("x <= 0.05 or x >= 0.6",)

        def allows(self, config: Config) -> bool:
            return not 0.05 < config["x"] < 0.6

    desk = Desk(seed=3)
    desk.space = Limited()
    sampler = make_sampler("random", context_of(desk.space, settings(), seed=3))
    desk.store = Store.open(None, "s", fingerprint=KEYS, make_sampler=lambda count: sampler)
    desk.open()
    found = [desk.take(Limit(1, 0.3)) for _ in range(12)]
    assert all(Limited().allows(one.draft.config) for one in found)
    assert all(expect(one.draft.config).seconds <= 0.3 for one in found)
    assert any(note.code is Code.LEFT_OUT for one in found for note in one.notes)
