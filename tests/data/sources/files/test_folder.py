"""Folders of class folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import MakeFolder, fingerprint, random_image


def test_fingerprint_is_independent_of_place_and_time(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 2, "b": 2})
    before = open_source(root)
    moved = root.rename(tmp_path / "moved")
    for path in moved.rglob("*.png"):
        os.utime(path, (1, 1))
    after = open_source(moved)
    assert fingerprint(after) == before.content([_digest(moved / file) for file in before.files])
    assert after.state() != before.state()


def test_changed_file_changes_state_and_fingerprint(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    before = open_source(root)
    state, known = before.state(), fingerprint(before)
    random_image(99, size=(5, 5)).save(root / "a" / "000.png")
    after = open_source(root)
    assert after.state() != state
    assert fingerprint(after) != known


def test_link_that_goes_in_a_circle_ends(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    assert len(open_source(root).files) == 4


@pytest.mark.parametrize("target", ["self", "gone"])
def test_link_that_leads_nowhere_is_left_out(make_folder: MakeFolder, target: str) -> None:
    root = make_folder({"a": 2, "b": 2})
    (root / "a" / "self").symlink_to(target)
    (root / "self").symlink_to(target)
    assert len(open_source(root).files) == 4


def test_linked_class_folder_is_followed(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 2})
    outside = tmp_path / "outside"
    outside.mkdir()
    random_image(5).save(outside / "x.png")
    (root / "b").symlink_to(outside, target_is_directory=True)
    assert open_source(root).files == ["a/000.png", "a/001.png", "b/x.png"]


def test_file_that_vanished_is_named(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    source = open_source(root)
    (root / "a" / "000.png").unlink()
    with pytest.raises(DataError, match=r"a/000.png: cannot be read \(No such file"):
        source.load(0)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image file was found"):
        open_source(tmp_path)


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["image_column", "group_column"])
def test_column_of_a_folder_without_a_table_is_refused(make_folder: MakeFolder, name: str) -> None:
    root = make_folder({"a": 2, "b": 2})
    with pytest.raises(
        DataError, match="the column 'x' must be one of a table, but .* holds no table of images"
    ):
        open_source(root, **{name: "x"})
