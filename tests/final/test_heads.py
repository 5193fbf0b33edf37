"""Which heads on features from all depths may be delivered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.final.heads import proved
from automl.training.evaluate import Answers
from automl.training.heads import Head
from tests.pipeline.plan.test_epoch_cost import INFO

TARGETS = torch.arange(100) % 2


def head(certainty: Tensor, *, value: float, targets: Tensor = TARGETS, **config: Any) -> Head:
    """A head that gives the right class of two a logit of `certainty` (100,)."""
    logits = torch.where(torch.arange(2) == targets[:, None], certainty[:, None], 0.0)
    return Head(
        model=nn.Identity(),
        full=None,
        config={"model": "test_resnet", "pretrained": True, "size": 64, **config},
        info=INFO,
        size=64,
        val_score=value,
        n_train=10,
        n_val=100,
        n_full=110,
        seconds=1.0,
        strength=1.0,
        estimator="logistic regression",
        answers=Answers(logits.float(), targets, np.arange(100)),
    )


def noise(seed: int) -> Tensor:
    return torch.randn(100, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("certainty", "value", "kept"),
    [
        (2.0 + noise(1), 0.9, True),
        (2.0 + noise(1), 0.8, False),  # better by the loss, but not by the metric
        (0.5 + noise(1), 0.9, False),  # worse by the loss
    ],
)
def test_head_on_all_depths_must_be_better_than_the_simpler_one(
    certainty: Tensor, value: float, kept: bool
) -> None:
    simple, deep = head(1.0 + noise(0), value=0.8), head(certainty, value=value, depths=1)
    assert proved([simple, deep], "accuracy") == ([simple, deep] if kept else [simple])
    assert proved([deep], "accuracy") == [deep]  # the simpler one is not there


@pytest.mark.parametrize(("metric", "kept"), [("accuracy", False), ("balanced_accuracy", True)])
def test_loss_weighs_classes_as_the_metric_does(metric: str, kept: bool) -> None:
    rare = torch.arange(100) < 10
    simple = head(torch.where(rare, 0.0, 3.0), value=0.8, targets=rare.long())
    # Worse for most rows, better for the rare class.
    deep = head(torch.where(rare, 3.0, 1.0), value=0.9, targets=rare.long(), depths=1)
    assert (deep in proved([simple, deep], metric)) is kept


def test_errors_of_a_regression_decide_like_losses() -> None:
    info = replace(INFO, task="regression", target_mean=(10.0,), target_std=(2.0,), classes=("y",))
    wanted = 10.0 + 2.0 * noise(2)[:, None]

    def of(spread: float, seed: int, **config: Any) -> Head:
        outputs = (wanted - 10.0) / 2.0 + spread * noise(seed)[:, None]
        found = head(noise(0), value=2.0 * spread, **config)
        return replace(found, info=info, answers=Answers(outputs, wanted, np.arange(100)))

    simple = of(0.5, 3)
    for spread, kept in ((0.2, True), (0.6, False)):
        deep = of(spread, 4, depths=1)
        assert (deep in proved([simple, deep], "rmse")) is kept
