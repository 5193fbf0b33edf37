"""Which heads are scored beside the best trial's own weights before a retrain, and without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.pipeline.retrain import contest
from automl.pipeline.retrain.contest import Contest
from automl.pipeline.retrain.final_model import final_model
from automl.pipeline.setup import Setup
from automl.training.evaluate import Answers
from automl.training.models.build import build_model
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights
from tests.pipeline.test_retrain_time import found, setup

__all__ = ["setup"]
pytestmark = pytest.mark.study

WEIGHTS = Weights("m", Path("m.safetensors"), "folder", (0.5,) * 3, (0.5,) * 3)


def untrained(setup: Setup) -> Retrained:
    info = setup.data.splits.info
    torch.manual_seed(0)
    model = build_model(Recipe.from_config(setup.portfolio[0]), info).eval()
    return Retrained(model, info.img_size, 1.0, 1.0, 1, 1, info)


def head(setup: Setup, *, right: float) -> Alternative:
    """A head on features that is right for this share of the validation rows, and has answered for all of them."""
    index = np.load(setup.data.splits.val.index)
    targets = np.load(setup.data.splits.val.targets)[index]
    said = np.where(np.arange(len(index)) < right * len(index), targets, (targets + 1) % 3)
    answers = Answers(torch.from_numpy(4.0 * np.eye(3)[said]), torch.from_numpy(targets), index)
    model = replace(untrained(setup), weights=WEIGHTS)
    config = {"model": "m", "pretrained": True}
    return Alternative(Delivery.HEAD, config, model, value=float(np.mean(said == targets)), answers=answers)


def test_only_heads_that_may_be_delivered_are_scored(setup: Setup) -> None:
    best, near, behind = (head(setup, right=right) for right in (0.9, 0.88, 0.3))
    made = Contest(replace(setup, alternatives=(behind, near, best)), found(3, 1.0), None, float("nan"))
    made.enter_others(made.time.plan())
    assert [one.model for one in made.others] == [near, best]
    assert all(len(one.rows) == len(setup.data.splits.val) for one in made.others)


def test_head_without_hope_is_scored_only_where_there_is_no_retrain(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best trial's rounds took a day, so that the time left holds no retrain."""
    own = Alternative(Delivery.OWN_WEIGHTS, setup.portfolio[0], untrained(setup), value=0.99)
    monkeypatch.setattr(contest, "own_model", lambda *_, **__: own)
    chosen = replace(setup, alternatives=(head(setup, right=0.6),))
    result = found(3, 1e5)
    result = replace(result, best=replace(result.best, config=setup.portfolio[0], value=0.99))
    made = Contest(chosen, result, None, 0.99)
    made.enter_others(made.time.plan())
    assert [one.name for one in made.others] == [Delivery.OWN_WEIGHTS]
    # The head is right for .6 of the rows, and the network for .33.
    assert final_model(chosen, result, promise=0.99).model.delivery is Delivery.HEAD


@pytest.mark.parametrize("scored", ["most", "a third"])
def test_retrain_proves_itself_on_all_rows_if_more_than_a_third_were_scored(
    setup: Setup, scored: str
) -> None:
    """Of 214 tiles a slow network was scored on 192, and the 72 that were kept out told nothing."""
    made = Contest(replace(setup, alternatives=(head(setup, right=0.9),)), found(3, 1.0), None, 0.5)
    made.enter_others(made.time.plan())
    n = len(setup.data.splits.val)
    third = len(made._third)
    assert 10 <= third < n - 2 < 300
    made._order = made._order[: n - 2 if scored == "most" else third]
    made.keep_rows()
    assert len(made.kept) == (n if scored == "most" else third)
    assert len(made.splits.val) == n - len(made.kept)
