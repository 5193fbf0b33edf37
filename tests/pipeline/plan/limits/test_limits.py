"""Limits of the model: which networks keep them, and what a study leaves out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl import pipeline
from automl.errors import ConfigError, StudyError
from automl.final.cost.network import Network
from automl.machine import Moment
from automl.pipeline.plan.limits import measure
from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.plan.limits.fitting import Fitting, refuse_none
from automl.pipeline.plan.limits.grid import network_configs, variations
from automl.pipeline.plan.limits.measure import Bench, Cost, costs_of
from automl.pipeline.plan.size_limits import SizeLimits
from automl.records import Silent
from automl.result import FitResult
from automl.spaces import SearchSpace
from automl.spaces.draw import at_random, walk
from automl.spaces.narrow import only_models, with_true_sizes
from automl.training.models.pretrained_weights import Weights
from tests.pipeline.plan.test_epoch_cost import INFO
from tests.pipeline.test_fit import config_for

CPU = SearchSpace.load("cpu")
LARGER = replace(INFO, img_size=64, large_size=224)
BENCH = Bench("cpu", 1, 3, Moment.now().later(1e6))
SIDES = (32, 64, 96, 128, 160)


def squares(*sides: int) -> list[Network]:
    """The same network at several sizes."""
    return [Network("test_resnet", '{"in_chans": 3, "num_classes": 2}', side) for side in sides]


def fake_latencies(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> list[int]:
    """Let a network take as many ms as its image has pixels a side. Returns the sides in the order of measuring."""
    sides: list[int] = []

    def measured(cost: Cost, *_: object) -> Cost:
        sides.append(cost.network.side)
        latency = float(cost.network.side)
        return replace(cost, latency=latency, fits=latency <= asked.latency)

    monkeypatch.setattr(measure, "measured", measured)
    return sides


def test_limits_are_read_in_words_and_written_back() -> None:
    found = Asked.read(max_latency="0.02s", max_size="10MB", max_params="5M")
    assert found == Asked(20.0, 10 * 1024**2, 5e6)
    assert found.in_words() == "--max-latency 20ms --max-size 10M --max-params 5M"
    assert Asked.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert not Asked.read() and found
    with pytest.raises(ConfigError, match="--max-size must be a size such as"):
        Asked.read(max_size="small")


@pytest.mark.parametrize(
    ("limit", "fitting", "measured"),
    [
        (200.0, SIDES, [160]),
        (10.0, (), [160, 32]),
        (100.0, (32, 64, 96), [160, 32, 96, 128]),
    ],
)
def test_few_networks_of_a_model_decide_about_all(
    limit: float, fitting: tuple[int, ...], measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(latency=limit)
    order = fake_latencies(monkeypatch, asked)
    costs = costs_of(squares(*SIDES), asked, BENCH)
    assert tuple(cost.network.side for cost in costs if cost.fits) == fitting
    assert order == measured


def test_without_time_nothing_that_was_not_measured_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(latency=1e6)
    fake_latencies(monkeypatch, asked)
    late = replace(BENCH, until=Moment.now().later(-1.0))
    found = Fitting(asked, INFO, costs_of(squares(*SIDES), asked, late), 1, "cpu")
    assert not any(cost.fits for cost in found.costs)
    with pytest.raises(ConfigError, match="no time to measure any of 5"):
        found.require_any()


def test_size_and_parameters_are_counted_and_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    order = fake_latencies(monkeypatch, Asked())
    networks = [Network.of({"model": name, "lr": 0.1}, LARGER) for name in ("resnet10t", "resnet18")]
    fits = {cost.network.model: cost.fits for cost in costs_of(networks, Asked(params=6e6), BENCH)}
    assert fits == {"resnet10t": True, "resnet18": False} and not order
    sizes = {cost.network.model: cost.fits for cost in costs_of(networks, Asked(size=1024), BENCH)}
    assert not any(sizes.values())


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (Asked(latency=1e6, size=10 * 2**20), True),
        (Asked(latency=1e-6), False),
        (Asked(size=1024), False),
        (Asked(params=1e9), True),
    ],
)
def test_network_with_features_from_all_depths_is_measured_by_itself(asked: Asked, fits: bool) -> None:
    plain = {"model": "test_resnet", "lr": 0.1, "size": 64, "pretrained": True}
    file = Weights("test_resnet", Path("none"), "folder", (0.5,) * 3, (0.5,) * 3)
    found = Fitting(asked, INFO, (), 1, "cpu", {"test_resnet": file})
    assert found.measured({**plain, "depths": 1}) is fits
    networks = [Network.of(config, INFO, file) for config in (plain, {**plain, "depths": 1})]
    assert networks[1].counted().params > networks[0].counted().params


def test_grid_has_the_network_of_every_configuration_of_a_preset() -> None:
    weights = ("tf_efficientnet_lite0", "vit_tiny_patch16_224")
    known = {Network.of(config, LARGER).key for _, _, config in network_configs(CPU, weights, scratch=True)}
    rng = np.random.default_rng(0)
    drawn = (walk(CPU.suggest, at_random(rng)).config for _ in range(300))
    kept = [one for one in drawn if CPU.allows(one) and (not one["pretrained"] or one["model"] in weights)]
    assert len(kept) > 50 and all(Network.of(config, LARGER).key in known for config in kept)


def test_grid_has_only_the_sizes_of_the_range_that_is_active() -> None:
    models = ["resmlp_12_224", "resnet18"]
    size = {"type": "categorical", "choices": [160, 224], "when": {"pretrained": True}}
    parameters = {"pretrained": {"type": "categorical", "choices": [True]}, "size": size}
    space = SearchSpace.from_dict({"families": {"one": models}, "parameters": parameters})
    found = network_configs(with_true_sizes(space, models), models, scratch=False)
    assert [(model, config["size"]) for model, _, config in found] == [
        ("resmlp_12_224", 224),
        ("resnet18", 160),
        ("resnet18", 224),
    ]


def fitting_below(params: float) -> Fitting:
    """What keeps a limit of the parameters in the preset `cpu`."""
    asked = Asked(params=params)
    networks = {Network.of(config, LARGER) for _, _, config in network_configs(CPU, (), scratch=True)}
    return Fitting(asked, LARGER, costs_of(networks, asked, BENCH), 1, "cpu")


def test_portfolio_keeps_to_the_limits_by_narrower_networks() -> None:
    found = fitting_below(1e6)
    wide = next(one for one in CPU.portfolio if one["model"] == "resnet10t" and one["width"] == 1.0)
    assert not found(wide)
    narrower = found.adapted(wide, CPU)
    assert narrower is not None and found(narrower)
    assert {**narrower, "width": 1.0, "upscale": wide["upscale"]} == wide and narrower["width"] < 1.0
    first = found.portfolio(CPU).portfolio
    assert (
        len(first) > 3 and all(found(one) for one in first) and len({str(one) for one in first}) == len(first)
    )


def test_a_range_of_widths_fits_by_the_next_larger_network_that_does() -> None:
    spec = CPU.to_dict()
    width = {"type": "float", "low": 0.25, "high": 1.0, "when": {"family": "resnet", "pretrained": False}}
    ranged = SearchSpace.from_dict(
        {**spec, "parameters": {**spec["parameters"], "width": width}, "portfolio": None}
    )
    asked = Asked(params=2.5e6)
    networks = {Network.of(config, LARGER) for _, _, config in network_configs(ranged, (), scratch=True)}
    found = Fitting(asked, LARGER, costs_of(networks, asked, BENCH), 1, "cpu")
    config = {"family": "resnet", "model": "resnet10t", "pretrained": False, "upscale": 1.0, "lr": 0.1}
    assert found({**config, "width": 0.5}) and not found({**config, "width": 0.99})
    assert len(list(variations(ranged, {**config, "width": 0.3}))) == 9


def test_only_models_keeps_what_is_searched_for_them() -> None:
    kept = only_models(CPU, {"resnet10t", "vit_tiny_patch16_224"})
    assert kept.families == {"resnet": ("resnet10t",), "vit": ("vit_tiny_patch16_224",)}
    assert "width" in kept.parameters and "global_pool" in kept.parameters
    assert "global_pool" not in only_models(CPU, {"resnet10t"}).parameters
    assert only_models(CPU, {m for members in CPU.families.values() for m in members}) is CPU


def test_sampler_and_time_limits_never_allow_what_exceeds_a_limit() -> None:
    found = fitting_below(1e6)
    limits = SizeLimits(LARGER, fits=found)
    wide = next(one for one in CPU.portfolio if one["model"] == "resnet18")
    assert not limits(wide) and not limits.allows({**wide, "pretrained": True})
    assert limits({**wide, "model": "resnet10t", "width": 0.25})


def test_mirror_images_are_left_out_where_both_would_take_too_long() -> None:
    (network,) = squares(32)
    asked = Asked(latency=10.0)
    for latency, mirrored in ((4.0, None), (6.0, False)):
        cost = replace(Cost.of(network), latency=latency, fits=True)
        found = Fitting(asked, replace(INFO, img_size=32), (cost,), 1, "cpu")
        known = {"model": "test_resnet", "lr": 0.1, "upscale": 1.0}
        assert found.network(known) == replace(network, keywords=found.network(known).keywords)
        cost = replace(cost, network=found.network(known))
        assert replace(found, costs=(cost,)).mirrored({**known, "hflip": True}) is mirrored
        assert replace(found, costs=(cost,)).mirrored({**known, "hflip": False}) is None


# --- whole studies ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A study whose limit leaves out the larger half of its space."""
    directory = tmp_path_factory.mktemp("limited")
    return pipeline.fit(
        config_for(directory, study="limited", max_params="350K", max_latency="2s", n_trials=4)
    )


@pytest.mark.study
def test_every_trial_and_the_model_keep_the_limits(limited: FitResult) -> None:
    board = limited.leaderboard()
    assert (board["params"] <= 350_000).all() and len(board) == 4
    trained = limited.predictor.model
    assert sum(parameter.numel() for parameter in trained.parameters()) <= 350_000
    plan = json.loads((limited.directory / "plan.json").read_text())
    networks = plan["limits"]["networks"]
    assert {row["model"] for row in networks if row["fits"]} >= set(board["model"])
    assert any(not row["fits"] for row in networks)
    assert all(row["latency_ms"] is None or math.isfinite(row["latency_ms"]) for row in networks)


@pytest.mark.study
def test_resumed_study_keeps_its_limits_and_refuses_others(limited: FitResult) -> None:
    directory = limited.directory.parent
    more = config_for(directory, study="limited", max_params="350K", max_latency="2s", n_trials=5)
    assert (pipeline.fit(more).leaderboard()["params"] <= 350_000).all()
    for other in ({}, {"max_params": "1M", "max_latency": "2s"}):
        with pytest.raises(StudyError, match="was searched with --max-latency 2000ms --max-params 350K, got"):
            pipeline.fit(config_for(directory, study="limited", n_trials=6, **other))


@pytest.mark.study
def test_limit_that_nothing_keeps_is_refused_before_decoding(tmp_path: Path) -> None:
    stages: list[str] = []

    class Stages(Silent):
        def stage(self, name: str, text: str) -> None:
            stages.append(name)

    with pytest.raises(
        ConfigError, match=r"must keep --max-params 10, but none does: the nearest is test_\w+ at"
    ):
        pipeline.fit(config_for(tmp_path, max_params=10), observer=Stages())
    with pytest.raises(ConfigError, match=r"must keep --max-latency 0.0001ms.*the nearest is test_"):
        pipeline.fit(config_for(tmp_path, max_latency=0.0001), observer=Stages())
    assert "cache" not in stages and not (tmp_path / "tiny").exists()


def test_networks_without_a_measurement_are_no_reason_to_raise_the_limit() -> None:
    costs = [replace(Cost.of(network), fits=False) for network in squares(32, 64)]
    with pytest.raises(ConfigError, match="no time to measure any of 2: raise --time-limit"):
        refuse_none(costs, Asked(latency=10.0), "")
    with pytest.raises(ConfigError, match="none does: the nearest is test_resnet at 32 px with 30ms of 10ms"):
        refuse_none([replace(costs[0], latency=30.0), costs[1]], Asked(latency=10.0), "")
