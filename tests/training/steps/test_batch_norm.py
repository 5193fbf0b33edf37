"""Batch norm statistics that belong to the weights that are scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from automl.final.retrain import Retrain
from automl.records import Config, SearchSplits, Silent
from automl.training.evaluate import predict_rows, score
from automl.training.plan import TrainPlan
from automl.training.steps.batch_norm import learning_norms, recompute
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(), nn.BatchNorm2d(4))


def means(model: nn.Sequential, place: int) -> Tensor:
    """The running means of one of its batch norms."""
    return model[place].get_buffer("running_mean").clone()


def images(*sizes: int) -> list[Tensor]:
    return [torch.randn(size, 3, 8, 8, generator=torch.Generator().manual_seed(size)) for size in sizes]


def test_statistics_are_means_over_the_batches() -> None:
    model = network()
    batches = images(6, 10)
    norm, momentum = model[1], model[1].momentum
    assert recompute(learning_norms(model, model), model, batches) == 16
    with torch.no_grad():
        features = [model[0](batch) for batch in batches]
    expected = torch.stack([one.mean(dim=(0, 2, 3)) for one in features]).mean(dim=0)
    assert torch.allclose(means(model, 1), expected, atol=1e-6)
    assert norm.momentum == momentum


def test_modes_are_as_before_and_dropout_takes_no_part() -> None:
    model = network().train()
    norms = learning_norms(model, model)
    recompute(norms, model, images(8))
    first = means(model, 4)
    recompute(norms, model, images(8))
    assert torch.equal(means(model, 4), first)  # dropout would differ
    assert all(module.training for module in model.modules())


def test_frozen_norms_keep_their_statistics() -> None:
    model = network()
    for parameter in model[1].parameters():
        parameter.requires_grad_(False)
    norms = learning_norms(model, model)
    assert norms == [model[4]]
    recompute(norms, model, images(8))
    assert torch.equal(means(model, 1), torch.zeros(4))
    assert not torch.equal(means(model, 4), torch.zeros(4))


@pytest.mark.parametrize("batches", [[], [1]])
def test_statistics_stay_where_nothing_can_be_computed(batches: list[int]) -> None:
    model = network()
    before = means(model, 1)
    assert recompute(learning_norms(model, model), model, images(*batches)) == 0
    assert torch.equal(means(model, 1), before)


def test_a_value_after_few_steps_means_what_it_can(
    config: Config, splits: SearchSplits, plan: TrainPlan
) -> None:
    """The statistics of an average of weights lag so far behind that its score is that of chance."""
    trainer = Trainer({**config, "ema": 0.99}, splits.info, splits.train, replace(plan, epochs=20))
    trainer.train_round()

    def loss() -> float:
        logits, targets = predict_rows(trainer.averaged, splits.val, trainer.info, size=trainer.size)
        return score(logits, targets, trainer.info, "accuracy")["val_loss"]

    lagging = loss()
    trainer.settle()
    assert loss() < 0.9 * lagging


def test_trials_and_retrains_score_with_statistics_of_their_weights(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, plan = {**config, "ema": 0.99}, replace(plan, epochs=1)

    def losses() -> tuple[float, float]:
        trial = ImageTrial(config, splits=splits, plan=plan)
        made = Retrain(config, splits, plan, work_dir=tmp_path).train(Silent())
        logits, targets = predict_rows(made.model, splits.val, made.info, size=made.size)
        return float(trial.step()["val_loss"]), score(logits, targets, made.info, "accuracy")["val_loss"]

    settled = losses()
    monkeypatch.setattr(Trainer, "settle", lambda self, seconds=0.0: None)
    lagging = losses()
    assert settled[0] < 0.9 * lagging[0] and settled[1] < 0.9 * lagging[1]


@pytest.mark.parametrize("ema", [0.0, 0.99])
def test_a_paused_trial_continues_exactly(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path, ema: float
) -> None:
    config, plan = {**config, "ema": ema}, replace(plan, epochs=3)
    whole = ImageTrial(config, splits=splits, plan=plan)
    first = [whole.step()["val_loss"] for _ in range(3)]
    paused = ImageTrial(config, splits=splits, plan=plan)
    second = [paused.step()["val_loss"]]
    paused.save(tmp_path)
    resumed = ImageTrial(config, splits=splits, plan=plan)
    resumed.load(tmp_path)
    second += [resumed.step()["val_loss"] for _ in range(2)]
    assert second == first
