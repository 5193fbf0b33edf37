"""Stratified splits: shares of several labels, and bins of numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from automl.data.stratify import value_bins
from automl.errors import DataError
from tests.data.rows import Row, split_rows

_NAMES = "abcd"
_ROWS = st.lists(st.tuples(st.sets(st.sampled_from(_NAMES)), st.integers(0, 40)), min_size=10, max_size=80)


def _several(labelled: list[tuple[set[str], int]]) -> list[Row]:
    return [Row("", str(group), labels=tuple(sorted(labels))) for labels, group in labelled]


@settings(max_examples=100, deadline=None)
@given(_ROWS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_several_labels_never_part_a_group_nor_leave_train_without(
    labelled: list[tuple[set[str], int]], seed: int, random: Random
) -> None:
    rows = _several(labelled)
    try:
        split = split_rows(rows, val=0.25, holdout=0.2, seed=seed, task="multilabel")
    except DataError:
        assume(False)
    places = defaultdict(set)
    for row, part in zip(rows, split.parts, strict=True):
        places[row.group].add(part)
    assert all(len(parts) == 1 for parts in places.values())
    trained = {
        label for row, part in zip(rows, split.parts, strict=True) if part == "train" for label in row.labels
    }
    assert trained == {label for row in rows for label in row.labels}
    order = list(range(len(rows)))
    random.shuffle(order)
    again = split_rows([rows[i] for i in order], val=0.25, holdout=0.2, seed=seed, task="multilabel")
    assert [again.parts[order.index(i)] for i in range(len(rows))] == list(split.parts)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(40, 150), st.integers(0, 3))
def test_shares_of_labels_are_kept_within_two_rows(source: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(source)
    shown = rng.random((n, 4)) < np.array([0.5, 0.3, 0.2, 0.1])
    rows = [Row("", str(i), labels=tuple(np.array(list(_NAMES))[on])) for i, on in enumerate(shown)]
    parts = split_rows(rows, val=0.2, holdout=0.2, seed=seed, task="multilabel").parts
    total = Counter(label for row in rows for label in row.labels)
    held = Counter(
        label for row, part in zip(rows, parts, strict=True) if part == "holdout" for label in row.labels
    )
    assert abs(parts.count("holdout") - 0.2 * n) <= 2
    assert all(abs(held[label] - 0.2 * count) <= 2 for label, count in total.items())


def test_given_parts_of_several_labels_stay() -> None:
    rows = [Row("", str(i), "holdout" if i < 5 else "train", labels=(_NAMES[i % 2],)) for i in range(30)]
    parts = split_rows(rows, val=0.2, holdout=0.5, seed=0, task="multilabel").parts
    assert parts[:5] == ("holdout",) * 5
    assert parts.count("val") == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 200), st.integers(0, 3))
def test_parts_of_a_regression_have_like_values(source: int, n: int, seed: int) -> None:
    values = np.random.default_rng(source).gamma(2.0, 3.0, (n, 1))
    rows = [Row(name, str(i)) for i, name in enumerate(value_bins(values))]
    parts = np.array(split_rows(rows, val=0.2, holdout=0.25, seed=seed, task="regression").parts)
    bins = np.array([row.label for row in rows])
    for name in np.unique(bins):
        inside = bins == name
        assert abs((parts[inside] == "holdout").sum() - 0.25 * inside.sum()) <= 1


def test_bins_follow_the_order_of_values_and_join_equal_ones() -> None:
    values = np.array([[1.0]] * 30 + [[5.0]] * 10 + [[9.0]] * 10)
    bins = value_bins(values)
    assert len(set(bins[:30])) == len(set(bins[30:40])) == len(set(bins[40:])) == 1
    assert bins[0] < bins[30] < bins[40]
    assert set(value_bins(np.arange(5.0)[:, None])) == {"bin 00"}


def test_group_column_keeps_rows_together_where_copies_do_not() -> None:
    rows = [Row("ab"[i % 2], f"patient {i // 4}", copies=str(i)) for i in range(80)]
    parts = split_rows(rows, val=0.2, holdout=0.2, seed=0).parts
    assert all(len(set(parts[i : i + 4])) == 1 for i in range(0, 80, 4))


def test_given_splits_win_over_groups_but_not_over_copies() -> None:
    rows = [Row("ab"[i % 2], "all", "holdout" if i < 4 else "train", copies=str(i)) for i in range(20)]
    rows += [Row("ab"[i % 2], f"g{i}", "train", copies=f"c{i}") for i in range(20)]
    rows.append(Row("a", "copy", "train", copies="0"))
    split = split_rows(rows, val=0.2, holdout=0.2, seed=0)
    assert split.parts[:4] == ("holdout",) * 4
    assert split.parts.count("") == 1
    assert split.parts[-1] == ""


def test_too_few_rows_to_divide_are_refused() -> None:
    with pytest.raises(DataError, match="must suffice for a holdout part"):
        split_rows([Row("", "one", labels=("a",))], val=0.2, holdout=0.2, seed=0, task="multilabel")
    with pytest.raises(DataError, match="must leave images to train on"):
        rows = [Row("", str(i), part, labels=("a",)) for i, part in enumerate(["val", "holdout"])]
        split_rows(rows, val=0.2, holdout=0.2, seed=0, task="multilabel")


def test_class_with_one_image_stays_in_train_and_is_reported() -> None:
    rows = [Row(name, f"{name}{i}") for name, n in {"a": 10, "b": 10, "c": 1}.items() for i in range(n)]
    split = split_rows(rows, val=0.2, holdout=0.2, seed=0)
    assert split.parts[-1] == "train"
    assert split.notes == (
        "Class with one image, kept for training, so no score measures how well it is recognized: 'c'.",
    )


def test_bins_do_not_depend_on_the_unit() -> None:
    values = np.arange(100.0)[:, None]
    assert value_bins((values * 1e20).astype(np.float32)) == value_bins(values)
