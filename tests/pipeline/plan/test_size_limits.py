"""Which networks suit the time of a study."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from automl import pipeline
from automl.pipeline.plan import plan as planning
from automl.pipeline.plan.budget import Work
from automl.pipeline.plan.epoch_cost import drawn, epoch_work
from automl.pipeline.plan.size_limits import SizeLimits, max_epochs
from automl.records import Config, DatasetInfo
from automl.result import FitResult
from automl.search import search
from automl.search.sampling.registry import SAMPLERS
from automl.spaces import SearchSpace
from automl.spaces.narrow import narrowed
from tests.pipeline.test_fit import config_for
from tests.search.toy import ToySpace, climb, settings

SPACE = narrowed(SearchSpace.load("cpu"), pretrained=False)
QUARTER = SPACE.portfolio[0]
INFO = DatasetInfo(
    "d", "classification", ("a", "b"), 3, 32, (0.5,) * 3, (0.2,) * 3, (10, 10), "x", 3200, 800, 2000, 0
)
WORK = Work(3200, 800, 2000, 1000.0, 2, retrain_speedup=1.75)


def of_time(seconds: float, *, rate: float = 1000.0) -> SizeLimits:
    """What fits so much time on a machine that trains the quarter of a network at this rate."""
    work = replace(WORK, images_per_second=rate)
    unit = work.epoch_seconds / epoch_work(QUARTER, INFO)
    return SizeLimits(INFO).fitted(SPACE, work, remaining=seconds, unit=unit, seed=0)


def test_quarter_of_a_network_is_for_minutes_and_half_of_one_for_ten() -> None:
    half = {**QUARTER, "width": 0.5}
    short, long = of_time(170.0), of_time(590.0)
    assert short(QUARTER) and short(half)
    assert not long(QUARTER) and long(half)
    assert short.filter(SPACE.portfolio)[0] == QUARTER and long.filter(SPACE.portfolio)[0] == half


def test_network_that_hardly_begins_is_left_out() -> None:
    vit = next(config for config in SPACE.portfolio if config["family"] == "vit")
    assert not of_time(170.0)(vit) and of_time(3600.0)(vit)


def test_limit_is_where_the_retrain_would_make_its_most_epochs() -> None:
    limits = of_time(590.0)
    epochs = 0.6 * (590.0 - WORK.closing_seconds) * 1750.0 / 4000 * epoch_work(QUARTER, INFO) / limits.least
    assert epochs == pytest.approx(110.0, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(100, 800), (1000, 110), (4000, 110), (16_000, 55), (20_000, 49), (1_281_167, 20)]
)
def test_many_images_want_a_larger_network_rather_than_many_epochs(rows: int, epochs: int) -> None:
    assert round(max_epochs(rows)) == epochs


@pytest.mark.parametrize(("seconds", "rate"), [(7 * 86_400.0, 1000.0), (60.0, 1.0)])
def test_nothing_is_left_out_where_all_of_the_space_is_too_small_or_too_large(
    seconds: float, rate: float
) -> None:
    limits = of_time(seconds, rate=rate)
    assert all(map(limits, drawn(SPACE, 1))) and not limits.sentence(SPACE, 0)


def test_weights_are_fine_tuned_for_few_epochs_whatever_their_size() -> None:
    limits = of_time(590.0)
    assert limits({**QUARTER, "pretrained": True})


def test_portfolio_of_which_nothing_suits_stays() -> None:
    assert of_time(590.0).filter((QUARTER,)) == (QUARTER,)


def test_what_suits_is_kept_with_the_plan() -> None:
    for limits in (of_time(590.0), of_time(7 * 86_400.0), SizeLimits(INFO)):
        assert SizeLimits.from_dict(INFO, json.loads(json.dumps(limits.to_dict()))) == limits
    assert SizeLimits.from_dict(INFO, {}) == SizeLimits(INFO)


def test_words_tell_the_share_that_is_left_out() -> None:
    limits = of_time(170.0)
    share = sum(not limits(config) for config in drawn(SPACE, 0)) / len(drawn(SPACE, 0))
    assert 0.1 < share < 0.75
    gone = sum(not limits(config) for config in SPACE.portfolio)
    assert limits.sentence(SPACE, 0).startswith(
        f"About {share:.0%} of the search space is left out, with {gone} of its {len(SPACE.portfolio)} first"
    )


def test_nothing_is_left_out_of_a_space_that_has_nothing_between() -> None:
    families = {"small": ["mobilenetv3_small_050"], "large": ["resnet50"]}
    space = SearchSpace.from_dict(
        {"families": families, "parameters": {"lr": {"type": "float", "low": 0.1, "high": 1.0}}}
    )
    for seconds in (60.0, 600.0, 6000.0, 60_000.0):
        unit = WORK.epoch_seconds / epoch_work(QUARTER, INFO)
        limits = SizeLimits(INFO).fitted(space, WORK, remaining=seconds, unit=unit, seed=0)
        assert sum(map(limits, drawn(space, 0))) >= 0.1 * len(drawn(space, 0))


# CMA-ES needs a package that is not installed with ours.
@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"cmaes"}))
def test_samplers_suggest_only_what_suits(sampler: str) -> None:
    def limits(config: Config) -> bool:
        return bool(config["x"] < 0.3)

    trials = search(climb, ToySpace(), settings(sampler=sampler, size_limits=limits, n_trials=14)).trials
    assert len(trials) == 14 and all(trial.config["x"] < 0.3 for trial in trials)


def test_space_keeps_its_constraints_beside_what_suits() -> None:
    space = SearchSpace.from_dict(
        {
            "families": {"resnet": ["resnet10t"]},
            "parameters": {"lr": {"type": "float", "low": 0.0, "high": 1.0}},
            "constraints": ["lr > 0.5"],
        }
    )
    chosen = settings(size_limits=lambda config: config["lr"] < 0.6)
    trials = search(lambda config: climb({"x": config["lr"]}), space, chosen).trials
    assert all(0.5 < trial.config["lr"] < 0.6 for trial in trials)


def test_few_images_allow_more_epochs() -> None:
    few = replace(INFO, n_train=195, n_val=49)
    work = replace(WORK, n_train=195, n_val=49, n_holdout=153, images_per_second=150.0)
    unit = work.epoch_seconds / epoch_work(QUARTER, few)
    limits = SizeLimits(few).fitted(SPACE, work, remaining=280.0, unit=unit, seed=0)
    epochs = 0.6 * (280.0 - work.closing_seconds) * 1.75 * 150.0 / 244
    assert epochs > 1.5 * 110.0 and limits(QUARTER)


SMALL_AND_WHOLE: dict[str, Any] = {
    "families": {"resnet": ["resnet10t"]},
    "parameters": {
        "width": {"type": "categorical", "choices": [0.25, 0.3, 0.35, 0.4, 0.45, 1.0]},
        "lr": {"type": "float", "low": 1e-3, "high": 1e-2},
    },
}
FIRST = {"family": "resnet", "model": "resnet10t", "lr": 0.003}


@pytest.mark.study
@pytest.mark.parametrize("portfolio", [[{**FIRST, "width": 0.25}, {**FIRST, "width": 1.0}], []])
@pytest.mark.alone
def test_study_tries_only_what_suits_and_goes_on_so(
    portfolio: list[Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole_ones(limits: SizeLimits, *_: Any, **__: Any) -> SizeLimits:
        info = limits.info
        return replace(limits, least=epoch_work({"model": "resnet10t", "lr": 0.1, "width": 0.5}, info))

    monkeypatch.setattr(SizeLimits, "fitted", whole_ones)
    monkeypatch.setattr(planning, "part_of_rows", lambda *_: 0.5)
    options: dict[str, Any] = {
        "space": {**SMALL_AND_WHOLE, "portfolio": portfolio},
        "epochs": None,
        "directory": tmp_path,
    }
    first = pipeline.fit(config_for(**options, n_trials=1, time_limit=14.0))
    assert set(read_trials(first)["width"]) == {1.0}
    if portfolio:
        return
    monkeypatch.setattr(SizeLimits, "fitted", None)  # a continued study keeps what was found
    monkeypatch.setattr(planning, "part_of_rows", None)
    kept = first.directory / "plan.json"
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "score_pretrained": 0.7}))
    second = pipeline.fit(config_for(**options, n_trials=2, time_limit=14.0))
    assert set(read_trials(second)["width"]) == {1.0}
    plan = json.loads((second.directory / "plan.json").read_text())
    assert plan["suits"]["least"] > 0
    assert (plan["share"], plan["score_pretrained"]) == (0.5, 0.7)


def read_trials(result: FitResult) -> pd.DataFrame:
    """trials.csv without the linear heads."""
    board = pd.read_csv(result.directory / "trials.csv")
    return board[~board["kind"].str.startswith("head")]
