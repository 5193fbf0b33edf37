"""Configurations and results in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.records import Interval
from automl.review.describe import (
    aligned,
    config_words,
    counts_words,
    delivered_kind,
    delivered_val,
    details,
    interval_words,
    number,
    score,
    summary,
)
from automl.spaces.architectures.factories import ENSEMBLE
from tests.review.studies_on_disk import CONFIG, RESULT


def test_configuration_names_what_matters() -> None:
    words = "resnet10t, adamw, lr 0.0040, batch 64, one-cycle, augmentation 0.5 with flips"
    assert config_words(CONFIG) == words


def test_fine_tuning_is_told_in_words() -> None:
    config = {"model": "resnet18", "pretrained": True, "freeze": "stages", "opt": "adamw", "lr": 5e-4}
    assert config_words(config) == "resnet18, pretrained, all but the last stage frozen, adamw, lr 5.0e-04"
    tagged = {**config, "weights": "resnet18.a1_in1k"}
    assert config_words(tagged).startswith("resnet18.a1_in1k, pretrained, all but")
    scratch = {"model": "resnet18.a1_in1k", "pretrained": False, "opt": "adamw"}
    assert config_words(scratch) == "resnet18, from scratch, adamw"
    sized = {**config, "size": 160, "freeze_norm": True}
    assert "pretrained, at 160 px, all but" in config_words(sized)
    assert "statistics of batch norm kept" in config_words(sized, everything=True)
    assert "px" not in config_words({**config, "size": None})
    full = config_words({**config, "head_lr": 5.0, "layer_decay": 0.9}, everything=True)
    assert "head x5, layer decay 0.9" in full


def test_configuration_in_full_leaves_out_what_is_not_used() -> None:
    words = config_words({**CONFIG, "cutout": 0.25}, everything=True)
    assert "weight decay 0.02" in words
    assert "mixup" not in words
    assert words.endswith("cutout 0.25")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "no parameters"),
        ({"layers": 3, "dropout": 0.5}, "layers 3, dropout 0.5"),
        ({"model": "a", "hflip": True}, "a, with flips"),
        (
            {"model": "a", "augment": 0.4, "hflip": True, "rot90": True},
            "a, augmentation 0.4 with flips and turns",
        ),
        ({"model": "a", "hflip": False, "rot90": True}, "a, with turns"),
        ({"model": "a", "hflip": False, "rot90": False}, "a"),
        ({"model": "a", "augment": 0.0, "hflip": False}, "a, augmentation 0"),
    ],
)
def test_configuration_of_another_space_is_told_too(config: dict[str, Any], words: str) -> None:
    assert config_words(config) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.004, "0.0040"),
        (3.14e-5, "3.1e-05"),
        (0.5, "0.5"),
        (64, "64"),
        (2.0, "2"),
        (True, "True"),
        ("x", "x"),
    ],
)
def test_number_is_short(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98765, "0.9877"), (None, "-"), (float("nan"), "-"), (123.456, "123.46"), (-0.5, "-0.5000")],
)
def test_score_has_four_decimals(value: float | None, text: str) -> None:
    assert score(value) == text


def test_interval_reads_the_same_from_record_and_json() -> None:
    text = "0.9200 (0.7484 to 0.9777)"
    assert (
        interval_words(RESULT["holdout"]["accuracy"])
        == interval_words(Interval(0.92, 0.7484, 0.9777))
        == text
    )


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"total": 3, "complete": 1, "pruned": 2, "failed": 0}, "3 trials: 1 complete, 2 pruned"),
        ({"total": 1, "running": 1}, "1 trial: 1 running"),
        ({}, "0 trials"),
    ],
)
def test_counts_leave_out_zeros(counts: dict[str, int], text: str) -> None:
    assert counts_words(counts) == text


def test_summary_begins_with_the_holdout_of_the_studys_metric() -> None:
    lines = aligned(summary(RESULT, Path("studies/photos/model"), "automl dashboard photos"))
    assert lines[0].split("   ")[0] == "holdout accuracy"
    assert "0.9200 (0.7484 to 0.9777), 95 % interval" in lines[0]
    text = "\n".join(lines)
    assert "0.9500, from trial 2" in text
    assert "9m54s of 10m" in text
    assert "studies/photos/model" in text
    assert lines[-1].endswith("automl dashboard photos")


@pytest.mark.parametrize(
    ("task", "count", "words"),
    [
        ("classification", 2, "2 classes"),
        ("classification", 1, "1 class"),
        ("multilabel", 5, "5 labels"),
        ("regression", 1, "1 target"),
        ("regression", 3, "3 targets"),
    ],
)
def test_outputs_have_the_word_of_their_task(task: str, count: int, words: str) -> None:
    result = {**RESULT, "task": task, "data": {**RESULT["data"], "n_classes": count}}
    assert f"3 skipped; {words}\n" in "\n".join(aligned(details(result)))


def test_details_explain_gap_and_data() -> None:
    text = "\n".join(aligned(details(RESULT)))
    assert "80 train, 20 val, 25 holdout, 3 skipped; 2 classes" in text
    assert "the difference lies inside the interval" in text
    assert "12,345 images trained in 40 rounds (12.5 epochs)" in text
    assert aligned(details({"seed": 0})) == ["in full    no parameters", "seed       0"]


def test_epochs_of_an_earlier_version_are_shown_as_rounds() -> None:
    old = {**RESULT, "work": {"epochs": 40, "images_trained": 12345}}
    assert "12,345 images trained in 40 rounds" in [text for _, text in details(old)]


def test_own_weights_are_not_described_as_a_retrain_of_a_moment() -> None:
    retrain = {
        "how": "own weights",
        "why": "the 4 s left are few",
        "epochs": 3.5,
        "n_train": 80,
        "seconds": 0.1,
    }
    result = {**RESULT, "retrain": retrain, "holdout_reads": 2}
    text = "\n".join(aligned([*summary(result, Path("m"), ""), *details(result)]))
    assert (
        "delivered                   the best trial's own weights, after 3.5 epochs on 80 training images"
        in text
    )
    assert "the 4 s left are few" in text and "read 2 times" in text
    assert "retrained" not in text and "0.1s" not in text


def test_scores_stand_beside_the_trivial_answer() -> None:
    result = {
        **RESULT,
        "trivial": {"accuracy": 0.52, "balanced_accuracy": 0.5},
        "trivial_words": {"accuracy": "always 'bee'", "balanced_accuracy": "chance"},
        "best": {**RESULT["best"], "val_trivial": 0.55},
    }
    lines = dict(summary(result, Path("m"), ""))
    assert lines["holdout accuracy"] == "0.9200 (0.7484 to 0.9777), 95 % interval; always 'bee' (0.5200)"
    assert lines["holdout balanced_accuracy"].endswith("; chance (0.5000)")
    assert lines["val accuracy"] == "0.9500, from trial 2; always 'bee' (0.5500)"
    nothing = {**result, "best": {**RESULT["best"], "val_score": None}}
    assert dict(summary(nothing, Path("m"), ""))["val accuracy"].startswith("none: no trial was scored; ")


def test_time_of_all_runs_is_told_after_a_continuation() -> None:
    time = {"limit_s": 60.0, "used_s": 54.0, "all_runs_s": 240.0}
    assert dict(summary({**RESULT, "time": time}, Path("m"), ""))["time"] == "54s of 1m; 4m in all runs"
    once = {**time, "all_runs_s": 54.0}
    assert dict(summary({**RESULT, "time": once}, Path("m"), ""))["time"] == "54s of 1m"


def test_without_a_scored_trial_no_configuration_is_called_the_best() -> None:
    nothing = {**RESULT, "best": {**RESULT["best"], "val_score": None}}
    words = dict(summary(nothing, Path("m"), ""))["best"]
    assert words.startswith("none; the first configuration was resnet10t, adamw")


def test_model_that_is_kept_is_told_with_the_reason() -> None:
    retrain = {
        "how": "earlier model",
        "made": "retrained",
        "trial": 1,
        "why": "the retrain trained on 10 images and the earlier model on 900: the earlier model is kept",
        "epochs": 9.0,
        "n_train": 100,
        "seconds": 12.5,
    }
    result = {**RESULT, "retrain": retrain}
    lines = dict([*summary(result, Path("m"), ""), *details(result)])
    assert lines["delivered"] == (
        "kept from an earlier run: trained for 9.0 epochs on 100 training and validation images"
    )
    assert lines["because"] == retrain["why"]


def test_ensemble_is_a_kind_of_its_own() -> None:
    retrain = {"how": "ensemble", "config": {"model": ENSEMBLE}}
    assert delivered_kind({"retrain": retrain}) == "ensemble"
    assert delivered_kind({"retrain": {**retrain, "how": "earlier", "made": "ensemble"}}) == "ensemble"
    assert delivered_kind({"retrain": {"how": "soup", "config": {"model": "resnet18"}}}) == "soup"


def test_distilled_network_is_a_kind_of_its_own_and_names_its_teacher() -> None:
    teacher = {"name": "the retrain of trial 3", "model": "resnet18.a1_in1k", "params": 11_000_000}
    retrain = {
        "how": "distilled",
        "why": "it learned",
        "config": {"model": "resnet10t", "width": 0.5, "lr": 0.01},
        "teacher": teacher,
        "evidence": {"distillation": {"students": [{"params": 123_456, "value": 0.9}], "chosen": 0}},
        "epochs": 8.0,
        "n_train": 100,
        "seconds": 12.5,
    }
    said = (
        "distilled from the retrain of trial 3 (resnet18 with 11,000,000 parameters), whose answers it learned for 8.0 "
        "epochs on 100 training and validation images"
    )
    assert delivered_kind({"retrain": retrain}) == "distilled"
    lines = dict(summary({**RESULT, "retrain": retrain}, Path("m"), ""))
    student = "resnet10t, 0.5 of its width, lr 0.01, 123,456 parameters"
    assert lines["delivered"] == f"{student}: {said}"
    assert lines["best training"].startswith("resnet10t, adamw") and "best" not in lines
    assert (
        dict(details({**RESULT, "retrain": retrain}))["student in full"]
        == "resnet10t, 0.5 of its width, lr 0.01"
    )
    kept = {**retrain, "how": "earlier model", "made": "distilled", "trial": 3}
    lines = dict(summary({**RESULT, "retrain": kept}, Path("m"), ""))
    assert lines["delivered"] == f"{student}: kept from an earlier run: {said}"


@pytest.mark.parametrize(
    ("retrain", "value"),
    [
        ({"how": "retrained"}, 0.95),
        ({"how": "linear head", "trial": 1, "val_score": 0.97}, 0.97),
        ({"how": "own weights", "trial": 0, "val_score": 0.91}, 0.91),
        ({"how": "kept from an earlier run", "made": "retrained", "trial": 0}, None),
        ({"how": "soup", "evidence": {"soup": {"value": 0.96, "single_value": 0.95}}}, 0.96),
        ({"how": "ensemble"}, None),
        (
            {
                "how": "distilled",
                "evidence": {"distillation": {"students": [{}, {"value": 0.93}], "chosen": 1}},
            },
            0.93,
        ),
    ],
)
def test_delivered_model_has_its_own_validation_score(retrain: dict[str, Any], value: float | None) -> None:
    assert delivered_val({**RESULT, "retrain": retrain}) == value


def test_summary_tells_the_score_of_the_delivered_model_from_that_of_the_best_training() -> None:
    head = {"how": "linear head", "trial": 1, "val_score": 0.97, "n_train": 100, "config": {}}
    said = dict(summary({**RESULT, "retrain": head}, Path("model"), ""))["val accuracy"]
    assert said == "0.9700, of the delivered model; best training: 0.9500, from trial 2"


def test_scores_far_from_one_keep_their_digits() -> None:
    assert [score(value) for value in (0.0, 0.5, 0.00123, 3.1e-25, 123.456, 1.653e21)] == [
        *("0.0000", "0.5000", "0.0012", "3.1e-25", "123.46", "1.653e+21")
    ]
    assert str(Interval(3.1e-25, 2e-25, 4e-25)) == "3.1e-25 (2e-25 to 4e-25)"
