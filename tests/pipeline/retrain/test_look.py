"""A look at the retrain before its end sets the time free that is reserved for scoring the holdout with a head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl.final.evidence.answers import Answered
from automl.final.evidence.candidates import Alternative, Candidate
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrain
from automl.pipeline.retrain.contest import Contest
from automl.pipeline.retrain.look import look
from automl.pipeline.setup import Setup
from tests.final.evidence.test_answers import trained
from tests.pipeline.test_retrain_time import found, setup

__all__ = ["setup"]
pytestmark = pytest.mark.study


def contest_of(setup: Setup, *, right: bool, per_row: float, promise: float = 0.5) -> Contest:
    """A contest with a head that is right, or wrong, for all rows, and scores a row in `per_row` seconds.

    Its value is .5, so that it is safe if the retrain promises no more.
    """
    contest = Contest(setup, found(3, 1.0), None, promise)
    contest.kept = np.arange(len(setup.data.splits.val))
    said = contest.judge.targets if right else (contest.judge.targets + 1) % 3
    model = Alternative(Delivery.HEAD, {"model": "m", "pretrained": True}, trained(nn.Identity()), value=0.5)
    head = Candidate(model, contest.kept, np.eye(3)[said], np.zeros(len(said), dtype=bool), per_row)
    contest.others, contest.per_row = [head], [1e-4]
    return contest


@pytest.mark.parametrize(
    ("right", "per_row", "beaten"),
    [
        (False, 0.1, True),
        (True, 0.1, False),
        (False, 2e-4, False),  # a look would set free less than it takes
    ],
)
def test_no_time_stays_reserved_for_a_head_that_is_clearly_worse_already(
    setup: Setup, right: bool, per_row: float, beaten: bool, tmp_path: Path
) -> None:
    contest = contest_of(setup, right=right, per_row=per_row)
    plan = replace(contest.time.plan(), seconds=30.0)
    config = {**setup.portfolio[0], "ema": 0.0}  # so that the network that trains is the one to be scored
    trainer = Retrain(config, setup.data.splits, plan, work_dir=tmp_path).trainer
    trainer.model.train()
    before, threads = contest.left(), torch.get_num_threads()
    torch.set_num_threads(3)  # of a training; the device of the setup has one
    try:
        look(contest, trainer)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert [one is contest.others[0] for one in contest.beaten] == [True] * beaten
    assert trainer.model.training
    assert contest.others  # if the retrain fails, it is still known
    n = setup.data.splits.info.n_holdout
    assert contest.left() - before == pytest.approx(1.3 * n * per_row if beaten else 0.0, abs=1.5)


@pytest.mark.parametrize(
    ("safe", "fewer", "beaten"),
    [
        (True, 1, False),  # the retrain must be better by more than a standard error
        (True, 2, True),
        (False, 0, True),  # the head must itself be better than the retrain by more than that
        (False, -1, True),
        (False, -2, False),
    ],
)
def test_head_is_left_out_by_the_rule_that_decides_at_the_end(
    setup: Setup, safe: bool, fewer: int, beaten: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard error is the root of the rows on which only one of both is right: here the head on `fewer` fewer."""
    contest = contest_of(setup, right=True, per_row=0.1)
    plan = replace(contest.time.plan(), seconds=30.0)
    trainer = Retrain(setup.portfolio[0], setup.data.splits, plan, work_dir=tmp_path).trainer
    scored: list[Candidate] = []
    score = contest.score

    def kept(*args: Any, **options: Any) -> Answered:
        found = score(*args, **options)
        scored.append(found.candidate)
        return found

    monkeypatch.setattr(contest, "score", kept)
    look(contest, trainer)
    assert not contest.beaten
    if not safe:  # but not without hope, either
        contest.promise += 2.0 * contest.judge.beside_trial(0.5)
    said, targets = scored[0].scores.argmax(axis=1), contest.judge.targets
    assert (contest.safe_head is not None) is safe
    changed = np.flatnonzero((said == targets) == (fewer > 0))[: abs(fewer)]
    said[changed] = (targets[changed] + (fewer > 0)) % 3
    contest.others = [replace(contest.others[0], scores=np.eye(3)[said])]
    look(contest, trainer)
    assert bool(contest.beaten) is beaten
