"""What an epoch of a configuration computes, and how long it should take."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from automl.pipeline.plan.epoch_cost import (
    Prices,
    epoch_work,
    expected_seconds,
    in_rounds,
    largest_fitting_first,
    prices,
    spread,
    step_work,
)
from automl.records import Config, DatasetInfo
from automl.search import search
from automl.search.round_time import Expected
from automl.search.storage.reader import StoredTrial
from automl.spaces import SearchSpace
from automl.spaces.narrow import narrowed
from automl.training.models.hyperparameters import Recipe
from tests.search.toy import settings

INFO = DatasetInfo(
    "d", "classification", ("a", "b"), 3, 32, (0.5,) * 3, (0.2,) * 3, (10, 10), "x", 4000, 1000, 1000, 0
)
RESNET: Config = {
    "model": "resnet18",
    "lr": 0.01,
    "upscale": 2.0,
    "width": 1.0,
    "batch_size": 64,
    "pretrained": False,
}


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"upscale": 1.0}, False),
        ({"width": 0.5}, False),
        ({"batch_size": 16}, True),
        ({"model": "resnet10t"}, False),
        ({"model": "resnet34"}, True),
    ],
)
def test_what_makes_a_network_larger_makes_its_epoch_longer(change: Config, more: bool) -> None:
    assert (epoch_work({**RESNET, **change}, INFO) > epoch_work(RESNET, INFO)) is more


def test_frozen_layers_need_no_backward_pass() -> None:
    work = [
        epoch_work({**RESNET, "pretrained": True, "freeze": how}, INFO)
        for how in ("head", "stages", "half", "none")
    ]
    assert work == sorted(work) and work[0] < 0.5 * work[-1]


def test_small_patches_of_a_small_image_are_counted() -> None:
    vit = {"model": "vit_tiny_patch16_224", "lr": 0.01, "upscale": 1.0, "batch_size": 64, "pretrained": False}
    assert epoch_work(vit, INFO) > 1.5 * epoch_work(RESNET, INFO)


def test_work_grows_with_the_rows() -> None:
    twice = replace(INFO, n_train=8000, n_val=2000)
    assert epoch_work(RESNET, twice) == pytest.approx(2.0 * epoch_work(RESNET, INFO), rel=0.01)


def test_expectation_goes_through_what_was_measured_and_knows_the_families() -> None:
    space = SearchSpace.load("cpu")
    expect = expected_seconds(space, INFO, RESNET, 3.0)
    assert expect(RESNET).seconds == pytest.approx(3.0) and expect(RESNET).family == "resnet"
    low, high = spread(space, expect, 0)
    assert 0.0 < low < high and (low, high) == spread(space, expect, 0)


def test_short_search_begins_no_network_that_cannot_reach_its_first_comparison() -> None:
    space = narrowed(SearchSpace.load("cpu"), pretrained=False)
    expect = expected_seconds(space, INFO, {**space.portfolio[0], "width": 0.5}, 4.0)

    def train(config: Config) -> Iterator[dict[str, float]]:
        while True:
            yield {"accuracy": config["lr"], "seconds": expect(config).seconds}

    def begun(**changes: Any) -> tuple[StoredTrial, ...]:
        chosen = settings(n_trials=None, time_limit=30.0, policy="asha", parallel=3, max_rounds=4, **changes)
        return search(train, space, chosen).trials

    assert any(2 * expect(trial.config).seconds > 30.0 for trial in begun())
    trials = begun(expect=expect)
    assert all(trial.rounds >= 2 for trial in trials) and len(trials) >= 6
    assert all(2 * expect(trial.config).seconds <= 30.0 for trial in trials)


# Milliseconds of processor time of a step (batch 64, AdamW): docs/benchmarks/history.md, "Seconds of an epoch".
MEASURED = {
    ("resnet10t", 1.5, 0.25): 69,
    ("resnet10t", 1.0, 0.25): 41,
    ("resnet10t", 1.5, 0.5): 143,
    ("resnet10t", 1.0, 1.0): 368,
    ("resnet18", 2.0, 1.0): 1393,
    ("convnext_atto", 2.0, 1.0): 711,
    ("regnetx_002", 1.5, 1.0): 276,
    ("efficientnet_lite0", 1.5, 1.0): 985,
    ("mobilenetv3_small_075", 2.0, 1.0): 254,
    ("ghostnet_100", 1.5, 1.0): 494,
    ("vit_tiny_patch16_224", 1.0, 1.0): 2905,
    ("pvt_v2_b0", 1.5, 1.0): 447,
    ("mobilevit_xxs", 1.5, 1.0): 299,
    ("edgenext_xx_small", 1.5, 1.0): 220,
    ("efficientvit_b0", 1.5, 1.0): 268,
}


def test_expected_seconds_are_like_the_measured_ones() -> None:
    def config(key: tuple[str, float, float]) -> Config:
        return {
            "model": key[0],
            "lr": 0.01,
            "upscale": key[1],
            "width": key[2],
            "batch_size": 64,
            "pretrained": False,
        }

    first = next(iter(MEASURED))
    expect = expected_seconds(SearchSpace.load("cpu"), INFO, config(first), MEASURED[first])
    off = {key: math.log(expect(config(key)).seconds / measured) for key, measured in MEASURED.items()}
    assert math.sqrt(sum(one**2 for one in off.values()) / len(off)) < 0.4, off
    assert max(map(abs, off.values())) < math.log(2.2), off


# Milliseconds of a step of the loop on an H100 in bfloat16: image, enlarged, width, batch (the same page).
MEASURED_ON_GPU = {
    ("resnet10t", 32, 1.5, 0.5, 64): 1.83,
    ("resnet10t", 32, 1.5, 0.25, 64): 1.67,
    ("resnet10t", 32, 1.5, 1.0, 64): 1.86,
    ("resnet10t", 32, 3.0, 1.0, 512): 10.27,
    ("resnet18", 32, 3.0, 1.0, 64): 3.00,
    ("resnet18", 32, 3.0, 1.0, 256): 6.54,
    ("resnet50", 32, 3.0, 1.0, 128): 9.43,
    ("regnety_008", 32, 3.0, 1.0, 128): 7.67,
    ("efficientnet_b0", 32, 3.0, 1.0, 128): 10.13,
    ("mobilenetv3_small_075", 32, 2.0, 1.0, 64): 4.61,
    ("vit_tiny_patch16_224", 32, 1.0, 1.0, 128): 7.62,
    ("resnet50", 224, 1.0, 1.0, 64): 19.64,
    ("convnext_tiny", 224, 1.0, 1.0, 64): 29.43,
    ("vit_small_patch16_224", 224, 1.0, 1.0, 64): 15.47,
    ("swin_tiny_patch4_window7_224", 224, 1.0, 1.0, 64): 36.29,
}


def test_expected_steps_of_a_gpu_are_like_the_measured_ones() -> None:
    def work(key: tuple[str, int, float, float, int]) -> float:
        model, size, upscale, width, batch = key
        recipe = Recipe(model, lr=0.1, upscale=upscale, width=width, batch_size=batch)
        return step_work(recipe, replace(INFO, img_size=size), prices("cuda"))

    first = next(iter(MEASURED_ON_GPU))
    unit = MEASURED_ON_GPU[first] / work(first)
    off = {key: math.log(unit * work(key) / measured) for key, measured in MEASURED_ON_GPU.items()}
    assert math.sqrt(sum(one**2 for one in off.values()) / len(off)) < 0.3, off
    assert max(map(abs, off.values())) < math.log(2.0), off


def test_a_gpu_hardly_notices_what_makes_a_small_network_smaller() -> None:
    small = {**RESNET, "model": "resnet10t", "upscale": 1.5}
    whole, quarter = (
        [epoch_work({**small, "width": width}, INFO, of) for of in (prices("cpu"), prices("cuda"))]
        for width in (1.0, 0.25)
    )
    assert prices("cpu") == Prices(writing=0.1, layers=0.005, parameters=2.7)
    assert prices("cuda") == Prices(writing=0.8, layers=3.0, parameters=2.7)
    assert whole[0] > 4 * quarter[0] and whole[1] < 1.5 * quarter[1]


def test_round_takes_its_set_time_unless_scoring_alone_takes_longer() -> None:
    info = replace(INFO, n_train=3000, n_val=900)
    seconds = {"cheap": 1.0, "dear": 30.0, "hopeless": 3000.0}
    expect = in_rounds(lambda config: Expected("any", seconds[config["model"]]), info, 10.0)
    found = {name: expect({"model": name, "lr": 0.01, "batch_size": 30}).seconds for name in seconds}
    assert found["cheap"] == found["dear"] == 10.0
    assert found["hopeless"] == pytest.approx(3000 * 300 / 3300 + 3000 * 3000 / 3300 / 100)


@pytest.mark.parametrize(
    ("seconds", "sizes"), [(60.0, [160, 128, 224]), (240.0, [128, 160, 224]), (2000.0, [224, 160, 128])]
)
def test_the_largest_size_that_the_time_holds_is_fine_tuned_first(seconds: float, sizes: list[int]) -> None:
    tuned: list[Config] = [{"pretrained": True, "size": size} for size in (160, 128, 224)]
    scratch: Config = {"pretrained": False}
    portfolio = (scratch, tuned[0], scratch, *tuned[1:])

    def passes(config: Config) -> float:
        return seconds / (float(config["size"]) ** 2 / 500.0)

    found = largest_fitting_first(portfolio, passes)
    assert [config.get("size") for config in found] == [None, sizes[0], None, *sizes[1:]]
