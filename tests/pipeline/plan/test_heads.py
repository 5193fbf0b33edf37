"""The time of the first heads, and the plan of a study with both kinds of trials."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from automl.pipeline.clock import Clock
from automl.pipeline.plan import heads
from automl.pipeline.plan.epoch_cost import part_scored
from automl.pipeline.plan.heads import _seconds
from automl.pipeline.plan.plan import _scratch_first
from automl.records import Silent
from tests.pipeline.plan.test_epoch_cost import INFO


@pytest.mark.parametrize(
    ("remaining", "first", "expected"),
    [(25.0, True, 10.0), (50.0, True, 15.0), (500.0, True, 40.0), (500.0, False, 40.0), (50.0, False, 4.0)],
)
def test_first_head_has_more_of_a_short_time(remaining: float, first: bool, expected: float) -> None:
    assert _seconds(remaining, first=first) == pytest.approx(expected)
    assert _seconds(None, first=first) == 120.0
    assert _seconds(1e6, first=first) == 120.0


def test_first_configuration_from_scratch_comes_first() -> None:
    tuned, one, two = {"pretrained": True}, {"lr": 1}, {"lr": 2}
    assert _scratch_first((tuned, one, tuned, two)) == (one, tuned, tuned, two)
    assert _scratch_first((tuned, tuned)) == (tuned, tuned)
    assert _scratch_first(()) == ()


def test_large_pretrained_network_is_scored_on_a_part_of_many_rows() -> None:
    small = {"model": "resnet10t", "lr": 0.1, "width": 0.25, "upscale": 1.0}
    tuned = {"model": "resnet18", "lr": 1e-3, "pretrained": True, "size": 224}
    many, few = replace(INFO, n_val=5000), replace(INFO, n_val=100)
    assert 128 / 5000 <= part_scored(small, tuned, many) < 0.1
    assert part_scored(small, tuned, few) == 1.0
    assert part_scored(tuned, tuned, many) == 1.0


def test_no_head_is_read_whose_test_would_not_fit_into_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_row_seconds", lambda *_: 1.0)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("features were read")

    monkeypatch.setattr(heads, "fit_feature_head", read)
    recipe = {"model": "resnet18", "lr": 1e-3, "pretrained": True}
    space = SimpleNamespace(portfolio=(recipe,))
    device = SimpleNamespace(kind="cpu", all_threads=1)
    pretrained = SimpleNamespace(space=space, weights={"resnet18": None})
    data = SimpleNamespace(info=replace(INFO, n_holdout=100))
    basis = SimpleNamespace(pretrained=pretrained, device=device, splits=data, folds=None)
    context = SimpleNamespace(clock=Clock(60.0), observer=Silent())
    assert list(heads._on_features(context, basis)) == []  # type: ignore[arg-type]
