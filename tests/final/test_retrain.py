"""The training of the model that is delivered."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from automl.final.retrain import Begun, retrain
from automl.records import Config, SearchSplits, Silent
from automl.training.loop import Trainer
from automl.training.plan import TrainPlan
from tests.training.conftest import config, plan, splits

__all__ = ["config", "plan", "splits"]


@pytest.fixture
def free(config: Config) -> Config:
    """Without a schedule of its own."""
    return {key: value for key, value in config.items() if key not in ("sched", "warmup")}


def trial_of(free: Config, splits: SearchSplits, plan: TrainPlan, place: Path, *, spent: float) -> Path:
    """The checkpoint of a trial of two epochs that took `spent` seconds."""
    trainer = Trainer(free, splits.info, splits.train, plan)
    for _ in range(2):
        trainer.train_epoch()
    trainer.spent = spent
    trainer.save(place)
    return place


def test_retrain_goes_on_from_the_trial_at_the_full_rate(
    free: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = trial_of(free, splits, plan, tmp_path / "checkpoint", spent=2.0)
    rates: list[float] = []
    step = Trainer.train_step

    def watched(self: Trainer, *batch: object) -> object:
        rates.append(float(self.optimizer.param_groups[0]["lr"]))
        return step(self, *batch)  # type: ignore[arg-type]  # a batch, whatever it is

    monkeypatch.setattr(Trainer, "train_step", watched)
    found = retrain(
        free,
        splits,
        replace(plan, epochs=400, seconds=1.5),
        work_dir=tmp_path,
        observer=Silent(),
        begun=Begun(place, trial=0, speedup=2.0),
    )
    assert (
        found.continued == 1.5 and found.epochs > 1.5
    )  # two passes through 144 images are 1.5 through all 192
    assert found.n_train == 192 and found.images_trained == len(rates) * 16
    assert rates[0] == pytest.approx(free["lr"], rel=0.05) and rates[-1] < 0.2 * free["lr"]
    assert found.progress == 1.0


def test_retrain_begins_anew_where_the_trial_was_most_of_the_training(
    free: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    place = trial_of(free, splits, plan, tmp_path / "checkpoint", spent=9.0)
    found = retrain(
        free,
        splits,
        replace(plan, epochs=400, seconds=1.0),
        work_dir=tmp_path,
        observer=Silent(),
        begun=Begun(place, trial=0, speedup=1.0),
    )
    assert found.continued == 0.0


def test_retrain_begins_anew_where_the_checkpoint_is_damaged(
    free: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("automl"), "propagate", True)  # a command keeps its words to itself
    place = trial_of(free, splits, plan, tmp_path / "checkpoint", spent=0.1)
    for file in place.iterdir():
        file.write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        found = retrain(
            free,
            splits,
            replace(plan, epochs=400, seconds=1.0),
            work_dir=tmp_path,
            observer=Silent(),
            begun=Begun(place, trial=0, speedup=1.0),
        )
    assert found.continued == 0.0 and "begins anew" in caplog.text
