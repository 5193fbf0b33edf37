"""Training, validation and holdout rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from automl.data.splits import Split
from automl.errors import DataError
from tests.data.rows import Row, split_rows


def _rows(counts: dict[str, int], given: str = "") -> list[Row]:
    return [Row(name, f"{name}{given}{i}", given) for name, count in counts.items() for i in range(count)]


def _counts(rows: list[Row], parts: tuple[str, ...]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row, part in zip(rows, parts, strict=True):
        counts[part][row.label] += 1
    return counts


# Few groups for many rows, so that copies within and across classes are frequent.
_LABELLED = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 25), st.sampled_from(["", "", "", "train", "val", "holdout"])
    ),
    min_size=6,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(_LABELLED, st.integers(0, 5), st.booleans(), st.randoms(use_true_random=False))
def test_any_split_keeps_copies_together_and_every_class_in_train(
    labelled: list[tuple[str, int, str]], seed: int, keep_given: bool, random: Random
) -> None:
    rows = [Row(label, str(group), part if keep_given else "") for label, group, part in labelled]
    try:
        split = split_rows(rows, val=0.25, holdout=0.2, seed=seed)
    except DataError:
        assume(False)
    trained = set(_counts(rows, split.parts)["train"])
    places = defaultdict(set)
    for row, part in zip(rows, split.parts, strict=True):
        places[row.group].add(part)
        if row.given == "holdout":
            assert part == ("holdout" if row.label in trained else "")
        if row.label not in trained:
            assert (part, keep_given) == ("", True), "only given parts leave a class untrained"
    assert all(len(parts - {""}) <= 1 for parts in places.values())
    assert len(trained) >= 2
    assert {"train", "val", "holdout"} <= set(split.parts)
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = split_rows([rows[i] for i in order], val=0.25, holdout=0.2, seed=seed)
    assert [split.parts[i] for i in order] == list(shuffled.parts)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=5), st.integers(0, 3))
def test_free_rows_of_any_class_sizes_can_be_split(sizes: list[int], seed: int) -> None:
    rows = _rows({f"c{i}": size for i, size in enumerate(sizes)})
    counts = _counts(rows, split_rows(rows, val=0.2, holdout=0.2, seed=seed).parts)
    assert len(counts["train"]) == len(sizes)
    assert all(
        counts["holdout"][f"c{i}"] and counts["val"][f"c{i}"] for i, size in enumerate(sizes) if size >= 6
    )


def test_shares_hold_in_every_class() -> None:
    rows = _rows({"a": 100, "b": 50})
    counts = _counts(rows, split_rows(rows, val=0.25, holdout=0.2, seed=0).parts)
    assert counts == {
        "holdout": {"a": 20, "b": 10},
        "val": {"a": 20, "b": 10},
        "train": {"a": 60, "b": 30},
    }


def test_seed_decides() -> None:
    rows = _rows({"a": 30, "b": 30})
    first = split_rows(rows, val=0.2, holdout=0.2, seed=0)
    assert split_rows(rows, val=0.2, holdout=0.2, seed=0) == first
    assert split_rows(rows, val=0.2, holdout=0.2, seed=1) != first


def test_one_more_image_moves_few_others() -> None:
    rows = _rows({"a": 200, "b": 200})
    before = split_rows(rows, val=0.2, holdout=0.2, seed=0).parts
    after = split_rows([*rows, Row("a", "new")], val=0.2, holdout=0.2, seed=0).parts
    assert sum(x != y for x, y in zip(before, after[:-1], strict=True)) <= 4


def test_given_test_part_becomes_the_holdout() -> None:
    rows = [*_rows({"a": 20, "b": 20}, "train"), *_rows({"a": 5, "b": 5}, "holdout")]
    counts = _counts(rows, split_rows(rows, val=0.2, holdout=0.5, seed=0).parts)
    assert counts["holdout"] == {"a": 5, "b": 5}
    assert counts["val"] == {"a": 4, "b": 4}


def test_given_val_part_stays_and_the_holdout_is_cut_from_train() -> None:
    rows = [*_rows({"a": 20, "b": 20}, "train"), *_rows({"a": 5, "b": 5}, "val")]
    parts = split_rows(rows, val=0.2, holdout=0.1, seed=0).parts
    assert parts[40:] == ("val",) * 10
    assert _counts(rows, parts)["holdout"] == {"a": 2, "b": 2}


def test_copies_of_test_images_leave_train_and_are_reported() -> None:
    rows = [
        *_rows({"a": 20, "b": 20}, "train"),
        *_rows({"a": 5, "b": 5}, "holdout"),
        Row("b", "aholdout0", "train"),
    ]
    split = split_rows(rows, val=0.2, holdout=0.2, seed=0)
    assert split.parts[-1] == ""
    assert split.notes[0].startswith("1 image is a copy of validation or test images")


def test_two_classes_of_two_are_enough() -> None:
    parts = split_rows(_rows({"a": 2, "b": 2}), val=0.2, holdout=0.2, seed=0).parts
    assert sorted(parts) == ["holdout", "train", "train", "val"]


def test_class_with_one_image_is_named() -> None:
    with pytest.raises(DataError, match="but 'lonely' has 1: add images or remove the class"):
        split_rows(_rows({"a": 5, "lonely": 1}), val=0.2, holdout=0.2, seed=0)


def test_many_classes_with_one_image_are_shortened() -> None:
    with pytest.raises(DataError, match="'c4' and 2 more have 1"):
        split_rows(_rows({f"c{i}": 1 for i in range(7)}), val=0.2, holdout=0.2, seed=0)


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"at least 2 classes, but the data have 1 \('a'\)"):
        split_rows(_rows({"a": 5}), val=0.2, holdout=0.2, seed=0)


def test_class_that_is_only_in_test_is_left_out_and_named() -> None:
    rows = [*_rows({"a": 9, "b": 9}, "train"), *_rows({"a": 2, "new": 2, "one": 1}, "holdout")]
    split = split_rows(rows, val=0.2, holdout=0.2, seed=0)
    assert split.parts[-5:] == ("holdout", "holdout", "", "", "")
    assert split.notes == ("Classes without a training image dropped, with 3 images: 'new', 'one'.",)


def test_classes_that_are_only_in_test_are_refused_where_one_is_left() -> None:
    rows = [*_rows({"a": 9}, "train"), *_rows({"a": 2, "new": 2}, "holdout")]
    with pytest.raises(DataError, match="'new' has images only in the given validation and test parts"):
        split_rows(rows, val=0.2, holdout=0.2, seed=0)


def test_copies_alone_are_too_few() -> None:
    rows = [Row(label, label) for label in "ab" for _ in range(5)]
    with pytest.raises(DataError, match="10 images with 2 distinct ones left to divide are too few"):
        split_rows(rows, val=0.2, holdout=0.2, seed=0)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_share_outside_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="holdout must be a fraction between 0 and 1"):
        split_rows(_rows({"a": 5, "b": 5}), val=0.2, holdout=share, seed=0)


def test_digest_of_a_split_knows_which_image_is_where_and_not_the_order_of_rows() -> None:
    found = Split(("train", "val", "holdout")).digest(["a", "b", "c"])
    assert found == Split(("holdout", "train", "val")).digest(["c", "a", "b"])
    assert found != Split(("val", "train", "holdout")).digest(["a", "b", "c"])
    assert found != Split(("train", "val", "holdout"), folds=(2, 1, 0)).digest(["a", "b", "c"])
