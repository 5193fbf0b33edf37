"""The best trial and a head, compared out of fold on the same rows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from automl.final.evidence.candidates import Alternative, Candidate, Judge
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.own_model import crossed_dict, decides, out_of_fold, worse_mirrored
from automl.final.retrain import Retrained
from automl.records import Fold, Rows, SearchSplits
from automl.search.result import BestTrial
from automl.search.storage.checkpoints import publish_checkpoint
from automl.training import checkpoint
from automl.training.heads.out_of_fold import OutOfFold
from tests.final.evidence.literals import INFO

N = 90
TARGETS = np.arange(N) % 2
INFO_CV = replace(INFO, folds=3, n_train=60, n_val=30)


def outputs(right: int) -> np.ndarray:
    """Outputs that are right for the first rows."""
    return 5.0 * np.eye(2)[np.where(np.arange(N) < right, TARGETS, 1 - TARGETS)]


@pytest.fixture
def splits(tmp_path: Path) -> SearchSplits:
    """Ninety rows whose folds are not in their order."""
    np.save(tmp_path / "targets.npy", TARGETS)
    of = np.random.default_rng(0).permutation(N) % 3

    def rows(name: str, chosen: np.ndarray) -> Rows:
        np.save(tmp_path / f"{name}.npy", np.flatnonzero(chosen))
        return Rows(tmp_path, tmp_path / "targets.npy", tmp_path / f"{name}.npy", int(chosen.sum()))

    folds = tuple(Fold(rows(f"t{k}", of != k), rows(f"v{k}", of == k)) for k in range(3))
    return SearchSplits(INFO_CV, folds[0].train, folds[0].val, folds=folds)


def best_trial(folder: Path, splits: SearchSplits, right: int, *, round: int = 2) -> BestTrial:
    """A trial with a checkpoint of round 2."""
    parts = [torch.from_numpy(outputs(right)[np.load(fold.val.index)]).float() for fold in splits.folds]
    checkpoint.write(folder / "new", {"0.w": torch.zeros(1)}, {"folds": [{}, {}, {}], "outputs": parts})
    publish_checkpoint(folder / "new", folder / "checkpoint", 2)
    return BestTrial(number=1, config={}, value=0.9, round=round, checkpoint=folder / "checkpoint")


def head(right: int, rows: int = N) -> Alternative:
    """A head with a cross-validation of the first rows."""
    found = OutOfFold(np.arange(rows), outputs(right)[:rows], TARGETS[:rows], (right / N,), 3)
    trained = Retrained(nn.Identity(), 8, 1.0, 1.0, 10, 10, INFO_CV)
    return Alternative(
        Delivery.HEAD, {"model": "m", "pretrained": True}, trained, right / N, out_of_fold=found
    )


JUDGE = Judge("accuracy", INFO_CV, TARGETS[:30])


@pytest.mark.parametrize(("trial", "of_head", "decided"), [(88, 80, True), (81, 80, False), (70, 80, False)])
def test_rows_are_matched_and_one_standard_error_decides(
    tmp_path: Path, splits: SearchSplits, trial: int, of_head: int, decided: bool
) -> None:
    found = out_of_fold(best_trial(tmp_path, splits, trial), splits, [head(of_head)], JUDGE)
    assert found is not None
    assert (found.first, found.second, found.rows) == (trial / N, of_head / N, N)
    # McNemar: the square root of the rows that only one of them knows.
    assert found.error == pytest.approx(np.sqrt(abs(trial - of_head)) / N)
    assert decides(found) is decided
    assert crossed_dict(found)["trial"] == trial / N


def test_nothing_is_compared_without_folds_heads_or_the_same_rows(
    tmp_path: Path, splits: SearchSplits
) -> None:
    best = best_trial(tmp_path, splits, 88)
    assert out_of_fold(best, replace(splits, folds=()), [head(80)], JUDGE) is None
    assert out_of_fold(best, splits, [replace(head(80), out_of_fold=None)], JUDGE) is None
    assert out_of_fold(best, splits, [replace(head(80), config={"model": "pixels"})], JUDGE) is None
    assert out_of_fold(best, splits, [head(40, rows=50)], JUDGE) is None
    assert out_of_fold(replace(best, round=3), splits, [head(80)], JUDGE) is None
    assert not decides(None)


def test_a_score_of_folds_has_the_error_of_all_rows() -> None:
    assert JUDGE.n_scored == 90 and Judge("accuracy", INFO, TARGETS[:30]).n_scored == 30


@pytest.mark.parametrize(
    ("metric", "trial", "hflip", "rows", "worse"),
    [
        ("accuracy", 0.9, True, N, True),
        ("accuracy", 0.8, True, N, False),  # as good
        ("accuracy", 0.7, True, N, False),
        ("log_loss", 0.1, True, N, True),  # less is better
        ("log_loss", 2.0, True, N, False),
        ("accuracy", 0.9, False, N, False),  # it is scored as the trial was
        ("accuracy", 0.9, True, N - 1, False),  # not on the same rows
        ("accuracy", math.nan, True, N, False),
    ],
)
def test_mirror_images_are_worse_if_the_trial_has_a_better_score_without_them(
    metric: str, trial: float, hflip: bool, rows: int, worse: bool
) -> None:
    order = np.random.default_rng(0).permutation(N)[:rows]
    trained = Retrained(nn.Identity(), 8, 1.0, 1.0, 10, 10, INFO)
    model = Alternative(Delivery.OWN_WEIGHTS, {"hflip": hflip}, trained, trial)
    probabilities = 0.02 + 0.96 * outputs(right=72) / 5.0
    own = Candidate(model, order, probabilities[order], np.zeros(N, dtype=bool))
    assert worse_mirrored(own, Judge(metric, INFO, TARGETS)) is worse
