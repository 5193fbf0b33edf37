"""Which of several models is delivered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import nn

from automl.final.evidence.candidates import (
    Alternative,
    Candidate,
    Judge,
    best_by_value,
    best_known,
    choose,
    head_before_own,
    hopeless,
    kept_rows,
    leading,
    safe_head,
)
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.training.heads.out_of_fold import OutOfFold
from tests.final.evidence.literals import INFO

N = 60
TARGETS = np.arange(N) % 2
JUDGE = Judge("accuracy", INFO, TARGETS)


def candidate(name: Delivery, right: int, *, seen: Any = (), rows: Any = None, first: int = 0) -> Candidate:
    """A model that is right for `right` of the 60 rows, from row `first` on, and trained on the rows `seen`."""
    trained = Retrained(nn.Identity(), 8, 1.0, 1.0, 10, 10, INFO)
    correct = (np.arange(N) - first) % N < right
    scores = np.eye(2)[np.where(correct, TARGETS, 1 - TARGETS)]
    chosen = np.arange(N) if rows is None else np.asarray(rows)
    mask = np.zeros(N, dtype=bool)
    mask[list(seen)] = True
    return Candidate(Alternative(name, {"model": "m"}, trained), chosen, scores[chosen], mask)


RETRAINED, OWN, HEAD = Delivery.RETRAINED, Delivery.OWN_WEIGHTS, Delivery.HEAD
ALL, MOST = range(N), range(20, N)


@pytest.mark.parametrize(
    ("retrained", "own", "seen", "expected"),
    [
        (50, 50, ALL, RETRAINED),
        (49, 50, ALL, RETRAINED),  # one row is no evidence
        (40, 50, ALL, OWN),  # worse even on rows that it trained on
        (60, 50, ALL, RETRAINED),
        (19, 20, MOST, RETRAINED),  # the first 20 rows are kept out
        (10, 20, MOST, OWN),
        (20, 10, MOST, RETRAINED),
        (10, 14, MOST, OWN),
    ],
)
def test_best_known_weights_win(retrained: int, own: int, seen: Any, expected: Delivery) -> None:
    found = choose([candidate(RETRAINED, retrained, seen=seen), candidate(OWN, own)], JUDGE)
    assert found.best.name is expected
    assert (found.decided is None) == (expected is RETRAINED)


@pytest.mark.parametrize(
    ("trial", "values", "expected"),
    [
        (0.25, (0.8,), 0.8),
        (0.25, (0.8, 0.85), 0.85),
        (0.78, (0.8,), None),  # within a standard error: .052 for 60 rows
        (0.9, (0.8,), None),
        (math.nan, (0.6,), 0.6),
        (0.25, (math.nan,), None),
        (0.25, (), None),
    ],
)
def test_a_retrain_that_was_not_scored_gives_way_to_what_is_known_to_be_better(
    trial: float, values: tuple[float, ...], expected: float | None
) -> None:
    heads = [replace(candidate(HEAD, 30).model, value=value) for value in values]
    found = best_known(heads, trial, JUDGE)
    assert (None if found is None else found.value) == expected


@pytest.mark.parametrize(
    ("own", "heads", "rows", "expected"),
    [
        (0.8, (0.7,), 0, 0.8),
        (0.8, (0.8,), 0, 0.8),
        (0.1, (0.12,), 0, 0.12),  # both about chance
        (0.8, (0.81, 0.85), 0, 0.85),
        (0.85, (0.8,), 12, 0.8),  # .85 on 12 rows may be luck
        (0.95, (0.5,), 12, 0.95),
        (math.nan, (0.6,), 0, 0.6),
        (0.6, (math.nan,), 0, 0.6),
        (None, (0.6,), 0, 0.6),
        (math.nan, (), 0, None),
    ],
)
def test_without_a_comparison_the_best_known_score_decides(
    own: float | None, heads: tuple[float, ...], rows: int, expected: float | None
) -> None:
    weights = None if own is None else replace(candidate(OWN, 30).model, value=own)
    others = [replace(candidate(HEAD, 30).model, value=value) for value in heads]
    found = best_by_value(weights, others, replace(JUDGE, trial_rows=rows))
    assert (None if found is None else found.value) == expected


def test_trial_that_was_scored_on_a_few_rows_must_be_beaten_by_more() -> None:
    (head,) = [replace(candidate(HEAD, 30).model, value=0.8)]
    assert best_known([head], 0.7, JUDGE) is head  # .052 for 60 rows
    assert best_known([head], 0.7, replace(JUDGE, trial_rows=10)) is None  # .12
    safe = replace(candidate(HEAD, 48), model=replace(head, config={"model": "m", "pretrained": True}))
    assert safe_head([safe], 0.88, JUDGE) is None
    assert safe_head([safe], 0.88, replace(JUDGE, trial_rows=10)) is safe
    assert hopeless(safe.model, 0.97, JUDGE) and not hopeless(safe.model, 0.97, replace(JUDGE, trial_rows=10))


def test_heads_far_behind_the_best_one_are_not_compared() -> None:
    own = replace(candidate(OWN, 30).model, value=0.2)
    heads = [replace(candidate(HEAD, 30).model, value=value) for value in (0.5, 0.7, 0.8, math.nan)]
    assert leading([own, *heads], JUDGE) == [own, heads[1], heads[2], heads[3]]  # .052 for 60 rows
    errors = replace(JUDGE, metric="log_loss")
    assert leading(heads[:3], errors)[0] is heads[0] and heads[2] not in leading(heads[:3], errors)
    assert leading([own], JUDGE) == [own]


def test_smaller_errors_are_better() -> None:
    judge = replace(JUDGE, metric="log_loss")
    heads = [replace(candidate(HEAD, 30).model, value=value) for value in (0.4, 0.3)]
    best = best_known(heads, 0.6, judge)
    assert best is not None and best.value == 0.3
    assert best_known(heads, 0.2, judge) is None


def test_rows_that_were_kept_out_decide_although_the_others_look_better() -> None:
    # Right for all 40 rows that it trained on, and for 8 of the 20 others.
    retrained = candidate(RETRAINED, 48, seen=MOST, first=12)
    found = choose([retrained, candidate(OWN, 40)], JUDGE)
    assert found.best.name is OWN and found.decided is not None
    assert (found.decided.found.rows, found.decided.seen) == (20, 0)
    assert (found.decided.found.first, found.decided.found.second) == (1.0, 0.4)
    assert [comparison.seen for comparison in found.comparisons] == [0, 40]


def test_poor_retrain_that_is_not_preferred_needs_rows_that_it_has_not_seen() -> None:
    own, retrained = candidate(OWN, 30), candidate(RETRAINED, 60, seen=ALL)
    found = choose([own, retrained], JUDGE)
    assert found.best.name is OWN and found.comparisons == ()
    found = choose([own, candidate(RETRAINED, 60, seen=range(30))], JUDGE)  # own: wrong for the other 30
    assert found.best.name is RETRAINED
    assert [comparison.found.rows for comparison in found.comparisons] == [30]


def test_retrain_that_errs_elsewhere_may_not_be_worse_by_more_than_the_error_of_a_score() -> None:
    # Right for 37 and 43 rows, which differ in 34: the paired error is .097, that of one score .059.
    retrained, own = candidate(RETRAINED, 37, seen=ALL, first=23), candidate(OWN, 43)
    found = choose([retrained, own], JUDGE)
    assert found.best.name is OWN and found.decided is not None
    assert found.decided.found.better == pytest.approx(0.1)
    assert found.decided.found.error == pytest.approx(0.059, abs=0.002)
    # Of rows that neither trained on, the paired error counts.
    assert choose([candidate(RETRAINED, 37, first=23), own], JUDGE).best.name is RETRAINED


@pytest.mark.parametrize(
    ("right", "expected"), [((50, 50, 51), RETRAINED), ((50, 40, 60), HEAD), ((30, 45, 60), HEAD)]
)
def test_linear_head_is_delivered_if_it_is_better_by_more_than_chance(
    right: tuple[int, int, int], expected: Delivery
) -> None:
    retrained, own, head = right
    found = choose([candidate(RETRAINED, retrained), candidate(OWN, own), candidate(HEAD, head)], JUDGE)
    assert found.best.name is expected


def test_models_are_compared_on_the_rows_that_both_scored() -> None:
    first = candidate(RETRAINED, 10, rows=[5, 3, 40, 41, 2])
    found = choose([first, candidate(OWN, 60, rows=range(4, 50))], JUDGE)
    (comparison,) = found.comparisons
    assert comparison.found.rows == 3 and comparison.found.first == 1.0
    assert comparison.found.second == pytest.approx(1 / 3)
    nothing = choose([candidate(RETRAINED, 0, rows=np.empty(0, dtype=int)), candidate(OWN, 60)], JUDGE)
    assert nothing.best.name is RETRAINED and nothing.comparisons == ()


@pytest.mark.parametrize("classes", [2, 6])
def test_kept_rows_are_a_third_of_each_class_and_of_whole_groups(classes: int) -> None:
    targets = np.repeat(np.arange(classes), 30)
    alone = np.arange(len(targets))
    kept = kept_rows(targets, alone, seed=0)
    assert list(np.bincount(targets[kept])) == [10] * classes
    assert list(kept) == sorted(set(kept.tolist()))
    pairs = kept_rows(targets, alone // 2, seed=0)
    assert set((pairs // 2).tolist()) == {row // 2 for row in pairs.tolist()} and len(pairs) % 2 == 0
    assert {2 * (row // 2) for row in pairs.tolist()} | {2 * (row // 2) + 1 for row in pairs.tolist()} == set(
        pairs.tolist()
    )
    assert list(kept) != list(kept_rows(targets, alone, seed=1))


def test_kept_rows_of_values_and_label_sets_follow_their_distribution() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 1))
    kept = kept_rows(values, np.arange(300), seed=0)
    assert len(kept) == 100
    assert values[kept].mean() == pytest.approx(values.mean(), abs=0.02)
    labels = (rng.random((300, 3)) < 0.3).astype(np.float32)
    share = labels[kept_rows(labels, np.arange(300), seed=0)].mean(axis=0)
    assert share == pytest.approx(labels.mean(axis=0), abs=0.06)
    assert len(kept_rows(np.zeros(2), np.arange(2), seed=0)) == 0


def feature_head(value: float, *, pretrained: bool = True) -> Candidate:
    head = candidate(HEAD, 30)
    config = {**head.model.config, "pretrained": pretrained}
    return replace(head, model=replace(head.model, value=value, config=config))


@pytest.mark.parametrize(
    ("promise", "safe", "without"),
    [
        (0.70, True, False),
        (0.84, True, False),  # within a standard error: .052 for 60 rows
        (0.86, False, False),
        (0.99, False, True),  # more than three of them
        (math.nan, False, False),
    ],
)
def test_head_on_features_is_preferred_unless_the_retrain_promises_more(
    promise: float, safe: bool, without: bool
) -> None:
    head = feature_head(0.8)
    found = safe_head([candidate(OWN, 40), feature_head(0.7), head], promise, JUDGE)
    assert (found is head) == safe and (found is None) == (not safe)
    assert hopeless(head.model, promise, JUDGE) == without
    assert not hopeless(candidate(OWN, 10).model, promise, JUDGE)


def crossed_head(value: float) -> Candidate:
    """A head on features that was cross-validated, too."""
    head = feature_head(value)
    crossed = OutOfFold(np.arange(180), np.zeros((180, 2)), np.zeros(180), (value,), 5)
    return replace(head, model=replace(head.model, out_of_fold=crossed))


@pytest.mark.parametrize(
    ("trial", "before"),
    [(0.75, True), (0.80, True), (0.85, True), (0.86, False), (math.nan, False)],  # .052 for 60 rows
)
def test_cross_validated_head_comes_before_own_weights_that_are_not_clearly_better(
    trial: float, before: bool
) -> None:
    own, head, pixels = candidate(OWN, 45), crossed_head(0.8), candidate(HEAD, 30)
    order = head_before_own([own, pixels, head], trial, JUDGE)
    assert [one is head for one in order] == [before, False, not before]
    plain = feature_head(0.8)
    assert head_before_own([own, plain], trial, JUDGE)[0] is own
    folded = replace(JUDGE, info=replace(INFO, folds=5))
    assert head_before_own([own, head], trial, folded)[0] is own
    earlier = candidate(Delivery.EARLIER, 45)
    assert head_before_own([earlier, own, head], trial, JUDGE)[0] is earlier


def test_own_weights_replace_a_cross_validated_head_only_on_rows() -> None:
    """A tie at one standard error: the head is right for 45 of 60 rows, the trial for as many others."""
    own, scores = candidate(OWN, 45), candidate(HEAD, 45, first=15).scores
    head = replace(crossed_head(0.75), scores=scores)
    assert choose([own, head], JUDGE).best is own
    found = choose(head_before_own([own, head], 0.75, JUDGE), JUDGE)
    assert found.best is head
    better = candidate(OWN, 60)
    assert choose(head_before_own([better, head], 0.78, JUDGE), JUDGE).best is better


def test_head_on_pixels_is_no_safe_choice() -> None:
    assert safe_head([feature_head(0.8, pretrained=False)], 0.5, JUDGE) is None
