"""Codes with their numbers, and the sentences made of them."""

import pytest

from automl.search.reasons import Code, Reason, crashed

# Numbers and names that sentences need, at least one of each.
DATA: dict[str, str | int | float] = {
    "rank": 1,
    "trials": 3,
    "round": 2,
    "rounds": 9,
    "first": 2,
    "early": 2,
    "late": 6,
    "spearman": 0.912,
    "reports": 4,
    "others": 2,
    "model": "resnet18",
    "needed": 27.04,
    "left": 5.0,
    "seconds": 61.2,
    "pruner": "MedianPruner",
    "metric": "accuracy",
    "value": "nan",
    "score": 0.101,
    "trivial": 0.10449,
    "share": 0.25,
    "moved": 1,
    "better": 2,
    "best": 5,
    "rows": 214,
    "error": "KeyError",
    "noise": 0.034,
    "cause": "ValueError: no",
    "text": "no better for 3 rounds",
}

# What databases of version 2 hold.
STORED = """
    search_began search_died search_broke search_failed interrupted disk_full time_is_up worker_free workers_busy
    nothing_yet nothing_left after_interruption promoted last_resort lost reference finish_in_time rung_moved_down
    rung_moved_up prefetched left_out full_length never_stopped between_rungs before_first_rung promoted_before
    promoted_at_once paused_at_rung among_best not_among_best too_early worse_than_median not_worse_than_median
    value_not_finite pruner_stopped pruner_went_on ended_by_itself objective_said never_promoted no_round no_value
    crashed hung tried_again legacy judged_by unbeaten rung_at_chance not_moved waits_to_move goes_on_to_move beaten
    pruner_in_doubt
"""


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_sentence(code: Code) -> None:
    sentence = str(Reason(code, DATA))
    assert sentence and "{" not in sentence


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason(Code.TIME_IS_UP), "time is up"),
        (Reason(Code.PROMOTED, DATA), "promoted: rank 1 of 3 at round 2"),
        (
            Reason(Code.NOT_MOVED, DATA),
            "0.101 is not yet better than the trivial answer, 0.1045, by more than chance: not compared",
        ),
        (
            Reason(Code.BEATEN, {**DATA, "rank": "3-7"}),
            "rank 3-7 of 3 at round 2: 2 did better, trial 5 most",
        ),
        (Reason(Code.PREFETCHED, {"reports": 0}), "prefetched, 0 reports ago"),
        (Reason(Code.PREFETCHED, DATA), "prefetched, 4 reports ago"),
        (crashed("KeyError: {x}"), "KeyError: {x}"),
        (
            Reason(Code.LEFT_OUT, DATA),
            "left out: resnet18 needs 27 s to its first comparison, and 5 s are left (2 more left out)",
        ),
        (
            Reason(Code.WORKER_FREE).with_notes(Reason(Code.PREFETCHED, {"reports": 0}), Reason(Code.LOST)),
            "a worker is free; prefetched, 0 reports ago; its process was lost: it runs once more",
        ),
    ],
)
def test_sentence_is_made_of_the_data_and_the_notes(reason: Reason, sentence: str) -> None:
    assert str(reason) == sentence


def test_values_of_codes_stay_as_databases_have_them() -> None:
    assert {code.value for code in Code} >= set(STORED.split())


def test_json_gives_the_same_reason_back() -> None:
    reason = Reason(Code.RUNG_MOVED_DOWN, DATA).with_notes(Reason(Code.LOST), crashed('a "quote"\nü'))
    again = Reason.from_json(reason.to_json())
    assert again == reason and hash(again) == hash(reason)
    assert Reason(Code.TIME_IS_UP).to_json() == '{"code":"time_is_up"}'


@pytest.mark.parametrize("text", ["time is up", "", "3", "[]", '{"code":"of a later version"}', "{}"])
def test_text_that_is_no_reason_is_kept_as_it_is(text: str) -> None:
    assert Reason.from_json(text) == Reason(Code.LEGACY, {"text": text})
    assert str(Reason.from_json(text)) == text
