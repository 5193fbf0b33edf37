"""Drafts that are ready before they are needed."""

import threading
import time

import pytest

from automl.records import Report
from automl.search.control.prefetch import Prefetcher
from automl.search.sampling.drafts import Draft
from automl.search.sampling.registry import make_sampler
from automl.search.storage.store import Store, Worker
from tests.search.storage.test_store import KEYS, ON
from tests.search.toy import ToySpace, context, create
from tests.waiting import until


def opened(sampler: str = "random") -> Store:
    return Store.open(
        None, "s", fingerprint=KEYS, make_sampler=lambda count: make_sampler(sampler, context(count))
    )


class Drawing:
    """Draws from a real store, and says how often; the next draw may be made to wait."""

    def __init__(self, store: Store) -> None:
        self.store, self.begun, self.count = store, 0, 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> Draft:
        self.begun += 1
        self.go.wait(10)
        draft = self.store.draw(ToySpace().suggest)
        self.count += 1
        return draft


def test_draft_is_ready_before_it_is_taken_and_is_no_trial_until_then() -> None:
    store = opened()
    drawing = Drawing(store)
    prefetcher = Prefetcher(drawing)
    until(lambda: drawing.count == 1)
    assert len(store) == 0 and store.trials() == [] and store.mirror.get_trials() == []
    draft, since = prefetcher.take()
    number = store.adopt(draft, time=0.0, origin="sampler")
    prefetcher.resume()
    assert (number, since, len(store)) == (0, 0, 1)
    until(lambda: drawing.count == 2)
    assert prefetcher.take()[0].trial.number == 1
    prefetcher.close()
    store.close()


def test_news_lead_to_a_new_draft() -> None:
    store = opened()
    drawing = Drawing(store)
    prefetcher = Prefetcher(drawing)
    until(lambda: drawing.count == 1)
    prefetcher.invalidate()
    until(lambda: prefetcher._ready is not None and prefetcher._ready[0] == 1)
    assert drawing.count == 2 and prefetcher.take()[1] == 0
    prefetcher.close()
    store.close()


def test_draft_that_is_old_is_handed_out_while_a_new_one_is_drawn() -> None:
    store = opened()
    drawing = Drawing(store)
    prefetcher = Prefetcher(drawing)
    until(lambda: drawing.count == 1)
    drawing.go.clear()
    prefetcher.invalidate()
    prefetcher.invalidate()
    begun = time.monotonic()
    _, since = prefetcher.take()
    assert since == 2 and time.monotonic() - begun < 5
    drawing.go.set()
    prefetcher.close()
    store.close()


def test_draft_from_before_the_last_trial_is_never_handed_out() -> None:
    store = opened()
    drawing = Drawing(store)
    prefetcher = Prefetcher(drawing)
    until(lambda: drawing.count == 1)
    drawing.go.clear()
    prefetcher.invalidate()
    until(lambda: drawing.begun == 2)  # a second draft is under way, and knows of no trial
    draft, _ = prefetcher.take()
    drawing.go.set()
    until(lambda: drawing.count == 2)
    store.adopt(draft, time=0.0, origin="sampler")
    prefetcher.resume()
    assert prefetcher.take()[0].trial.number == 1
    prefetcher.skip()  # as a trial of a portfolio does
    create(store, time=0.0)
    prefetcher.resume()
    assert prefetcher.take()[0].trial.number == 2
    prefetcher.close()
    store.close()


def test_error_of_the_sampler_is_raised_where_the_draft_is_taken() -> None:
    def broken() -> Draft:
        raise ZeroDivisionError("the sampler broke")

    prefetcher = Prefetcher(broken)
    with pytest.raises(ZeroDivisionError, match="the sampler broke"):
        prefetcher.take()
    prefetcher.close()


@pytest.mark.parametrize("sampler", ["random", "tpe", "curve-gp", "qmc", "nsga2", "gp"])
def test_draft_is_what_the_sampler_would_have_suggested_and_leaves_no_trace(sampler: str) -> None:
    one, two = opened(sampler), opened(sampler)
    for _ in range(13):
        draft = one.draw(ToySpace().suggest)
        before = [(trial.number, trial.state) for trial in one.mirror.get_trials()]
        assert draft.trial.number == len(before) == len(one)
        number = one.adopt(draft, time=0.0, origin="sampler")
        assert (number, draft.config) == create(two, time=0.0)
        for store in (one, two):
            store.started(number, Worker("w", "n", 1), 0.0)
            store.report(Report(number, 9, draft.config["x"], 1.0), ON, 1.0)
            store.complete(number, draft.config["x"], 1.0)
    one.close()
    two.close()
