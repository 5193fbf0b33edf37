"""The sentence that says why a model is delivered, for every reason."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from automl.final.distillation.outcome import Distilled, Size, Tried
from automl.final.evidence.delivery import (
    NAMES,
    ByValue,
    Combined,
    Delivery,
    Failed,
    NotBetter,
    Outscored,
    Reached,
    Shorter,
    Shortfall,
    Stopped,
    TooFew,
    TooShort,
    Unknown,
    Unproven,
    Unscored,
    delivery_in_words,
)
from automl.final.evidence.paired import Difference

OWN, HEAD, EARLIER, RETRAINED = (
    Delivery.OWN_WEIGHTS,
    Delivery.HEAD,
    Delivery.EARLIER,
    Delivery.RETRAINED,
)
CASES: list[tuple[Delivery, tuple[Shortfall, ...], str]] = [
    (RETRAINED, (), ""),
    (
        Delivery.ENSEMBLE,
        (
            Combined(
                ("the retrain of trial 3 (75%, 1.2 ms)", "trial 5 (25%, 0.8 ms)"), RETRAINED, (0.52, 0.48), 96
            ),
        ),
        "on 96 validation images that no member trained on, the loss of the retrain is 0.5200 and that of an ensemble "
        "0.4800 (the retrain of trial 3 (75%, 1.2 ms), trial 5 (25%, 0.8 ms)): the ensemble is delivered",
    ),
    (
        Delivery.SOUP,
        (Combined(("the retrain of trial 3", "trial 5"), RETRAINED, (0.52, 0.48), 96, Delivery.SOUP),),
        "on 96 validation images that no member trained on, the loss of the retrain is 0.5200 and that of a soup "
        "0.4800 (the retrain of trial 3, trial 5): the soup is delivered",
    ),
    (
        Delivery.DISTILLED,
        (
            Distilled(
                "the retrain of trial 3",
                Size("resnet18 at 64 px", "resnet18", 64, 11_000_000, 1.5e8, 44_000_000),
                "accuracy",
                0.9,
                0.01,
                120,
                (
                    Tried(
                        Size("resnet10t at 32 px", "resnet10t", 32, 600_000, 1e7, 2_400_000),
                        "random weights",
                        Difference(0.9, 0.895, 0.005, 0.012, 120),
                        0.01,
                    ),
                ),
                chosen=0,
            ),
        ),
        "on 120 validation images that neither trained on, the retrain of trial 3 has accuracy 0.9000 with 11,000,000 "
        "parameters; resnet10t at 32 px (600,000 parameters) has accuracy 0.8950 (loss 0.0050, standard error 0.0120), "
        "learned from it, and may lose 0.0100, which it keeps with 66% certainty (more than 120 such images would tell "
        "better): the distilled network is delivered",
    ),
    (
        OWN,
        (TooShort(seconds=12.4, share=0.31),),
        "after what scoring and writing need, 12.4 s are left for the retrain, 31% of what a retrain as long as the "
        "best trial takes: "
        "the best trial's own weights are delivered",
    ),
    (
        OWN,
        (Reached(images=850, trial_images=9200),),
        "when its time ended, the retrain had trained on 850 images and the best trial on 9,200: "
        "the best trial's own weights are delivered",
    ),
    (
        OWN,
        (Failed("the training loss became nan in round 2"),),
        "the retrain failed (the training loss became nan in round 2): the best trial's own weights are delivered",
    ),
    (
        OWN,
        (Outscored(OWN, RETRAINED, "accuracy", (0.9861, 0.1003), 0.04, 96, 0),),
        "on 96 validation images the best trial's own weights have accuracy 0.9861 and the retrain 0.1003 "
        "(neither was trained on them; standard error of the difference 0.0400): "
        "the best trial's own weights are delivered",
    ),
    (
        HEAD,
        (Outscored(HEAD, RETRAINED, "rmse", (0.5, 0.75), 0.04, 1200, 800),),
        "on 1,200 validation images the linear head has rmse 0.5000 and the retrain 0.7500 "
        "(the retrain was trained on 800 of them; standard error of the difference 0.0400): "
        "the linear head is delivered",
    ),
    (
        HEAD,
        (
            Reached(images=850, trial_images=9200),
            Outscored(HEAD, OWN, "accuracy", (0.9, 0.7), 0.04, 96, 0),
        ),
        "when its time ended, the retrain had trained on 850 images and the best trial on 9,200; "
        "on 96 validation images the linear head has accuracy 0.9000 and the best trial's own weights 0.7000 "
        "(neither was trained on them; standard error of the difference 0.0400): the linear head is delivered",
    ),
    (
        HEAD,
        (TooFew(seconds=1.2, images=90),),
        "after what scoring and writing need, 1.2 s are left for the retrain, enough for only about 90 training "
        "images: the linear head is delivered",
    ),
    (
        HEAD,
        (Unscored(HEAD, "accuracy", 0.8071, 0.2451),),
        "there was no time to score the retrain on validation images, where the linear head has accuracy 0.8071 "
        "and the best trial 0.2451: the linear head is delivered",
    ),
    (
        HEAD,
        (Unscored(HEAD, "accuracy", 0.8071, math.nan),),
        "there was no time to score the retrain on validation images, where the linear head has accuracy 0.8071 "
        "and no trial had a score: the linear head is delivered",
    ),
    (
        OWN,
        (Unproven(images=700, trial_images=9200),),
        "there was no time to score the retrain on validation images, and it trained on 700 images, the best trial on "
        "9,200: the best trial's own weights are delivered",
    ),
    (
        HEAD,
        (TooFew(seconds=0.1, images=9), ByValue(HEAD, "accuracy", 0.8071, 0.2451)),
        "after what scoring and writing need, 0.1 s are left for the retrain, enough for only about 9 training images; "
        "there was no time to compare models, and on the validation images the linear head had accuracy 0.8071 and the "
        "best trial 0.2451: the linear head is delivered",
    ),
    (
        HEAD,
        (ByValue(HEAD, "accuracy", 0.8071, math.nan),),
        "there was no time to compare models, and on the validation images the linear head had accuracy 0.8071 and no "
        "trial a score: the linear head is delivered",
    ),
    (
        HEAD,
        (Stopped(progress=0.0),),
        "Ctrl-C came before the retrain: the linear head is delivered",
    ),
    (
        Delivery.CUT_SHORT,
        (Stopped(progress=0.85),),
        "Ctrl-C stopped the retrain at 85%: the model is delivered as it was then",
    ),
    (
        EARLIER,
        (
            Shorter(images=3200, earlier_images=34560),
            NotBetter(RETRAINED, EARLIER, "accuracy", (0.91, 0.95), 0.05, 40, 0),
        ),
        "the retrain trained on 3,200 images and the earlier model on 34,560; on 40 validation images the retrain "
        "has accuracy 0.9100 and the earlier model 0.9500, so it is not better by more than one standard error "
        "(0.0500; neither was trained on them): the earlier model is kept",
    ),
    (
        EARLIER,
        (
            Outscored(OWN, RETRAINED, "accuracy", (0.9, 0.1), 0.05, 40, 0),
            NotBetter(OWN, EARLIER, "accuracy", (0.9, 0.98), 0.03, 120, 80),
        ),
        "on 40 validation images the best trial's own weights have accuracy 0.9000 and the retrain 0.1000 "
        "(neither was trained on them; standard error of the difference 0.0500); on 120 validation images the best "
        "trial's own weights have accuracy 0.9000 and the earlier model 0.9800, so they are not better by more than "
        "one standard error (0.0300; the earlier model was trained on 80 of them): the earlier model is kept",
    ),
    (
        EARLIER,
        (Unknown(),),
        "there was no time to score the retrain on validation images, so nothing shows that it is better: "
        "the earlier model is kept",
    ),
    (
        RETRAINED,
        (Outscored(RETRAINED, EARLIER, "accuracy", (0.95, 0.75), 0.04, 40, 40),),
        "on 40 validation images the retrain has accuracy 0.9500 and the earlier model 0.7500 (the earlier model was "
        "trained on 40 of them; standard error of the difference 0.0400): the retrain is delivered",
    ),
]


@pytest.mark.parametrize(("delivery", "reasons", "sentence"), CASES)
def test_reason_of_a_delivery_is_reported_with_its_numbers(
    delivery: Delivery, reasons: tuple[Shortfall, ...], sentence: str
) -> None:
    assert delivery_in_words(delivery, reasons) == sentence


def test_every_reason_and_every_kind_of_model_has_a_case() -> None:
    shown = {type(reason) for _, reasons, _ in CASES for reason in reasons}
    assert shown == set(get_args(Shortfall))
    assert {delivery for delivery, _, _ in CASES} == set(Delivery) == set(NAMES)


def test_values_of_deliveries_are_those_that_result_json_had_from_the_start() -> None:
    assert [delivery.value for delivery in Delivery] == [
        "retrained",
        "own weights",
        "cut short",
        "linear head",
        "earlier model",
        "ensemble",
        "soup",
        "distilled",
    ]
