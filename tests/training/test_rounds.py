"""A round is an epoch, or what fits a given time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from automl.records import Config, SearchSplits
from automl.training.plan import TrainPlan
from automl.training.rounds import Round, steps_in
from automl.training.trainer import Trainer


def timed_round(step_seconds: float, *, seconds: float | None = 10.0, epoch_steps: int = 50) -> Round:
    """Return a round whose clock advances by `step_seconds` at each reading."""
    ticks = iter(range(10_000))
    return Round(epoch_steps, seconds=seconds, rows=64, n_val=0, clock=lambda: next(ticks) * step_seconds)


def steps_of(one: Round) -> int:
    """Return the steps until the round ends."""
    return next(done for done in range(1, 10_000) if one.ends(done))


def test_round_without_a_time_is_an_epoch() -> None:
    one = timed_round(0.1, seconds=None)
    assert one.known == 50 and steps_of(one) == 50


@pytest.mark.parametrize(("step", "steps"), [(0.1, 100), (0.05, 200), (0.5, 20), (2.5, 4)])
def test_steps_of_a_timed_round_are_as_many_as_the_time_holds(step: float, steps: int) -> None:
    one = timed_round(step)
    assert steps_of(one) == steps
    assert one.known == one.steps == steps
    assert steps_of(one) == steps  # counted out once


def test_round_that_another_process_has_measured_is_not_measured_again() -> None:
    one = timed_round(0.1)
    one.known = 7
    assert steps_of(one) == 7


def test_expensive_step_gets_one_step_and_scoring_never_takes_more_than_two_thirds() -> None:
    assert steps_in(1.0, 20.0, rows=64, n_val=10_000) == 1
    assert steps_in(30.0, 0.1, rows=64, n_val=10**6) == 100


@pytest.fixture
def timed(plan: TrainPlan) -> TrainPlan:
    return replace(plan, round_seconds=30.0, epochs=4)


def test_rounds_cross_epochs_and_see_the_batches_of_whole_epochs(
    config: Config, splits: SearchSplits, timed: TrainPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, splits.info, splits.train, timed)
    per_epoch = len(trainer.batches)
    trainer.round.known = per_epoch + 4
    whole = Trainer(config, splits.info, splits.train, replace(timed, round_seconds=None, epochs=4))
    seen: dict[Trainer, list[float]] = {trainer: [], whole: []}
    step = Trainer.train_step

    def watched(self: Trainer, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen[self].append(float(images.sum()))
        return step(self, images, targets)

    monkeypatch.setattr(Trainer, "train_step", watched)
    for one, turns in ((trainer, 2), (whole, 3)):
        for _ in range(turns):
            assert one.train_round() is not None
    assert trainer.rounds == 2 and trainer.steps == 2 * per_epoch + 8
    assert trainer.epochs == pytest.approx(2 + 8 / per_epoch)
    assert seen[trainer] == seen[whole][: len(seen[trainer])]


def test_timed_trial_resumes_exactly_from_its_checkpoint(
    config: Config, splits: SearchSplits, timed: TrainPlan, tmp_path: Path
) -> None:
    one = Trainer(config, splits.info, splits.train, timed)
    one.round.known = 5
    one.train_round()
    one.save(tmp_path)
    wanted = one.train_round()
    other = Trainer(config, splits.info, splits.train, timed)
    other.load(tmp_path)
    assert other.round.known == 5
    assert other.train_round() == wanted
