"""Size limits: networks that suit the time of a study."""

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
from automl.pipeline.plan.size_limits import Suited, most_passes, suited
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


def of_time(seconds: float, *, rate: float = 1000.0) -> Suited:
    """Return the size limits for this time on a machine that trains the quarter of a network at this rate."""
    work = replace(WORK, images_per_second=rate)
    unit = work.epoch_seconds / epoch_work(QUARTER, INFO)
    return suited(SPACE, work, INFO, remaining=seconds, unit=unit, seed=0)


def test_quarter_of_a_network_suits_three_minutes_and_half_of_one_ten() -> None:
    half = {**QUARTER, "width": 0.5}
    short, long = of_time(170.0), of_time(590.0)
    assert short(QUARTER) and short(half)
    assert not long(QUARTER) and long(half)
    assert short.of(SPACE.portfolio)[0] == QUARTER and long.of(SPACE.portfolio)[0] == half


def test_network_that_would_hardly_be_trained_is_left_out() -> None:
    vit = next(config for config in SPACE.portfolio if config["family"] == "vit")
    assert not of_time(170.0)(vit) and of_time(3600.0)(vit)


def test_limit_is_where_the_retrain_would_run_its_most_epochs() -> None:
    suits = of_time(590.0)
    epochs = 0.6 * (590.0 - WORK.closing_seconds) * 1750.0 / 4000 * epoch_work(QUARTER, INFO) / suits.least
    assert epochs == pytest.approx(110.0, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(100, 800), (1000, 110), (4000, 110), (16_000, 55), (20_000, 49), (1_281_167, 20)]
)
def test_many_images_need_a_larger_network_rather_than_many_epochs(rows: int, epochs: int) -> None:
    assert round(most_passes(rows)) == epochs


@pytest.mark.parametrize(("seconds", "rate"), [(7 * 86_400.0, 1000.0), (60.0, 1.0)])
def test_nothing_is_left_out_where_all_of_the_space_is_too_small_or_too_large(
    seconds: float, rate: float
) -> None:
    suits = of_time(seconds, rate=rate)
    assert all(map(suits, drawn(SPACE, 1))) and not suits.in_words(SPACE, 0)


def test_fine_tuning_has_no_size_limits() -> None:
    suits = of_time(590.0)
    assert suits({**QUARTER, "pretrained": True})


def test_portfolio_without_a_suitable_configuration_is_kept() -> None:
    assert of_time(590.0).of((QUARTER,)) == (QUARTER,)


def test_size_limits_are_kept_with_the_plan() -> None:
    for suits in (of_time(590.0), of_time(7 * 86_400.0), Suited(INFO)):
        assert Suited.from_dict(INFO, json.loads(json.dumps(suits.to_dict()))) == suits
    assert Suited.from_dict(INFO, {}) == Suited(INFO)


def test_sentence_names_the_share_that_is_left_out() -> None:
    suits = of_time(170.0)
    share = sum(not suits(config) for config in drawn(SPACE, 0)) / len(drawn(SPACE, 0))
    assert 0.1 < share < 0.75
    gone = sum(not suits(config) for config in SPACE.portfolio)
    assert suits.in_words(SPACE, 0).startswith(
        f"About {share:.0%} of the space does not suit the time and is left out, {gone} of {len(SPACE.portfolio)} that"
    )


def test_a_tenth_of_a_space_without_medium_networks_is_kept() -> None:
    families = {"small": ["mobilenetv3_small_050"], "large": ["resnet50"]}
    space = SearchSpace.from_dict(
        {"families": families, "parameters": {"lr": {"type": "float", "low": 0.1, "high": 1.0}}}
    )
    for seconds in (60.0, 600.0, 6000.0, 60_000.0):
        unit = WORK.epoch_seconds / epoch_work(QUARTER, INFO)
        suits = suited(space, WORK, INFO, remaining=seconds, unit=unit, seed=0)
        assert sum(map(suits, drawn(space, 0))) >= 0.1 * len(drawn(space, 0))


# CMA-ES needs a package that is not installed with ours.
@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"cmaes"}))
def test_samplers_keep_the_size_limits(sampler: str) -> None:
    def suits(config: Config) -> bool:
        return bool(config["x"] < 0.3)

    trials = search(climb, ToySpace(), settings(sampler=sampler, size_limits=suits, n_trials=14)).trials
    assert len(trials) == 14 and all(trial.config["x"] < 0.3 for trial in trials)


def test_space_keeps_its_constraints_beside_the_size_limits() -> None:
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


def test_few_images_get_more_epochs() -> None:
    few = replace(INFO, n_train=195, n_val=49)
    work = replace(WORK, n_train=195, n_val=49, n_holdout=153, images_per_second=150.0)
    unit = work.epoch_seconds / epoch_work(QUARTER, few)
    suits = suited(SPACE, work, few, remaining=280.0, unit=unit, seed=0)
    epochs = 0.6 * (280.0 - work.closing_seconds) * 1.75 * 150.0 / 244
    assert epochs > 1.5 * 110.0 and suits(QUARTER)


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
def test_study_keeps_its_size_limits_also_when_it_is_resumed(
    portfolio: list[Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole_ones(_: SearchSpace, work: Work, info: DatasetInfo, **__: float) -> Suited:
        return Suited(info, least=epoch_work({"model": "resnet10t", "lr": 0.1, "width": 0.5}, info))

    monkeypatch.setattr(planning, "suited", whole_ones)
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
    monkeypatch.setattr(planning, "suited", None)  # a continued study keeps what was found
    monkeypatch.setattr(planning, "part_of_rows", None)
    second = pipeline.fit(config_for(**options, n_trials=2, time_limit=14.0))
    assert set(read_trials(second)["width"]) == {1.0}
    plans = [json.loads((result.directory / "plan.json").read_text()) for result in (first, second)]
    assert plans[0]["suits"] == plans[1]["suits"] and plans[0]["suits"]["least"] > 0
    assert plans[0]["share"] == plans[1]["share"] == 0.5


def read_trials(result: FitResult) -> pd.DataFrame:
    """trials.csv."""
    return pd.read_csv(result.directory / "trials.csv")
