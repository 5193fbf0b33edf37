"""The time of the retrain: what is reserved after it, and how long it is after Ctrl-C."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from automl import machine
from automl.data import open_source
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.earlier import Earlier
from automl.final.retrain import Retrained
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan.plan import first_config
from automl.pipeline.retrain.retrain_time import RetrainTime
from automl.pipeline.setup import Setup, prepare
from automl.pipeline.study_folder import open_workspace
from automl.records import Report, Silent, TrialState
from automl.search import BestTrial, SearchResult
from automl.search.reasons import Code, Reason
from automl.search.storage.reader import StoredTrial
from automl.training.models.complexity import MACS
from tests.pipeline.test_fit import config_for, digits

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    directory = tmp_path_factory.mktemp("studies")
    config = config_for(directory, n_trials=1)
    workspace = open_workspace(str(directory), "tiny", overwrite=False)
    found = prepare(Context(config, workspace, Clock(None), Silent()), open_source(digits()))
    # One thread and a round of a second, whatever this machine has.
    device = replace(found.device, all_threads=1, replicas=1)
    yield replace(found, clock=Clock(300.0), device=device, budget=replace(found.budget, round_s=1.0))
    workspace.close()


def found(rounds: int, seconds: float, *, stopped: Code | None = None) -> SearchResult:
    """A search whose best trial took so many rounds of so many seconds, with 100 images each."""
    reports = tuple(Report(0, k, 0.9, seconds, {"images": 100.0, "epochs": k}) for k in range(1, rounds + 1))
    times = tuple(float(k) for k in range(rounds))
    trial = StoredTrial(0, TrialState.COMPLETE, {}, "", reports, times, rounds, None, False, 0.0, 1.0)
    best = BestTrial(0, {"model": "m", "lr": 0.1}, 0.9, rounds, None)
    return SearchResult(best, (trial,), "max", None if stopped is None else Reason(stopped), 1.0)


@pytest.mark.parametrize(
    ("planned", "seconds", "stopped", "expected"),
    [
        (30.0, 1.0, None, 200.0),  # without Ctrl-C all of the time
        (30.0, 1.0, Code.TIME_IS_UP, 200.0),
        (30.0, 1.0, Code.INTERRUPTED, 30.0),  # the planned time
        (1.0, 1.0, Code.INTERRUPTED, 20.0),  # a plan of a second holds no batch
        (None, 1.0, Code.INTERRUPTED, 200.0),
    ],
)
def test_ctrl_c_leaves_the_retrain_its_planned_time(
    setup: Setup, planned: float | None, seconds: float, stopped: Code | None, expected: float
) -> None:
    chosen = replace(setup, budget=replace(setup.budget, retrain_s=planned))
    assert RetrainTime(chosen, found(3, seconds, stopped=stopped)).capped(200.0) == pytest.approx(expected)


def test_ctrl_c_leaves_the_retrain_twice_the_best_trials_work(setup: Setup) -> None:
    chosen = replace(setup, budget=replace(setup.budget, retrain_s=1.0))
    time = RetrainTime(chosen, found(60, 1.0, stopped=Code.INTERRUPTED))
    assert time.capped(200.0) == pytest.approx(2 * 60.0, rel=0.2)
    assert time.capped(5.0) == 5.0  # what the limit leaves


def test_reserve_follows_the_median_of_what_scoring_a_row_took(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "slowdown", lambda: 1.0)
    n = setup.data.splits.info.n_holdout
    time = RetrainTime(setup, found(3, 1.0), compared=52)
    assert setup.clock.remaining() == pytest.approx(300.0, abs=60.0)
    for per_row, middle in (([0.01], 0.01), ([0.01, 0.02, 1.0], 0.02), ([0.01, 1.0], 0.01)):
        left = time.left(per_row)
        reserve = (setup.clock.remaining() or 0.0) - left
        assert reserve == pytest.approx(1.7 + 1.3 * (n + 52) * middle, abs=0.5)


def test_reserve_follows_from_this_machine_now_and_not_from_rounds_that_took_longer_than_planned(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of a second is planned; the first rounds of a network that is larger than planned take ten."""
    for slower, expected in ((1.0, 0.5 + 0.6 + 2 * 0.2), (2.0, 0.5 + 2 * 0.6 + 2 * 0.2)):
        monkeypatch.setattr(machine, "slowdown", lambda slower=slower: slower)
        time = RetrainTime(setup, found(3, 10.0))
        reserve = (setup.clock.remaining() or 0.0) - time.left([0.0], built=0.2)
        assert reserve == pytest.approx(expected, abs=0.3)


def test_share_of_the_trials_work_needs_a_limit_and_a_trial(setup: Setup) -> None:
    time = RetrainTime(setup, found(10, 1.0))
    plan = replace(time.plan(), epochs=10)
    assert time.share(replace(plan, seconds=5.0)) == pytest.approx(0.5, rel=0.2)
    assert time.share(replace(plan, seconds=None)) == math.inf
    assert RetrainTime(setup, found(0, 1.0)).share(replace(plan, seconds=5.0)) == math.inf
    short = time.too_short(replace(plan, seconds=2.0))
    assert short is not None and short.share == pytest.approx(0.2, rel=0.2)
    assert time.too_short(replace(plan, seconds=9.0)) is None
    assert time.trial_images == 1000


@pytest.mark.parametrize(
    ("images", "macs", "earlier_images", "expected"),
    [
        (1000, (5.0, 5.0), 1000, True),
        (999, (5.0, 5.0), 1000, False),
        (300, (20.0, 5.0), 1000, True),  # a larger network, with more multiplications in all
        (200, (20.0, 5.0), 1000, False),
        (1000, (5.0, 20.0), 1000, True),  # a smaller one that saw as many images
        (999, (math.nan, 5.0), 1000, False),
        (0, (5.0, 5.0), 0, True),  # the earlier model is a linear head
    ],
)
def test_retrain_is_as_long_by_images_or_by_multiplications(
    setup: Setup, images: int, macs: tuple[float, float], earlier_images: int, expected: bool
) -> None:
    trials = []
    for number, each in enumerate(macs):
        (trial,) = found(1, 1.0).trials
        report = replace(trial.reports[0], metrics={"images": 100.0, MACS: each})
        trials.append(replace(trial, number=number, reports=(report,)))
    search = replace(found(1, 1.0), trials=tuple(trials))
    trained = Retrained(nn.Identity(), 8, 1.0, 1.0, 100, images, setup.data.splits.info)
    model = Alternative(Delivery.EARLIER, {"model": "m"}, replace(trained, images_trained=earlier_images))
    earlier = Earlier(model, Delivery.RETRAINED, 1, np.empty(0, dtype=np.int64), {})
    assert RetrainTime(setup, search).as_long(trained, earlier) is expected


def test_time_for_a_fine_tuning_is_judged_by_its_own_speed(setup: Setup) -> None:
    """The measurement before the search is of a training from scratch, which may be a hundred times as fast."""
    tuned = {"model": "resnet18", "lr": 0.01, "pretrained": True}
    slow = found(3, 10.0)  # 10 images a second
    slow = replace(slow, best=replace(slow.best, config=tuned))
    plan = replace(RetrainTime(setup, slow).plan(), seconds=5.0)
    few = RetrainTime(setup, slow).too_few(plan)
    assert few is not None and few.images == 50
    assert RetrainTime(setup, slow).too_few(replace(plan, seconds=31.0)) is None  # more than its 300 images
    scratch = found(3, 10.0)
    assert RetrainTime(setup, scratch).too_few(replace(plan, seconds=31.0)) is None


def test_speed_of_a_fine_tuning_that_was_not_tried_follows_from_its_work(setup: Setup) -> None:
    none = replace(found(3, 10.0), trials=())
    measured = first_config(replace(setup.space, portfolio=setup.portfolio), setup.config.seed)
    rates = []
    for config in (measured, {"model": "resnet50", "lr": 0.01, "pretrained": True, "batch_size": 32}):
        some = replace(none, best=replace(none.best, config=config, value=math.nan))
        rates.append(RetrainTime(setup, some)._rate())
    assert rates[0] > 20 * rates[1] > 0.0


def test_passes_follow_from_the_best_trials_speed(setup: Setup) -> None:
    rows = setup.data.splits.info.n_train + setup.data.splits.info.n_val
    time = RetrainTime(setup, found(4, 1.0))  # 400 images in about 4 s
    second = time.trial_images / time._trial_seconds()
    plan = time.plan()
    assert time.few_passes(replace(plan, seconds=19.0 * rows / second))
    assert not time.few_passes(replace(plan, seconds=21.0 * rows / second))
    assert not time.few_passes(replace(plan, seconds=None))
