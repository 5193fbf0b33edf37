"""Each sentence of a verdict follows from a number: change the number, and the sentence changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl.final.evaluation.record import ClassScore, Evaluation, MetricScore, SizeBin, TargetScore
from automl.records import Report, TrialState
from automl.review.report.advice import Advice, advice, tail
from automl.review.report.answers import LabelError
from automl.review.report.facts import Facts
from automl.review.report.history import History
from automl.review.report.verdict import leaks, model_words, verdict
from automl.review.studies import StudyFolder
from automl.review.trials import stored_rows
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import ENSEMBLE


def evaluation(
    rows: dict[str, tuple[int, int]], confusion: dict[str, dict[str, int]] | None = None
) -> Evaluation:
    """An evaluation of classes given as (images, right)."""
    n, right = sum(row[0] for row in rows.values()), sum(row[1] for row in rows.values())
    scores = tuple(
        ClassScore(name, hit / support, hit / support, hit / support, support, support)
        for name, (support, hit) in rows.items()
    )
    held = MetricScore(right / n, right / n - 0.02, right / n + 0.02, 0.3, "always 'a'")
    return Evaluation(
        "classification", "accuracy", n, tuple(rows), {"accuracy": held}, scores, confusion or {}
    )


def facts(said: Evaluation, *, trials: tuple[StoredTrial, ...] = (), **more: Any) -> Facts:
    held = said.metrics[said.metric]
    result = {
        "task": said.task,
        "metric": said.metric,
        "mode": "min" if said.metric == "rmse" else "max",
        "data": {"n_train": 80, "n_val": 20, "n_holdout": said.n},
        "best": {"trial": 1, "config": {"model": "resnet10t"}, "val_score": held.value},
        "retrain": {"epochs": 3.0, "n_train": 100},
        "holdout": {said.metric: {"value": held.value, "low": held.low, "high": held.high}},
        "trivial": {said.metric: held.trivial},
        "trivial_words": {said.metric: held.trivial_words},
    }
    result |= more.pop("result", {})
    history = History(
        said.metric, "min" if said.metric == "rmse" else "max", tuple(stored_rows(trials)), trials
    )
    study = StudyFolder("x", Path("none"), {}, result, more.pop("plan", {}))
    return Facts(study, history, result, evaluation=said, **more)


def counts(**images: int) -> dict[str, Any]:
    return {"class_counts": {name: {"train": n, "val": 0, "holdout": 0} for name, n in images.items()}}


def first(found: Facts) -> Advice:
    return advice(found)[0]


def test_rare_class_with_most_errors_is_named_with_its_numbers() -> None:
    said = evaluation({"a": (20, 12), "b": (20, 19), "c": (20, 20)})
    most = first(facts(said, data=counts(a=5, b=50, c=50)))
    assert most.kind == "class"
    assert most.words == (
        "more images of 'a': 8 of the 9 errors on the holdout are on it, and it has 5 of the images to learn from "
        "(a class has 50)"
    )


def test_class_with_many_images_or_by_chance_is_not_named() -> None:
    said = evaluation({"a": (20, 12), "b": (20, 19), "c": (20, 20)})
    assert not [one for one in advice(facts(said, data=counts(a=90, b=50, c=50))) if one.kind == "class"]
    even = evaluation({"a": (20, 17), "b": (20, 18), "c": (20, 18)})
    assert not [one for one in advice(facts(even, data=counts(a=5, b=50, c=50))) if one.kind == "class"]


def test_pair_that_is_confused_most_is_named() -> None:
    confusion = {"a": {"a": 16, "b": 4}, "b": {"a": 3, "b": 17}, "c": {"c": 19, "a": 1}, "d": {"d": 20}}
    said = evaluation({"a": (20, 16), "b": (20, 17), "c": (20, 19), "d": (20, 20)}, confusion)
    most = first(facts(said))
    assert most.kind == "pair" and most.words.endswith("7 of the 8 errors on the holdout confuse the two")


def trial(values: list[float]) -> StoredTrial:
    reports = tuple(Report(1, k, value, 1.0) for k, value in enumerate(values, 1))
    times = tuple(float(k) for k in range(len(values)))
    return StoredTrial(
        1, TrialState.COMPLETE, {"model": "resnet10t"}, "sampler", reports, times, 0, None, False, 0.0, 9.0
    )


def test_more_time_is_named_only_where_the_curve_still_rises() -> None:
    said = evaluation({"a": (2000, 1400), "b": (2000, 1400)})
    big = {"data": {"n_train": 9000, "n_val": 4000, "n_holdout": 4000}}
    rising = facts(said, trials=(trial([0.3, 0.5, 0.6, 0.65, 0.7]),), result=big)
    most = first(rising)
    assert (
        most.kind == "time"
        and "by the curve of trial 1, twice the training raises validation accuracy by about 0." in most.words
    )
    flat = facts(said, trials=(trial([0.699, 0.7, 0.7, 0.7, 0.7]),), result=big)
    assert not [one for one in advice(flat) if one.kind == "time"]


@pytest.mark.parametrize("how", ["distilled", "soup", "ensemble"])
def test_more_time_is_not_named_for_a_model_that_was_made_of_others(how: str) -> None:
    said, rising = evaluation({"a": (2000, 1400), "b": (2000, 1400)}), trial([0.3, 0.5, 0.6, 0.65, 0.7])
    short = {"epochs": 3.0, "n_train": 100, "evidence": {"retrain": {"timed": True, "progress": 0.4}}}
    big = {"data": {"n_train": 9000, "n_val": 4000, "n_holdout": 4000}}
    single = facts(said, trials=(rising,), result={"retrain": short, **big})
    assert [one.kind for one in advice(single) if one.kind == "time"] == ["time", "time"]
    derived = facts(said, trials=(rising,), result={"retrain": {**short, "how": how}, **big})
    assert [one for one in advice(derived) if one.kind == "time"] == []


def test_more_time_counts_from_the_length_of_the_model() -> None:
    """A retrain of 64 times the trial's work is where the curve is flat already."""
    said = evaluation({"a": (200, 140), "b": (200, 140)})
    values = [0.5, 0.66, 0.73, 0.77]
    made = {"epochs": 3.0, "n_train": 9, "images": 64_000, "evidence": {"trial": {"images": 1_000}}}
    big = {"data": {"n_train": 900, "n_val": 400, "n_holdout": 400}}
    short = advice(facts(said, trials=(trial(values),), result=big))
    long = advice(facts(said, trials=(trial(values),), result={**big, "retrain": made}))
    assert [one.kind for one in short] == ["time"] and not long


def test_more_time_for_a_head_needs_a_curve_that_leads_above_it() -> None:
    said = evaluation({"a": (200, 140), "b": (200, 140)})
    head = {"how": "linear head", "epochs": 0.0, "n_train": 9, "val_score": 0.5}
    big = {"data": {"n_train": 900, "n_val": 400, "n_holdout": 400}}
    found = advice(facts(said, trials=(trial([0.5, 0.66, 0.73]),), result={**big, "retrain": head}))
    assert "and the linear head has 0.5000" in found[0].words
    better = {**big, "retrain": {**head, "val_score": 0.95}}
    assert not advice(facts(said, trials=(trial([0.5, 0.66, 0.73]),), result=better))


def test_retrain_that_time_ended_is_named_with_how_far_it_came() -> None:
    done = {
        "retrain": {"epochs": 3.0, "n_train": 9, "evidence": {"retrain": {"timed": True, "progress": 0.4}}}
    }
    most = first(facts(evaluation({"a": (9, 8), "b": (9, 8)}), result=done))
    assert most.words == "more time: the retrain had reached 40% of its length when its time was up"


def test_label_errors_are_named_where_they_may_explain_errors() -> None:
    said = evaluation({"a": (50, 47), "b": (50, 47)})
    errors = tuple(LabelError(str(k), "a", "b", 0.9) for k in range(8))
    assert first(facts(said, label_errors=errors)).kind == "labels"
    assert not [one for one in advice(facts(said, label_errors=errors[:2])) if one.kind == "labels"]


def test_values_of_a_regression_with_the_largest_errors_are_named() -> None:
    bins = (SizeBin(0, 8, 10, 6.0, 6.0), SizeBin(9, 20, 30, 1.0, 0.0))
    target = TargetScore("cells", 0.1, 2.25, 3.0, 1.0, bins)
    held = MetricScore(3.0, 2.0, 4.0, 3.5, "the mean")
    said = Evaluation("regression", "rmse", 40, ("cells",), {"rmse": held}, targets=(target,))
    assert (
        first(facts(said)).words
        == "more images where the value is 0 to 8: the mean error there is 6, and 2.25 for all"
    )
    assert not advice(facts(said, result={"usable": False}))  # a constant errs most in the tails, too


def test_errors_of_a_model_that_has_learnt_nothing_point_to_nothing() -> None:
    said = evaluation(
        {"a": (20, 20), "b": (20, 1), "c": (20, 1)}, {"b": {"a": 19, "b": 1}, "c": {"a": 19, "c": 1}}
    )
    plan = {"begun_with": {"used": False}, "img_size": 96}
    result = {"data": {"n_train": 80, "n_val": 20, "n_holdout": 60}, "usable": False}
    bad = verdict(facts(said, data=counts(a=50, b=5, c=50), plan=plan, result=result)).sentences[-1]
    assert bad.startswith("What would help is not known: the errors of a model that has not learnt to answer")
    assert "Worth a try: pretrained weights, which were not tried" in bad and "more images of" not in bad
    assert first(facts(said, data=counts(a=50, b=5, c=50), plan=plan)).kind in ("class", "pair")


def test_few_test_images_are_told_as_an_uncertain_score_and_not_as_a_lack_of_the_model() -> None:
    said = evaluation({"a": (9, 8), "b": (9, 8)}, {"a": {"a": 8, "b": 1}, "b": {"a": 1, "b": 8}})
    wide = replace(said.metrics["accuracy"], low=0.7, high=0.97)
    sentence = verdict(facts(replace(said, metrics={"accuracy": wide}))).sentences[-1]
    assert sentence.startswith("What would help most is not known")
    assert "With 18 holdout images, the score is known only to be between 0.7000 and 0.9700;" in sentence


def test_study_without_evidence_says_so_and_one_without_errors_too() -> None:
    said = verdict(
        facts(evaluation({"a": (90, 88), "b": (90, 88)}, {"a": {"b": 2, "a": 88}, "b": {"a": 2, "b": 88}}))
    )
    assert said.sentences[-1].startswith("What would help most is not known")
    perfect = verdict(facts(evaluation({"a": (9, 9), "b": (9, 9)}, {"a": {"a": 9}, "b": {"b": 9}})))
    assert perfect.sentences[-1].startswith("All 18 holdout images are answered rightly")


def test_leak_across_given_splits_is_a_doubt() -> None:
    found = {"findings": [{"kind": "leak", "headline": "2 groups across the given splits"}]}
    said = verdict(facts(evaluation({"a": (9, 8), "b": (9, 8)}), data=found))
    assert "But the score may be too good: 2 groups across the given splits." in said.sentences[1]
    groups = {
        "kind": "group_leak",
        "headline": "3 groups have rows on both sides, so the score may be too good: drop",
    }
    kept = verdict(facts(evaluation({"a": (9, 8), "b": (9, 8)}), data={"findings": [groups]}))
    assert "But the score may be too good: 3 groups have rows on both sides." in kept.sentences[1]


def test_copies_and_groups_that_were_left_out_are_no_doubt() -> None:
    left = {
        "findings": [
            {"kind": "leak", "headline": "1 group across the given splits"},
            {
                "kind": "group_leak",
                "headline": "1 group has rows on both sides: their training rows are left out.",
            },
        ],
        "notes": ["1 image is a copy of validation or test images and left out, as they would leak."],
    }
    found = facts(evaluation({"a": (9, 8), "b": (9, 8)}), data=left)
    assert leaks(found) == [] and "too good" not in verdict(found).sentences[1]


def test_model_that_never_answers_a_label_is_not_called_usable() -> None:
    rows = tuple(ClassScore(name, math.nan, 0.0, 0.0, 20, 0, 0.4, 0.5) for name in "ab")
    held = MetricScore(0.43, 0.37, 0.53, 0.28, "chance")
    said = verdict(
        facts(
            Evaluation("multilabel", "average_precision", 67, ("a", "b"), {"average_precision": held}, rows)
        )
    )
    assert said.state == "bad" and "usable" not in said.sentences[1]
    assert said.sentences[1].startswith(
        "It orders images better than the trivial answer, but it does not answer. No label is ever answered"
    )


@pytest.mark.parametrize(
    ("config", "how", "expected"),
    [
        ({"model": "resnet18", "pretrained": True}, "retrained", "a fine-tuned resnet18"),
        ({"model": "resnet18.a1_in1k"}, "retrained", "a resnet18 trained from scratch"),
        ({"model": "resnet18", "pretrained": True}, "linear head", "a linear head on features of resnet18"),
        ({"model": "resnet10t"}, "distilled", "a resnet10t that learned from a larger network"),
        (
            {"model": "automl.training.models.linear_head:linear_on_pixels"},
            "linear head",
            "a linear head on 16 x 16 pixels",
        ),
    ],
)
def test_model_is_called_what_it_is(config: dict[str, Any], how: str, expected: str) -> None:
    assert model_words({"retrain": {"how": how, "config": config}, "best": {"config": {}}}) == expected


def test_student_is_called_by_its_teacher() -> None:
    for model, words in (("resnet18.a1_in1k", "a resnet18"), ("resnet10t", "a larger resnet10t")):
        retrain = {"how": "distilled", "config": {"model": "resnet10t"}, "teacher": {"model": model}}
        assert model_words({"retrain": retrain}) == f"a resnet10t that learned from {words}"


def test_ensemble_is_called_one() -> None:
    members = [{"trial": 1}, {"trial": 3}, {"trial": 0}]
    result = {"retrain": {"how": "ensemble", "config": {"model": ENSEMBLE}, "members": members}}
    assert model_words(result) == "an ensemble of 3 models"
    retrain = {"how": "soup", "config": {"model": "resnet18", "pretrained": True}, "members": members}
    assert model_words({"retrain": retrain}) == "a soup of 3 resnet18"


def test_tail_is_the_binomial_one() -> None:
    assert tail(0, 5, 0.3) == pytest.approx(1.0)
    assert tail(5, 5, 0.3) == pytest.approx(0.3**5)
    assert tail(2, 3, 0.5) == pytest.approx(0.5)
