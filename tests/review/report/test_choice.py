"""Why a model is delivered is told from its comparisons, and from the trials if another has the best score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from automl.final.distillation.outcome import Distilled, Size, Tried
from automl.final.evidence.paired import Difference
from automl.records import VAL_ROWS, Report
from automl.review.report.facts import Facts
from automl.review.report.sections.choice import not_the_best, why_this
from automl.search.control.suggestions import PORTFOLIO
from automl.search.storage.reader import StoredTrial
from tests.review.report.test_charts import trial
from tests.review.report.test_verdict import evaluation, facts


def compared(**more: Any) -> dict[str, Any]:
    return {
        "challenger": "own weights",
        "preferred": "retrained",
        "rows": 49,
        "preferred_trained_on": 33,
        "challenger_value": 0.898,
        "preferred_value": 0.9796,
        "better_by": -0.0816,
        "standard_error": 0.0408,
        "won": False,
        **more,
    }


def made(*comparisons: dict[str, Any], **retrain: Any) -> Facts:
    evidence = {"decided_by": "comparison", "comparisons": list(comparisons)}
    entry = {"how": "retrained", "why": "", "epochs": 3.0, "n_train": 9, "evidence": evidence, **retrain}
    return facts(evaluation({"a": (9, 8), "b": (9, 8)}), result={"retrain": entry})


def test_every_comparison_is_shown_with_its_numbers() -> None:
    found = why_this(made(compared(), compared(challenger="linear head", preferred_trained_on=0)))
    assert found.comparisons is not None
    assert found.comparisons.rows[0] == (
        *("best trial's own weights", "0.8980", "retrain", "0.9796", "49", "33", "-0.0816", "0.0408", "no"),
    )
    assert "its score is too good: only a lower one counts" in found.comparisons.note
    assert found.sentences == (
        "Nothing that the retrain was compared with is better by more than one standard error.",
    )


def test_reason_of_the_study_comes_before_ours() -> None:
    found = why_this(made(compared(won=True), why="on 49 validation images the head has more"))
    assert found.sentences == ("On 49 validation images the head has more.",)
    assert found.comparisons is not None and found.comparisons.rows[0][-1] == "yes"
    alone = why_this(made(evidence={"decided_by": "no time to compare"}))
    assert alone.comparisons is None
    assert alone.sentences == ("There was no time to compare it with other models.",)


def chosen(*trials: StoredTrial, best: int) -> str:
    said = evaluation({"a": (9, 8), "b": (9, 8)})
    entry = {"trial": best, "config": {"model": "resnet10t"}, "val_score": 0.5}
    return not_the_best(facts(said, trials=trials, result={"best": entry}))


def test_trial_that_has_not_the_best_score_is_explained() -> None:
    first, second = trial(1, [0.5]), trial(2, [0.6])
    assert chosen(first, second, best=2) == ""
    assert chosen(first, second, best=1).endswith("trial 1 (0.5000) is taken: the study does not say why.")
    own = [replace(one, origin=PORTFOLIO) for one in (first, second)]
    assert (
        "Trial 2 has the best score, 0.6000, but trial 1 (0.5000) is taken: both are from the portfolio"
        in chosen(*own, best=1)
    )
    tuned = replace(first, config={"model": "resnet10t", "pretrained": True})
    scratch = replace(second, config={"model": "resnet10t", "pretrained": False})
    assert "is taken: it is fine-tuned, and by the curves of the trials" in chosen(tuned, scratch, best=1)
    few = replace(second, reports=(Report(2, 1, 0.6, 2.0, {VAL_ROWS: 12.0}),))
    assert "trial 2 was scored on 12 validation images only" in chosen(first, few, best=1)
    assert "Trials 3 and 1 have equal scores, 0.5000" in chosen(first, trial(3, [0.5]), best=3)


def test_teacher_and_students_are_shown_with_what_they_cost_and_reached() -> None:
    teacher = Size("resnet18 at 64 px", "resnet18", 64, 11_000_000, 1.5e8, 44_000_000)
    small = Size("resnet10t at 32 px", "resnet10t", 32, 600_000, 1e7, 2_400_000)
    students = (
        Tried(small, "random weights", why="no time: 1.0 s are left"),
        Tried(small, "weights of trial 2", Difference(0.9, 0.895, 0.005, 0.012, 120), 0.01),
    )
    told = Distilled("the retrain of trial 3", teacher, "accuracy", 0.9, 0.01, 120, students, 1)
    found = why_this(made(evidence={"distillation": told.measured(8.04, 1.26).to_dict()})).students
    assert found is not None and "at most 0.0100 on 120 validation images" in found.note
    assert found.rows == (
        ("the retrain of trial 3", "11,000,000", "44.00", "8.0", "", "0.9000", "", "", "", "teacher"),
        (
            *("resnet10t at 32 px", "600,000", "2.40", "-", "random weights", "-", "-", "-", "-"),
            "no time: 1.0 s are left",
        ),
        (
            *(
                "resnet10t at 32 px",
                "600,000",
                "2.40",
                "1.3",
                "weights of trial 2",
                "0.8950",
                "0.0050",
                "0.0120",
                "66%",
            ),
            "delivered",
        ),
    )
