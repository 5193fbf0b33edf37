"""What is found in data."""

from __future__ import annotations

import numpy as np

from automl.data.quality.findings import (
    Finding,
    InspectedRows,
    headline_of,
    imbalance,
    inspect_rows,
    untested_finding,
)

_FILES = ("a1", "a2", "a3", "b1", "b2")


def _found(
    *,
    labels: str = "aaabb",
    given: tuple[str, ...] = ("",) * 5,
    images: str = "12345",
    clusters: tuple[int, ...] = (0, 1, 2, 3, 4),
) -> dict[str, Finding]:
    numbers = np.array([int(image) for image in images]), np.array(clusters)
    inspected = InspectedRows(_FILES, labels, given, *numbers)
    return {
        finding.kind: finding for finding in inspect_rows(inspected, "classification", {}, informative=True)
    }


def test_rows_that_differ_are_no_finding() -> None:
    assert _found() == {}


def test_copies_and_near_copies_are_distinguished() -> None:
    equal = _found(images="11345", clusters=(0, 0, 2, 3, 4))
    assert list(equal) == ["copies"]
    assert equal["copies"].files == (("a1", "a2"),)
    near = _found(clusters=(0, 0, 2, 3, 4))
    assert list(near) == ["near_copies"]
    assert near["near_copies"].message == (
        "1 group of nearly equal images; their rows stay in one part: a1 = a2."
    )


def test_one_image_under_two_labels_is_named() -> None:
    assert _found(clusters=(0, 1, 2, 2, 4))["two_labels"].files == (("a3", "b1"),)


def test_image_on_both_sides_of_given_splits_is_a_leak() -> None:
    given = ("train", "holdout", "train", "train", "")
    found = _found(given=given, clusters=(0, 0, 2, 3, 3))
    assert found["leak"].files == (("a1", "a2"),)
    assert found["leak"].headline.endswith("across the given splits; those that would leak are left out")
    assert found["near_copies"].files == (("b1", "b2"),)  # of the leak, not all rows stay


def test_image_without_a_part_counts_as_one_of_training() -> None:
    found = _found(given=("", "holdout", "", "", ""), images="11345", clusters=(0, 0, 2, 3, 4))
    assert list(found) == ["leak"]


def test_class_sizes_are_judged() -> None:
    none = np.empty(0, dtype=np.int64)
    inspected = InspectedRows((), (), (), none, none)
    findings = inspect_rows(inspected, "classification", {"a": 60, "b": 9, "c": 12}, informative=False)
    assert [finding.headline for finding in findings] == [
        "So many images look alike that nearly equal ones were not searched for.",
        "Too few images (under 10) to measure how well a class is recognized: b (9).",
        "Imbalanced: a has 60 images, b 9 (7:1).",
    ]


def test_class_without_a_test_image_is_named_unless_it_is_tiny() -> None:
    parts = {
        "a": {"train": 40, "holdout": 0},
        "b": {"train": 40, "holdout": 9},
        "c": {"train": 2, "holdout": 0},
    }
    found = untested_finding(parts, "classification")
    assert found is not None and found.headline == (
        "No test image of 1 class, so no score measures how well it is recognized: a."
    )
    assert untested_finding({"b": parts["b"], "c": parts["c"]}, "classification") is None
    several = untested_finding({"a": parts["a"], "d": parts["a"]}, "multilabel")
    assert (
        several is not None
        and "No test image of 2 labels, so no score measures how well they are" in several.headline
    )


def test_imbalance_ignores_empty_classes() -> None:
    assert imbalance({"a": 30, "b": 10, "c": 0}) == 3
    assert imbalance({}) == 1


def test_names_that_look_alike_are_told() -> None:
    counts = {"Cat": 20, "cat ": 20, "bull-dog": 20, "Bulldog": 20, "+1": 20, "-1": 20, "1": 20, "owl": 20}
    none = np.empty(0, dtype=np.int64)
    findings = inspect_rows(InspectedRows((), (), (), none, none), "classification", counts, informative=True)
    found = [finding for finding in findings if finding.kind == "look_alike"]
    assert [finding.count for finding in found] == [2]
    assert found[0].message == (
        "Names that differ only in case, spaces or punctuation: 'Cat', 'cat '; 'bull-dog', 'Bulldog'. Rename them if "
        "they mean the same."
    )


def test_copies_that_lie_across_given_splits_are_not_said_to_stay_together() -> None:
    near = Finding(
        "near_copies", "1 group of nearly equal images; their rows stay in one part", 1, (("a", "b"),)
    )
    leak = Finding("leak", "1 group across the given splits", 1, (("b", "c"),))
    assert headline_of(near, [near]) == near.headline
    said = headline_of(near, [near, leak])
    assert said == "1 group of nearly equal images; some lie across the given splits, see below"
    assert headline_of(leak, [near, leak]) == leak.headline


def test_names_that_differ_in_characters_nobody_sees_are_told() -> None:
    counts = dict.fromkeys(
        ("cat", "c\u0430t", "dog", "dog\u200b", "owl", "\u201cowl\u201d", "hen", "hens"), 20
    )
    none = np.empty(0, dtype=np.int64)
    findings = inspect_rows(InspectedRows((), (), (), none, none), "classification", counts, informative=True)
    assert [finding.count for finding in findings if finding.kind == "look_alike"] == [3]
