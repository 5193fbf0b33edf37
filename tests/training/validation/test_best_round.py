"""The scores of the best round stay, across processes, and those of trials are what their report was computed from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.machine import Moment
from automl.records import Config, Fold, SearchSplits
from automl.training.cross_validation import CrossValidatedTrial, pooled_index
from automl.training.evaluate import Answers
from automl.training.plan import TrainPlan
from automl.training.steps.metrics import compute
from automl.training.trial import ImageTrial
from automl.training.validation.best_round import BestRound
from automl.training.validation.scores_file import SCORES_FILE, ValidationScores, read_scores


def answers(rows: int = 4) -> Answers:
    return Answers(torch.zeros(rows, 3), torch.zeros(rows, dtype=torch.int64), np.arange(rows))


def kept(path: Path) -> tuple[int, float]:
    found = read_scores(path)
    assert found is not None
    return found.round, found.value


def test_better_and_later_equal_rounds_replace_earlier_ones(splits: SearchSplits, tmp_path: Path) -> None:
    path, best = tmp_path / SCORES_FILE, BestRound("max")
    wanted = [1, 2, 2, 4, 4]
    for round, (value, stays) in enumerate(zip([0.5, 0.7, 0.6, 0.7, float("nan")], wanted, strict=True), 1):
        best.keep(path, answers(), splits.info, round=round, value=value)
        assert kept(path)[0] == stays
    lowest = BestRound("min")
    lowest.keep(path, answers(), splits.info, round=9, value=0.1)
    assert kept(path) == (9, 0.1)


def test_round_on_all_rows_replaces_a_lucky_one_on_a_few(splits: SearchSplits, tmp_path: Path) -> None:
    path, best = tmp_path / SCORES_FILE, BestRound("max")
    best.keep(path, answers(2), splits.info, round=1, value=1.0)
    best.keep(path, answers(4), splits.info, round=2, value=0.5)
    assert kept(path) == (2, 0.5)


def test_another_process_knows_the_best_round_so_far(splits: SearchSplits, tmp_path: Path) -> None:
    path = tmp_path / SCORES_FILE
    BestRound("max").keep(path, answers(), splits.info, round=2, value=0.9)
    BestRound("max").keep(path, answers(), splits.info, round=3, value=0.8)
    assert kept(path) == (2, 0.9)
    # The trial went back to round 1: round 2 of the file was lost with its process.
    BestRound("max").keep(path, answers(), splits.info, round=2, value=0.7)
    assert kept(path) == (2, 0.7)
    path.write_bytes(b"damaged")
    BestRound("max").keep(path, answers(), splits.info, round=4, value=0.6)
    assert kept(path) == (4, 0.6)


def _checked(folder: Path, report: dict[str, Any], splits: SearchSplits) -> ValidationScores:
    found = read_scores(folder / SCORES_FILE)
    assert found is not None
    targets = np.load(splits.val.targets)
    assert np.array_equal(found.targets, targets[found.rows]), "the rows are those of the targets"
    assert compute("accuracy", found.targets, found.scores, "classification") == report["accuracy"]
    assert found.value == report["accuracy"]
    return found


def test_trial_keeps_what_its_report_was_computed_from(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial.keep_scores(tmp_path, 0)
    assert not list(tmp_path.iterdir()), "nothing is scored yet"
    report = trial.step()
    trial.keep_scores(tmp_path, 1)
    assert _checked(tmp_path, report, splits).rows.tolist() == np.load(splits.val.index).tolist()


def test_trial_that_is_scored_on_a_part_keeps_its_rows(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial._scored = 0.5
    report = trial.step()
    trial.keep_scores(tmp_path, 1)
    assert len(_checked(tmp_path, report, splits).rows) == report["val_rows"] == 24


def test_report_before_the_deadline_keeps_the_rows_that_it_had_time_for(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    late = replace(plan, deadline=Moment.now().later(60.0), reporting=59.99)
    trial = ImageTrial(config, splits=splits, plan=late)
    trial.trainer.steps = 1  # time enough for a step, and for no more
    report = trial.step()
    assert report["interrupted"]
    trial.keep_scores(tmp_path, 1)
    found = _checked(tmp_path, report, splits)
    assert sorted(found.rows.tolist()) != found.rows.tolist(), "random rows"


def test_cross_validated_trial_keeps_the_scores_of_all_folds(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    def rows(name: str, chosen: np.ndarray) -> Any:
        np.save(tmp_path / f"{name}.npy", np.flatnonzero(chosen))
        return replace(splits.train, index=tmp_path / f"{name}.npy", n=int(chosen.sum()))

    of_rows = np.arange(192) // 3 % 2
    folds = tuple(Fold(rows(f"train{k}", of_rows != k), rows(f"val{k}", of_rows == k)) for k in range(2))
    info = replace(splits.info, n_train=96, n_val=96, folds=2)
    folded = SearchSplits(info, folds[0].train, folds[0].val, folds=folds)
    trial = CrossValidatedTrial(config, splits=folded, plan=plan)
    report = trial.step()
    trial.keep_scores(tmp_path, 1)
    assert _checked(tmp_path, report, folded).rows.tolist() == pooled_index(folded).tolist()
    trial.close()


@pytest.mark.parametrize("most", [100, 10**6])
def test_answers_that_are_too_many_are_not_held_in_memory(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr("automl.training.validation.scores_file.MOST_BYTES", most)
    trial = ImageTrial(config, splits=splits, plan=plan)
    trial.step()
    trial.keep_scores(tmp_path, 1)
    assert (trial._answers is None) is (most == 100)
    assert (tmp_path / SCORES_FILE).exists() is (most > 100)
