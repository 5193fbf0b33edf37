"""What result.json says decided, and the reasons for the sentence, on every path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.final.evidence.candidates import Candidate, Choice, choose, unless_better
from automl.final.evidence.delivery import (
    Decided,
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
    Unscored,
)
from automl.final.evidence.verdict import Verdict
from tests.final.evidence.test_candidates import ALL, HEAD, JUDGE, MOST, OWN, RETRAINED, N, candidate

EARLIER = Delivery.EARLIER
SHORT, FEW = TooShort(12.0, 0.3), TooFew(1.0, 90)
REACHED, STOPPED, SHORTER = Reached(850, 9200), Stopped(0.3), Shorter(850, 9200)


def verdict(
    why: Shortfall | None, candidates: list[Candidate], *, retrain: bool = True, choice: Choice | None = None
) -> Verdict:
    """A verdict about candidates, the preferred one first."""
    rivals = [each for each in candidates if each.name not in (RETRAINED, Delivery.CUT_SHORT)]
    return Verdict(
        metric="accuracy",
        why=why,
        retrain=candidate(RETRAINED, 50).model if retrain else None,
        choice=choice or (choose(candidates, JUDGE) if candidates else None),
        rivals=len(rivals),
        kept_out=20,
        trial_images=9200,
    )


NOT_SCORED = replace(candidate(OWN, 0), rows=np.empty(0, dtype=int), scores=np.empty((0, 2)))


@pytest.mark.parametrize(
    ("why", "candidates", "retrain", "decided"),
    [
        # Nothing opposed the retrain: on unseen rows it was compared; on rows that it trained on nothing was decided.
        (None, [candidate(RETRAINED, 50, seen=MOST), candidate(OWN, 50)], True, "comparison"),
        (None, [candidate(RETRAINED, 60, seen=ALL), candidate(OWN, 50)], True, "nothing against the retrain"),
        (None, [candidate(RETRAINED, 50, seen=ALL), NOT_SCORED], True, "no time to compare"),
        (None, [], True, "nothing to compare"),
        # Another model is delivered.
        (None, [candidate(RETRAINED, 40, seen=ALL), candidate(OWN, 50)], True, "comparison"),
        (REACHED, [candidate(OWN, 50), candidate(RETRAINED, 60, seen=ALL)], True, "length reached"),
        (
            REACHED,
            [candidate(OWN, 30), candidate(RETRAINED, 50), candidate(HEAD, 60)],
            True,
            "comparison",
        ),
        (STOPPED, [candidate(OWN, 50), candidate(RETRAINED, 60, seen=ALL)], True, "Ctrl-C"),
        (SHORTER, [candidate(EARLIER, 60, seen=ALL), candidate(RETRAINED, 50)], True, "earlier model"),
        (Unknown(), [], True, "earlier model"),
        (Unscored(HEAD, "accuracy", 0.8, 0.2), [], True, "earlier scores"),
        # There was no retrain.
        (SHORT, [candidate(OWN, 50), candidate(HEAD, 20)], False, "time left"),
        (SHORT, [candidate(OWN, 20), candidate(HEAD, 50)], False, "time left"),
        (FEW, [candidate(HEAD, 50)], False, "time left"),
        (Failed("no loss"), [candidate(OWN, 50)], False, "retrain failed"),
    ],
)
def test_what_decided_is_one_of_a_few_words_and_true(
    why: Shortfall | None, candidates: list[Candidate], retrain: bool, decided: str
) -> None:
    found = verdict(why, candidates, retrain=retrain)
    assert found.decided_by() == decided == found.evidence()["decided_by"]


def test_words_for_what_decided_are_those_of_the_reference() -> None:
    assert [each.value for each in Decided] == [
        *("comparison", "nothing against the retrain", "nothing to compare", "no time to compare"),
        *("earlier scores", "earlier model", "time left", "length reached", "Ctrl-C", "retrain failed"),
    ]


@pytest.mark.parametrize(
    ("why", "candidates", "best", "expected"),
    [
        (None, [candidate(RETRAINED, 50), candidate(OWN, 50)], RETRAINED, ()),
        (None, [candidate(RETRAINED, 30), candidate(OWN, 50)], OWN, ((OWN, RETRAINED),)),
        # The head is compared with the own weights, and the retrain that lost before is named, too.
        (
            None,
            [candidate(RETRAINED, 20), candidate(OWN, 40), candidate(HEAD, 60)],
            HEAD,
            ((OWN, RETRAINED), (HEAD, OWN)),
        ),
        (
            REACHED,
            [candidate(OWN, 30), candidate(RETRAINED, 30), candidate(HEAD, 60)],
            HEAD,
            (REACHED, (HEAD, OWN)),
        ),
        (REACHED, [candidate(OWN, 30), candidate(RETRAINED, 60)], RETRAINED, (REACHED, (RETRAINED, OWN))),
        (STOPPED, [candidate(OWN, 30), candidate(RETRAINED, 30)], OWN, (STOPPED,)),
        (SHORT, [candidate(OWN, 20), candidate(HEAD, 50)], HEAD, (SHORT, (HEAD, OWN))),
        (SHORT, [candidate(EARLIER, 50, seen=ALL), candidate(OWN, 50)], EARLIER, (SHORT,)),
        (
            SHORTER,
            [candidate(EARLIER, 50, seen=MOST), candidate(RETRAINED, 50, seen=MOST), candidate(OWN, 40)],
            EARLIER,
            (SHORTER, "not better"),
        ),
        (None, [candidate(RETRAINED, 30), candidate(EARLIER, 50)], EARLIER, ((EARLIER, RETRAINED),)),
    ],
)
def test_reasons_name_the_retrain_wherever_another_model_is_delivered(
    why: Shortfall | None, candidates: list[Candidate], best: Delivery, expected: tuple[Any, ...]
) -> None:
    found = verdict(why, candidates)
    assert found.choice is not None and found.choice.best.name is best
    assert tuple(_short(reason) for reason in found.reasons()) == expected
    about_a_retrain = (Failed, Reached, Shorter, Stopped, TooFew, TooShort)
    told = [
        isinstance(reason, about_a_retrain) or getattr(reason, "loser", None) is RETRAINED
        for reason in found.reasons()
    ]
    assert any(told) or best is RETRAINED


def _short(reason: Shortfall) -> Any:
    if isinstance(reason, NotBetter):
        return "not better"
    return (reason.winner, reason.loser) if isinstance(reason, Outscored) else reason


def test_what_replaced_a_bad_retrain_must_be_better_than_the_earlier_model_too() -> None:
    earlier, own = candidate(EARLIER, 60, seen=ALL), candidate(OWN, 50)
    order = [candidate(RETRAINED, 20, seen=MOST), earlier, own]
    choice = choose(order, JUDGE)
    assert choice.best.name is OWN  # nothing compares the earlier model with the retrain
    kept = unless_better(choice, earlier, JUDGE)
    assert kept.best.name is EARLIER
    lost, last = verdict(None, order, choice=kept).reasons()
    assert isinstance(lost, Outscored) and (lost.winner, lost.loser) == (OWN, RETRAINED)
    assert isinstance(last, NotBetter) and (last.challenger, last.preferred) == (OWN, EARLIER)
    assert unless_better(choice, candidate(EARLIER, 30, seen=ALL), JUDGE).best.name is OWN


def test_evidence_has_the_numbers_of_the_retrain_and_of_all_comparisons() -> None:
    found = verdict(None, [candidate(RETRAINED, 50, seen=MOST), candidate(OWN, 50)]).evidence()
    assert found["kept_out"] == 20 and found["trial"] == {"images": 9200} and "earlier" not in found
    assert found["retrain"] == {
        "epochs": 1.0,
        "images": 10,
        "n_train": 10,
        "seconds": 1.0,
        "progress": 1.0,
        "timed": False,
    }
    assert [each["rows"] for each in found["comparisons"]] == [20, N]
