"""A trial under cross-validation is K trainings that advance together, and its score is over the rows of all folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from automl.errors import StorageError
from automl.machine import Moment
from automl.records import Config, Fold, Rows, SearchSplits
from automl.torch_setup import import_timm
from automl.training import cross_validation
from automl.training.cross_validation import (
    CrossValidatedTrial,
    FoldTrainings,
    pooled_index,
    pooled_targets,
    read_fold,
    read_outputs,
)
from automl.training.evaluate import predict_rows, score
from automl.training.models.finetune import head_of_fold, linear_classifiers, save_head
from automl.training.models.pretrained_weights import Weights
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial

FOLDS = 4


@pytest.fixture(scope="session")
def folded(splits: SearchSplits, tmp_path_factory: pytest.TempPathFactory) -> SearchSplits:
    """The rows of `splits` in four folds of 48."""
    folder = tmp_path_factory.mktemp("folds")

    def rows(name: str, chosen: np.ndarray) -> Rows:
        np.save(folder / f"{name}.npy", np.flatnonzero(chosen))
        return replace(splits.train, index=folder / f"{name}.npy", n=int(chosen.sum()))

    of_rows = np.arange(192) // 3 % FOLDS  # each class in each fold
    folds = tuple(Fold(rows(f"train{k}", of_rows != k), rows(f"val{k}", of_rows == k)) for k in range(FOLDS))
    info = replace(splits.info, n_train=144, n_val=48, folds=FOLDS)
    return SearchSplits(info, folds[0].train, folds[0].val, folds=folds)


def _alone(config: Config, splits: SearchSplits, plan: TrainPlan, rounds: int = 1) -> Tensor:
    """The outputs of trainings that know nothing of each other."""
    found = []
    for fold in splits.folds:
        trainer = Trainer(config, splits.info, fold.train, plan)
        for _ in range(rounds):
            trainer.train_round()
        trainer.settle()
        found.append(predict_rows(trainer.averaged, fold.val, trainer.info, size=trainer.size)[0])
    return torch.cat(found)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_report_is_the_metric_over_the_outputs_of_separate_trainings(
    config: Config, folded: SearchSplits, plan: TrainPlan, ema: float
) -> None:
    config = {**config, "ema": ema, "drop_path": 0.1}  # the draws of dropped paths belong to a training
    trial = CrossValidatedTrial(config, splits=folded, plan=plan)
    trial.step()
    report = trial.step()
    outputs = _alone(config, folded, plan, rounds=2)
    wanted = score(outputs, torch.from_numpy(pooled_targets(folded)), folded.info, plan.metric)
    assert torch.allclose(torch.cat(trial.trainings.outputs), outputs, atol=1e-5)
    assert report["accuracy"] == wanted["accuracy"]
    assert report["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-5)
    assert (report["val_rows"], report["epochs"], report["images"]) == (192, 2.0, 4 * 144)


def test_a_round_of_a_time_is_divided_between_the_folds(
    config: Config, folded: SearchSplits, plan: TrainPlan
) -> None:
    trial = CrossValidatedTrial(config, splits=folded, plan=replace(plan, round_seconds=2.0))
    assert trial.trainer.round.seconds == 0.5
    trial.trainer.round.known = 5
    report = trial.step()
    assert report["images"] == 4 * 5 * 16
    assert trial.trainings.steps == [5, 5, 5, 5]


def test_pooled_rows_are_the_rows_of_all_folds_in_order(folded: SearchSplits) -> None:
    index = pooled_index(folded)
    assert sorted(index.tolist()) == list(range(192))
    assert index[:48].tolist() == np.load(folded.val.index).tolist()
    assert np.array_equal(pooled_targets(folded), index % 3)


@pytest.mark.parametrize("in_files", [False, True])
def test_a_saved_trial_goes_on_as_if_it_had_not_stopped(
    config: Config,
    folded: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_files: bool,
) -> None:
    whole = CrossValidatedTrial(config, splits=folded, plan=plan)
    reports = [whole.step() for _ in range(3)]
    if in_files:
        monkeypatch.setattr(cross_validation, "MOST_IN_MEMORY", 0)
    first = CrossValidatedTrial(config, splits=folded, plan=plan)
    assert first.step()["val_loss"] == reports[0]["val_loss"]
    first.save(tmp_path)
    first.close()
    second = CrossValidatedTrial(config, splits=folded, plan=plan)
    second.load(tmp_path)
    assert [second.step()["val_loss"] for _ in range(2)] == [one["val_loss"] for one in reports[1:]]
    second.close()


def test_an_interrupted_round_is_taken_up_where_it_was(
    config: Config, folded: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    whole = CrossValidatedTrial(config, splits=folded, plan=plan)
    wanted = [whole.step()["val_loss"] for _ in range(2)]
    trial = CrossValidatedTrial(config, splits=folded, plan=plan)
    trial.step()
    calls = 0

    def in_the_second_fold() -> bool:
        nonlocal calls
        calls += 1
        return calls > 12  # batches; a fold has 9

    trial.trainer.should_stop = in_the_second_fold
    assert trial.step()["interrupted"] is True
    assert trial.trainings.rounds == [2, 1, 1, 1]
    trial.save(tmp_path)
    again = CrossValidatedTrial(config, splits=folded, plan=plan)
    again.load(tmp_path)
    report = again.step()
    assert report["val_loss"] == wanted[1]
    assert report["images"] == 3 * 144  # the first fold was done


def test_a_trial_without_a_report_scores_the_folds_that_have_trained_before_the_deadline(
    config: Config, folded: SearchSplits, plan: TrainPlan
) -> None:
    late = replace(plan, deadline=Moment.now().later(60.0), reporting=20.0)
    trial = CrossValidatedTrial(config, splits=folded, plan=late)
    calls = 0

    def in_the_second_fold() -> bool:
        nonlocal calls
        calls += 1
        return calls > 12

    trial.trainer.should_stop = in_the_second_fold
    report = trial.step()
    assert report["interrupted"] is True
    assert report["val_rows"] == 2 * 48
    assert 0.0 <= float(report["accuracy"]) <= 1.0
    assert report["images"] == 12 * 16


def test_outputs_and_networks_are_read_from_the_checkpoint(
    config: Config, folded: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    trial = CrossValidatedTrial(config, splits=folded, plan=plan)
    trial.save(tmp_path / "before")
    assert read_outputs(tmp_path / "before") is None
    trial.step()
    trial.save(tmp_path / "after")
    outputs = read_outputs(tmp_path / "after")
    assert outputs is not None
    assert torch.equal(outputs, torch.cat(trial.trainings.outputs))
    for place, fold in enumerate(folded.folds):
        trainer = Trainer(config, folded.info, fold.train, plan)
        trainer.restore(*read_fold(tmp_path / "after", place))
        trainer.settle()
        own = predict_rows(trainer.averaged, fold.val, trainer.info, size=trainer.size)[0]
        assert torch.allclose(own, trial.trainings.outputs[place], atol=1e-4)


def test_a_checkpoint_of_a_trial_without_folds_is_refused(
    config: Config, splits: SearchSplits, folded: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    ImageTrial(config, splits=splits, plan=plan).save(tmp_path)
    with pytest.raises(StorageError, match="is not of a cross-validation; remove it to start over"):
        CrossValidatedTrial(config, splits=folded, plan=plan).load(tmp_path)
    with pytest.raises(StorageError, match="is not of a cross-validation"):
        read_fold(tmp_path)


def test_patience_returns_to_the_best_round_of_all_folds(
    config: Config, folded: SearchSplits, plan: TrainPlan
) -> None:
    config = {**config, "lr": 1e-9, "weight_decay": 0.0, "patience": 1, "ema": 0.0, "model": "test_vit"}
    trial = CrossValidatedTrial(config, splits=folded, plan=plan)
    first = trial.step()
    report = trial.step()
    assert report["done"] is True
    assert report["val_loss"] == first["val_loss"]
    assert trial.trainings.rounds == [1, 1, 1, 1]


def test_the_fine_tuning_of_a_fold_begins_with_the_head_of_this_fold(
    config: Config, folded: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    timm = import_timm()
    name = "test_resnet"
    network = timm.create_model(name, num_classes=10)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    d = network.num_features
    heads = [torch.full((3, d), float(place)) for place in range(FOLDS)]
    for place, weight in enumerate(heads):
        save_head(weight, torch.zeros(3), head_of_fold(tmp_path / "head.safetensors", place))
    weights = Weights(name, tmp_path / "weights.safetensors", "folder", (0.5,) * 3, (0.5,) * 3)
    plan = replace(plan, weights={name: weights}, heads={name: tmp_path / "head.safetensors"})
    config = {**config, "pretrained": True, "ema": 0.9, "batch_size": 16}
    trainings = FoldTrainings(config, folded, plan)
    for place, weight in enumerate(heads):
        trainer = trainings.enter(place)
        for model in (trainer.model, trainer.averaged):
            assert torch.equal(linear_classifiers(model)[0].weight, weight)
