"""Sentences of a report read well for one of a kind, and say nothing of none."""

from __future__ import annotations

from pathlib import Path

from automl.final.evaluation.record import Evaluation, MetricScore, SizeBin, TargetScore
from automl.review.page.thumbnails import Thumbnails
from automl.review.report.answers import Answer
from automl.review.report.facts import Facts
from automl.review.report.sections.quality import quality
from automl.review.report.sections.search import search_section
from automl.review.report.shots import Camera
from automl.review.studies import StudyFolder
from automl.search.storage.reader import StoredTrial
from tests.review.report.test_charts import history, trial
from tests.review.report.test_verdict import evaluation, facts


def searched(*trials: StoredTrial) -> Facts:
    return Facts(StudyFolder("x", Path("none"), {}, None, {}), history(*trials))


def test_one_trial_of_one_round_is_told_in_the_singular() -> None:
    section = search_section(searched(trial(1, [0.5])))
    assert section.summary.endswith("It took 12s on 1 worker and 1 round.")
    assert "Timeline: 1 stretch of a trial on 1 worker over time" in section.timeline


def test_equal_scores_are_called_equal_and_no_trial_that_stopped_early_is_not_mentioned() -> None:
    even = search_section(searched(*(trial(k, [0.1, 0.5]) for k in range(1, 6))))
    assert "the search's best is as good as that" in even.random and "stopped early" not in even.random
    early = search_section(searched(trial(0, [0.2]), *(trial(k, [0.1, 0.5]) for k in range(1, 6))))
    assert "; 1 of them was stopped early and might have come further." in early.random


def test_score_that_a_trial_lost_again_is_told() -> None:
    section = search_section(searched(trial(1, [0.3, 0.6, 0.4]), trial(2, [0.2])))
    assert section.reached.startswith(
        "The first score came after 12s (0.3000), the best one, 0.4000, after 16s."
    )
    assert "Scores up to 0.6000 do not count any more" in section.reached


def test_figure_names_the_model_that_has_the_validation_score() -> None:
    said = evaluation({"a": (9, 8), "b": (9, 8)})
    camera = Camera(Thumbnails(None, 0))
    head = {"how": "linear head", "val_score": 0.925, "epochs": 0.0, "n_train": 9}
    shown = quality(facts(said, result={"retrain": head}), camera)
    assert shown is not None and "linear head, validation 0.9250" in shown.bar
    trained = quality(facts(said), camera)
    assert trained is not None and "trial 1, validation 0.8889" in trained.bar


def test_images_are_described_by_class_or_by_value() -> None:
    said = evaluation({"a": (9, 8), "b": (9, 8)})
    wrong = (Answer("x.png", "a", "b", 0.9),)
    shown = quality(facts(said, answers=wrong), Camera(Thumbnails(None, 0)))
    assert shown is not None and shown.errors[0].alt == "image of a, answered b"
    held = MetricScore(3.0, 2.0, 4.0, 3.5, "the mean")
    target = TargetScore(
        "cells", 0.1, 2.25, 3.0, 1.0, (SizeBin(0, 8, 10, 6.0, 6.0), SizeBin(9, 20, 30, 1.0, 0.0))
    )
    values = Evaluation("regression", "rmse", 40, ("cells",), {"rmse": held}, targets=(target,))
    far = (Answer("x.png", "0", "13.35", values=((0.0, 13.35),)),)
    shown = quality(facts(values, answers=far), Camera(Thumbnails(None, 0)))
    assert shown is not None and shown.errors[0].alt == "image with the value 0, predicted 13.35"
