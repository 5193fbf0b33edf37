"""Classes and splits from paths."""

from __future__ import annotations

import pytest

from automl.data.sources.files.layout import printable, read_layout
from automl.errors import DataError


def test_class_folders_become_sorted_classes() -> None:
    layout = read_layout(["dog/1.jpg", "cat/1.jpg", "cat/2.PNG"], where="x")
    assert layout.classes == ("cat", "dog")
    assert layout.labels.tolist() == [1, 0, 0]
    assert layout.splits == ["", "", ""]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders_name_the_split_of_each_row(val: str) -> None:
    layout = read_layout(["train/a/1.jpg", f"{val}/a/2.jpg", "Test/b/3.jpg"], where="x")
    assert layout.splits == ["train", "val", "holdout"]
    assert layout.classes == ("a", "b")


def test_class_named_train_beside_other_classes_is_a_class() -> None:
    layout = read_layout(["car/1.jpg", "plane/2.jpg", "train/3.jpg"], where="x")
    assert layout.classes == ("car", "plane", "train")
    assert set(layout.splits) == {""}


def test_folder_beside_two_splits_is_ignored_and_reported() -> None:
    paths = ["train/a/1.jpg", "train/b/1.jpg", "test/a/2.jpg", "test/b/1.jpg", "masks/a/1.png"]
    layout = read_layout(paths, where="x")
    assert layout.kept.tolist() == [0, 1, 2, 3]
    assert "masks" in " ".join(layout.notes)


def test_deeper_folders_belong_to_the_class_at_the_top() -> None:
    layout = read_layout(["a/x/y/1.jpg", "b/1.jpg"], where="x")
    assert layout.classes == ("a", "b")


@pytest.mark.parametrize("prefix", ["photos/", "one/two/"])
def test_single_folder_around_everything_is_looked_through(prefix: str) -> None:
    layout = read_layout([f"{prefix}train/a/1.jpg", f"{prefix}train/b/2.jpg"], where="x")
    assert layout.classes == ("a", "b")
    assert layout.splits == ["train", "train"]


def test_single_class_folder_stays_a_class() -> None:
    assert read_layout(["cats/1.jpg", "cats/2.jpg"], where="x").classes == ("cats",)


def test_hidden_and_other_files_are_left_out_and_counted() -> None:
    paths = ["a/1.jpg", "a/.2.jpg", ".git/a/1.jpg", "__MACOSX/a/1.jpg", "a/notes.txt", "3.jpg", "b/1.jpg"]
    layout = read_layout(paths, where="x")
    assert layout.kept.tolist() == [0, 6]
    assert layout.notes == (
        "1 file without the extension of an image ignored.",
        "1 image outside of the class folders ignored.",
    )


def test_composed_and_decomposed_names_are_one_class() -> None:
    layout = read_layout(["caf\u00e9/1.jpg", "cafe\u0301/2.jpg", "tea/1.jpg"], where="x")
    assert layout.classes == ("caf\u00e9", "tea")


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no image file was found in 'x'"):
        read_layout(["a/readme.txt"], where="x")


def test_images_without_class_folder_are_refused() -> None:
    with pytest.raises(DataError, match="lie in no class folder"):
        read_layout(["1.jpg", "2.jpg"], where="x")


def test_test_folder_without_train_folder_is_refused() -> None:
    with pytest.raises(DataError, match="must have a train folder beside it"):
        read_layout(["test/a/1.jpg", "val/a/2.jpg"], where="x")


def test_name_that_is_no_utf8_becomes_printable() -> None:
    assert printable("a\udcff.jpg") == "a\\xff.jpg"
