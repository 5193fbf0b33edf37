"""What trials answered on the validation rows is read from their scores, by the names of the files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.errors import StorageError
from automl.records import TrialRow, TrialState
from automl.review.incumbents.answers import file_names, scores_path, trial_answers
from automl.review.studies import StudyFolder, read_study
from automl.search.storage.kinds import ON_FEATURES
from automl.training.validation.scores_file import scores_of_head, write_scores
from tests.review.incumbents.studies import CLASSES, FILES, scores_of, write_index, write_trial
from tests.review.studies_on_disk import running_study

ROW = TrialRow(0, TrialState.COMPLETE, 0.7, 2, 3.0, {})


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    root = running_study(tmp_path)
    write_index(root)
    return read_study(root)


def test_wrong_answers_have_file_label_prediction_and_confidence(study: StudyFolder) -> None:
    write_trial(study.path, 0, scores_of())
    found = trial_answers(study, ROW, "f1")
    assert found is not None
    said = [(each.file, each.label, each.predicted, round(each.confidence, 2)) for each in found.answers]
    assert said == [
        ("4.png", "birch", "ash", 0.9),
        ("9.png", "oak", "birch", 0.5),
    ]
    assert (found.wrong, found.round, found.value) == (2, 2, 0.7)
    assert found.evaluation.confusion == {
        "ash": {"ash": 1},
        "birch": {"ash": 1},
        "oak": {"birch": 1, "oak": 1},
    }


def test_labels_and_values_are_told_as_words(study: StudyFolder) -> None:
    scores = np.array([[0.8, 0.6, 0.1], [0.1, 0.5, 0.1], [0.1, 0.1, 0.9], [0.1, 0.1, 0.1]])
    write_trial(study.path, 0, scores_of(scores=scores, task="multilabel"))
    found = trial_answers(study, ROW, "f1")
    assert found is not None
    assert [(each.label, each.predicted) for each in found.answers] == [("ash", "ash|birch"), ("oak", "")]
    assert found.wrong == 2 and math.isnan(found.answers[0].confidence)
    write_trial(study.path, 0, scores_of(scores=scores, task="regression"))
    found = trial_answers(study, ROW, "rmse")
    assert found is not None
    assert [each.file for each in found.answers][0] in ("6.png", "9.png"), "the largest error first"
    (second,) = [each for each in found.answers if each.file == "4.png"]
    assert np.allclose(second.values, [(1.0, 0.1), (1.5, 0.5), (2.0, 0.1)]) and second.label == "1|1.5|2"


def test_rows_without_a_name_count_in_the_matrix_alone(study: StudyFolder) -> None:
    write_trial(study.path, 0, scores_of())
    (study.path / "index" / "val.npy").unlink()
    assert file_names(study.path) == {}
    found = trial_answers(study, ROW, "f1")
    assert found is not None and found.answers == ()
    assert (found.wrong, found.evaluation.n) == (2, 4)


def test_names_are_those_of_the_rows_unless_the_table_has_others(study: StudyFolder) -> None:
    names = file_names(study.path)
    assert [names[row] for row in (1, 4, 6, 9)] == list(FILES)
    assert 3 not in names, "it is left out"
    table = study.path / "splits.csv"
    table.write_text(table.read_text(encoding="utf-8").rpartition("\n")[0], encoding="utf-8")
    assert file_names(study.path) == {}, "the table is being written"


def test_scores_of_a_round_that_was_not_taken_in_are_left_out(study: StudyFolder) -> None:
    write_trial(study.path, 0, scores_of(round=3))
    assert trial_answers(study, ROW, "f1") is None
    assert trial_answers(study, replace(ROW, trial=1), "f1") is None, "without a file"


def test_scores_that_are_not_finite_are_damaged(study: StudyFolder) -> None:
    write_trial(study.path, 0, scores_of(scores=np.full((4, 3), np.nan)))
    with pytest.raises(StorageError, match="hold a value that is not finite"):
        trial_answers(study, ROW, "f1")


def test_head_has_its_scores_beside_its_weights(study: StudyFolder) -> None:
    config = {"model": "resnet10t", "pretrained": True}
    head = TrialRow(5, TrialState.COMPLETE, 0.6, 0, 1.0, config, kind=ON_FEATURES)
    write_scores(scores_of_head(study.path / "heads" / "resnet10t.safetensors"), scores_of(round=0))
    assert scores_path(study.path, head).name == "resnet10t.validation.safetensors"
    found = trial_answers(study, head, "f1")
    assert found is not None and found.evaluation.classes == CLASSES
