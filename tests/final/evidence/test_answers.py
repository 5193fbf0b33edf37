"""Scoring a finished model on validation rows."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from automl.final.evidence.answers import answered, remembered
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.records import Rows
from automl.training.evaluate import PART_BATCH, Answers
from automl.training.models.pretrained_weights import Weights
from tests.final.use.literals import INFO, Plain, random_images


class Slow(Plain):
    """A network whose passes take the given seconds, of a clock that tests set."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.left, self.now = seconds, 100.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.now += self.left.pop(0)
        return super().forward(images)


@pytest.mark.parametrize(
    ("batches", "seconds", "expected"),
    [
        (1, [3.2], 3.2 / PART_BATCH),
        (3, [3.2, 0.64, 0.64], 0.01),  # the first pays for setup
    ],
)
def test_seconds_of_a_row_are_without_the_first_batch_if_there_are_others(
    batches: int, seconds: list[float], expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = batches * PART_BATCH
    np.save(tmp_path / "images.npy", random_images(n, 8))
    np.save(tmp_path / "targets.npy", np.zeros(n, dtype=np.int64))
    np.save(tmp_path / "index.npy", np.arange(n))
    rows = Rows(tmp_path / "images.npy", tmp_path / "targets.npy", tmp_path / "index.npy", n)
    network = Slow(seconds)
    monkeypatch.setattr(time, "monotonic", lambda: network.now)
    model = Alternative(Delivery.OWN_WEIGHTS, {}, trained(network))
    found = answered(model, rows, np.arange(n), seen=np.zeros(n, dtype=bool), device="cpu")
    assert found.seconds_per_row == pytest.approx(expected)
    assert found.is_measured is (batches > 1)


def test_head_on_features_is_not_scored_again_on_rows_that_it_has_answered_for(tmp_path: Path) -> None:
    np.save(tmp_path / "index.npy", np.arange(0, 20, 2))
    rows = Rows(tmp_path / "images.npy", tmp_path / "targets.npy", tmp_path / "index.npy", 10)
    logits = torch.randn(9, INFO.n_outputs)
    known = Answers(
        logits, torch.zeros(9), np.arange(18, 0, -2)
    )  # all validation rows but the first, the last first
    weights = Weights("m", Path("m.safetensors"), "folder", (0.5,) * 3, (0.5,) * 3)
    head = replace(trained(nn.Identity()), weights=weights)
    model, seen = Alternative(Delivery.HEAD, {}, head, answers=known), np.zeros(10, dtype=bool)
    found = remembered(model, rows, np.array([9, 1, 5]), seen=seen, seconds_per_row=0.04)
    assert found is not None and found.seconds_per_row == pytest.approx(0.04)
    assert found.candidate.seconds_per_row == 0.04
    assert np.allclose(found.candidate.scores, logits[[0, 8, 4]].softmax(1).numpy())
    for order in (np.array([0, 1]), np.array([], dtype=np.int64)):
        assert remembered(model, rows, order, seen=seen, seconds_per_row=0.04) is None
    for other in (replace(model, answers=None), replace(model, trained=trained(nn.Identity()))):
        assert remembered(other, rows, np.array([9]), seen=seen, seconds_per_row=0.04) is None


def trained(network: nn.Module) -> Retrained:
    return Retrained(network, 8, 1.0, 1.0, 1, 1, INFO)
