"""Augmented copies that are known by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

import automl
from automl.data.quality.augmented_names import augmented_groups
from tests.data.conftest import images_at

_HASH = "0123456789abcdef0123456789abcde"


@pytest.mark.parametrize(
    "copies",
    [
        ("a/1.jpg", "a/1_flip.jpg"),
        ("a/1.jpg", "a/1_rot90.png", "a/1_aug_2.jpg", "a/1-hflip-bright.jpg", "a/1 (mirrored).jpg"),
        ("a/1.jpg", "a/aug_1.jpg", "a/flipped_1.jpg", "a/rotated_90_1.jpg"),
        ("a/1_flipLR.JPG", "a/1_90deg.JPG", "a/1_new30degFlipLR.JPG"),
        (f"a/1_jpg.rf.{_HASH}0.jpg", f"a/1_jpg.rf.{_HASH}1.jpg"),
        ("train/a/1.jpg", "valid/a/1_flip.jpg", "train/a/1_180deg.jpg"),
        ("original/a/1.jpg", "augmented/a/1_flip.jpg"),
    ],
)
def test_image_and_its_copies_are_a_group_and_told(copies: tuple[str, ...]) -> None:
    groups, notes = augmented_groups([*copies, "a/2.jpg", "b/1.jpg"])
    assert len(set(groups[: len(copies)])) == 1 and groups[0]
    assert groups[len(copies) :] == ["", ""]
    assert notes[0].startswith(
        f"{len(copies)} images are augmented copies of 1 by their names, such as {copies[0]}"
    )


@pytest.mark.parametrize(
    "others",
    [
        [f"a/wheat_crop_{k:03d}.jpg" for k in range(30)],
        [f"a/img_{light}_{k}.jpg" for light in ("dark", "bright") for k in range(9)],
        ["a/rotor_1.jpg", "a/rotor.jpg", "a/degree.jpg", "a/crop.jpg", "a/aug.jpg", "a/1.jpg"],
        ["a/x_flip.jpg", "b/x.jpg", "a/august_1.jpg", "a/august.jpg"],
        [f"a/1_jpg.rf.{_HASH}0.jpg", f"a/2_jpg.rf.{_HASH}1.jpg"],
    ],
)
def test_other_names_are_no_groups(others: list[str]) -> None:
    assert augmented_groups(others) == ([""] * len(others), ())


def test_copies_stay_in_one_part_and_those_across_a_given_split_are_told(tmp_path: Path) -> None:
    names = [f"{kind}/{k}{end}.png" for kind in "ab" for k in range(6) for end in ("", "_flip", "_rot90")]
    images_at(tmp_path / "drawn", names)
    report = automl.inspect(tmp_path / "drawn")
    assert any(note.startswith("36 images are augmented copies of 12") for note in report.notes)
    # Parts of whole groups: three images each.
    assert all(n % 3 == 0 for by in report.class_counts.values() for n in by.values())
    given = [f"{'valid' if '_flip' in name else 'train'}/{name}" for name in names]
    images_at(tmp_path / "given", given)
    found = automl.inspect(tmp_path / "given").findings
    assert [finding.count for finding in found if finding.kind == "group_leak"] == [12]
