"""The leaderboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from automl.errors import StudyError
from automl.records import Report, TrialRow, TrialState
from automl.review.tables import (
    Delivered,
    delivered_of,
    few_images,
    leaderboard_rows,
    ranked,
    read_trials,
    write_trials,
)
from automl.review.trials import judged
from automl.search.control.incumbent import Incumbent
from tests.final.evidence.literals import INFO
from tests.review.studies_on_disk import TRIALS


def row(trial: int, state: TrialState, value: float | None, rounds: int) -> TrialRow:
    return TrialRow(trial, state, value, rounds, 1.0, {})


def test_failed_trials_are_last() -> None:
    assert [entry.trial for entry in ranked(TRIALS, "max")] == [0, 2, 1]
    assert [entry.trial for entry in ranked(TRIALS, "min")] == [2, 0, 1]


@pytest.mark.parametrize(("mode", "order"), [("max", [1, 2, 0, 3]), ("min", [0, 1, 2, 3])])
def test_trials_are_ordered_by_value_and_ties_by_number(mode: str, order: list[int]) -> None:
    values = [0.1, 0.5, 0.5, float("nan")]
    rows = [row(number, TrialState.COMPLETE, value, 9) for number, value in enumerate(values)]
    assert [entry.trial for entry in ranked(reversed(rows), "max" if mode == "max" else "min")] == order


def test_equal_values_go_to_more_rounds() -> None:
    rows = [
        row(0, TrialState.PRUNED, 0.5, 3),
        row(1, TrialState.COMPLETE, 0.5, 9),
        row(2, TrialState.RUNNING, None, 0),
    ]
    assert [entry.trial for entry in ranked(rows, "max")] == [1, 0, 2]


def test_first_is_the_incumbent_of_the_search() -> None:
    incumbent = Incumbent("max")
    rows = [
        row(0, TrialState.COMPLETE, 0.90, 9),
        row(1, TrialState.PRUNED, 0.92, 3),
        row(2, TrialState.PAUSED, 0.92, 1),
        row(3, TrialState.FAILED, 0.99, 5),
    ]
    for entry in rows:
        incumbent.report(Report(entry.trial, entry.rounds, entry.value or 0.0, 1.0))
    incumbent.drop(3)
    assert incumbent.best is not None
    assert ranked(rows, "max")[0].trial == incumbent.best.trial == 1


def test_columns_begin_with_the_result_then_family_and_model() -> None:
    rows = leaderboard_rows(TRIALS, "accuracy", "max")
    names = list(rows[0])
    assert names[:7] == ["rank", "trial", "state", "val_accuracy", "rounds", "epochs", "seconds"]
    assert names[7:9] == ["family", "model"]
    assert names[-3:] == ["reason", "kind", "delivered"]
    assert all(list(entry) == names for entry in rows)
    assert (rows[2]["opt"], rows[2]["val_accuracy"]) == (None, None)


def test_written_trials_are_read_back_the_same(tmp_path: Path) -> None:
    write_trials(TRIALS, "accuracy", "max", tmp_path / "trials.csv")
    metric, rows = read_trials(tmp_path / "trials.csv")
    assert metric == "accuracy"
    assert sorted(rows, key=lambda entry: entry.trial) == list(TRIALS)


def test_epochs_of_an_earlier_version_are_read_as_rounds(tmp_path: Path) -> None:
    text = "rank,trial,state,val_f1,epochs,seconds,lr,reason\n1,0,complete,0.5,9,2.0,0.1,\n"
    (tmp_path / "trials.csv").write_text(text, encoding="utf-8")
    _, (entry,) = read_trials(tmp_path / "trials.csv")
    assert (entry.rounds, entry.epochs, entry.config) == (9, None, {"lr": 0.1})


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "rank,trial,state,val_f1,epochs,seconds,reason\n1,x,complete,,,,\n"]
)
def test_other_csv_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "trials.csv").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=r"trials.csv must be a leaderboard, got"):
        read_trials(tmp_path / "trials.csv")


def test_front_of_score_and_size_is_shown_where_sizes_are_known(tmp_path: Path) -> None:
    sized = [
        TrialRow(0, TrialState.COMPLETE, 0.9, 9, 1.0, {"lr": 0.1}, "", {"params": 5e6, "macs": 2e8}),
        TrialRow(1, TrialState.PRUNED, 0.8, 3, 1.0, {"lr": 0.1}, "", {"params": 1e6}),
        TrialRow(2, TrialState.COMPLETE, 0.8, 9, 1.0, {"lr": 0.1}, "", {"params": 2e6, "macs": 1e8}),
        TrialRow(3, TrialState.FAILED, None, 0, 1.0, {"lr": 0.1}, "broke", {"params": 1e3, "macs": 1e3}),
        TrialRow(4, TrialState.COMPLETE, 0.7, 9, 1.0, {"lr": 0.1}),
    ]
    rows = leaderboard_rows(sized, "accuracy", "max")
    assert {entry["trial"] for entry in rows if entry["pareto"]} == {0, 1}
    assert [entry["params"] for entry in rows] == [5_000_000, 2_000_000, 1_000_000, None, 1000]
    assert list(rows[0])[7:11] == ["params", "macs", "pareto", "lr"]
    write_trials(sized, "accuracy", "max", tmp_path / "trials.csv")
    _, again = read_trials(tmp_path / "trials.csv")
    assert leaderboard_rows(again, "accuracy", "max") == rows
    assert "pareto" not in leaderboard_rows([sized[4]], "accuracy", "max")[0]


def test_delivered_model_is_of_its_trial_but_a_distilled_one_of_none() -> None:
    assert delivered_of({"how": "retrained"}, 3) == Delivered(3, "retrained")
    assert delivered_of({"how": "own weights", "trial": 5}, 3) == Delivered(5, "own weights")
    assert delivered_of({"how": "distilled"}, 3) == Delivered(None, "distilled")
    kept = {"how": "earlier model", "made": "distilled", "trial": 3}
    assert delivered_of(kept, 3) == Delivered(None, "earlier model")


def test_score_of_few_rows_leads_only_if_better_by_more_than_its_standard_error(tmp_path: Path) -> None:
    info = replace(INFO, n_train=500, n_val=122)
    whole = row(0, TrialState.COMPLETE, 0.902, 9)
    rows = [whole, replace(row(1, TrialState.COMPLETE, 1.0, 0), val_rows=8)]
    known = judged(rows, "accuracy", info)
    assert known[1].error == pytest.approx((0.9 * 0.1 / 8) ** 0.5)
    assert [entry.trial for entry in ranked(known, "max")] == [0, 1]
    more = judged([whole, replace(rows[1], val_rows=100)], "accuracy", info)
    assert [entry.trial for entry in ranked(more, "max")] == [1, 0]
    (every,) = judged([replace(rows[1], val_rows=122)], "accuracy", info)
    assert (every.val_rows, every.error) == (0, 0.0)
    assert few_images(known, 122) == [
        "trial 1 was scored on 8 of 122 validation images: its score counts as worse by its standard error, 0.1061"
    ]
    write_trials(known, "accuracy", "max", tmp_path / "trials.csv")
    _, again = read_trials(tmp_path / "trials.csv")
    assert [entry.val_rows for entry in again] == [0, 8]
    assert judged(again, "accuracy", info)[1].error == known[1].error
