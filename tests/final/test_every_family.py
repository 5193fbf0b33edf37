"""Every family of every preset takes a training step on small images, and is handed over as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.records import SearchSplits
from automl.spaces import SearchSpace, capabilities, presets
from automl.training.evaluate import fit_size
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from tests.training.conftest import plan, splits

pytestmark = pytest.mark.slow

__all__ = ["plan", "splits"]  # fixtures

SMALLEST = sorted(
    {
        min(members, key=lambda model: capabilities(model).params)
        for preset in presets()
        for members in SearchSpace.load(preset).families.values()
    }
)


@pytest.mark.parametrize("model", SMALLEST)
def test_smallest_of_a_family_trains_is_handed_over_and_predicts_the_same(
    model: str, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    config = {"model": model, "opt": "momentum", "lr": 0.01, "batch_size": 2, "drop_path": 0.1}
    np.save(tmp_path / "few.npy", np.load(splits.train.index)[:4])
    rows = replace(splits.train, index=tmp_path / "few.npy", n=4)
    trainer = Trainer(config, splits.info, rows, plan)
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    trainer.model.train()
    loss = trainer.train_step(*next(iter(trainer.batches.epoch(0))))
    assert loss.isfinite()
    moved = sum(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    assert moved > 1  # where the last norm of a block begins at 0, the first step moves little else
    pixels = np.load(splits.val.images)[:2]
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.2) / 0.2
    trainer.model.eval()
    with torch.inference_mode():
        expected = trainer.model(fit_size(images, trainer.size)).softmax(dim=1).numpy()
    write_model_folder(tmp_path / "model", trainer.model, config, trainer.info, size=trainer.size)
    np.testing.assert_allclose(Predictor.load(tmp_path / "model").predict_pixels(pixels), expected, atol=1e-5)
