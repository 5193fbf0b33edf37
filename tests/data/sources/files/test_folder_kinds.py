"""Folders that are no classes: masks, images/ as the only folder of a part, parts inside of a folder."""

from __future__ import annotations

import pytest

from automl.data.sources.files.layout import read_layout
from automl.errors import DataError

_TWO = ("a", "b")


def test_masks_beside_images_inside_of_class_folders_are_left_out_and_told() -> None:
    paths = [f"x/{name}/{kind}/1.png" for name in _TWO for kind in ("images", "masks")]
    layout = read_layout(paths, where="x")
    assert (layout.classes, layout.kept.tolist()) == (_TWO, [0, 2])
    assert (
        "The images are those in a/images/, b/images/; left out beside them: a/masks, b/masks."
        in layout.notes
    )
    parts = [f"{part}/{path[2:]}" for part in ("train", "test") for path in paths]
    assert len(read_layout(parts, where="x").kept) == 4


@pytest.mark.parametrize("inside", ["val/images", "val/val", "test/imgs"])
def test_part_with_all_images_in_one_folder_of_no_class_is_left_out_and_told(inside: str) -> None:
    layout = read_layout(["train/n1/images/1.png", "train/n2/images/1.png", f"{inside}/2.png"], where="x")
    assert (layout.classes, layout.splits) == (("n1", "n2"), ["train", "train"])
    assert f"Left out, as no class folders are in it: {inside.split('/')[0]}." in layout.notes


def test_parts_inside_of_a_folder_beside_test_are_found_and_told() -> None:
    paths = [f"data/data/{part}/{name}/1.png" for part in ("train", "valid") for name in _TWO]
    layout = read_layout([*paths, "test/test/1.png"], where="x")
    assert (layout.classes, layout.splits) == (_TWO, ["train", "train", "val", "val"])
    assert layout.notes[0] == "The parts of a split are those in data/data/."
    layout = read_layout([*paths, "test/a/1.png"], where="x")
    assert layout.splits == ["train", "train", "val", "val", "holdout"]
    twice = [
        f"{around}{part}/{name}/1.png" for around in ("", "x/") for part in ("train", "test") for name in _TWO
    ]
    assert "Folders beside them ignored: x." in read_layout(twice, where="x").notes


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (
            [
                f"{part}/{name}/1.png"
                for part in ("train", "test")
                for name in ("fish/ray", "fish/shark", "tree/oak")
            ],
            "are not told apart: test/fish/ray, test/fish/shark, train/fish/ray, train/fish/shark.",
        ),
        (
            [
                f"{thing}/{path}/1.png"
                for thing in _TWO
                for path in ("train/good", "test/good", "test/broken")
            ],
            "are not told apart: a/test/broken, a/test/good, b/test/broken, b/test/good.",
        ),
        (
            [f"{place}/images/{name}/1.png" for place in ("amazon", "dslr") for name in _TWO],
            "Taken for classes: amazon, dslr; the folders in them are not used, though each has a, b",
        ),
        (
            ["images_001/1.png", "images_002/2.png"],
            "say nothing of what is in the images: images_001, images_002.",
        ),
    ],
)
def test_folders_that_may_be_the_classes_are_told_at_any_depth(paths: list[str], told: str) -> None:
    assert any(told in note for note in read_layout(paths, where="x").notes)


def test_parts_of_classes_beside_these_are_parts_and_told() -> None:
    paths = [f"{name}{part}/1.png" for name in ("cat", "dog") for part in ("", "_test", "-val")]
    layout = read_layout(paths, where="x")
    assert (layout.classes, layout.splits) == (("cat", "dog"), ["train", "holdout", "val"] * 2)
    assert (
        "Folders taken for parts of the classes beside them (cat-val/ as the images of 'cat' for val)"
        in layout.notes[0]
    )
    one = read_layout(["tube/1.png", "tube_test/1.png", "rack/1.png"], where="x")
    assert one.classes == ("rack", "tube", "tube_test")


@pytest.mark.parametrize("mask", ["1_mask.png", "1_mask_1.png", "1-seg.tif", "1_Segmentation.png"])
def test_masks_beside_their_images_are_left_out_and_told(mask: str) -> None:
    layout = read_layout([f"{name}/{file}" for name in _TWO for file in ("1.jpg", mask)], where="x")
    assert (layout.classes, layout.kept.tolist()) == (_TWO, [0, 2])
    assert any(f"by their names: 2 files such as a/{mask}." in note for note in layout.notes)
    alone = read_layout([f"{name}/{mask}" for name in _TWO], where="x")
    assert len(alone.kept) == 2


def test_classes_called_like_masks_are_told() -> None:
    notes = read_layout(["ground truth/1.png", "original/1.png"], where="x").notes
    assert notes == (
        "Taken for classes, though the names may mean masks or labels of other images: ground truth.",
    )


def _paths(*folders: str) -> list[str]:
    return [f"{folder}/{k}.jpg" for folder in folders for k in range(2)]


@pytest.mark.parametrize("again", ["cells", "cells/cells", "cells/images"])
def test_folder_that_holds_the_classes_beside_it_again_is_left_out_and_told(again: str) -> None:
    layout = read_layout(_paths("sick", "well", f"{again}/sick", f"{again}/well"), where="x")
    assert (layout.classes, len(layout.kept)) == (("sick", "well"), 4)
    assert layout.notes[0].startswith(
        "Left out, as the folders beside it are in it again: cells; to use its images"
    )


@pytest.mark.parametrize(("name", "part"), [("val", "val"), ("Testing", "holdout")])
def test_part_inside_of_the_training_images_is_that_part_and_told(name: str, part: str) -> None:
    folders = ("train/a", "train/b", f"train/{name}/a", f"train/{name}/b")
    layout = read_layout(_paths(*folders), where="x")
    assert layout.classes == ("a", "b")
    assert layout.splits == ["train"] * 4 + [part] * 4
    assert layout.notes[0] == (
        f"Taken for parts of a split, as they hold the class folders beside them: train/{name}."
    )


def test_folders_deep_inside_of_single_ones_in_classes_are_told() -> None:
    folders = (
        "small/small/train/bad",
        "small/small/train/ok",
        "small/small/test/ok",
        "big/big/bad",
        "big/big/ok",
    )
    layout = read_layout(_paths(*folders), where="x")
    assert layout.notes == (
        "Folders inside of class folders are not told apart: big/big/bad, big/big/ok, small/small/test, "
        "small/small/train.",
    )


def test_classes_with_names_of_what_is_put_aside_are_told() -> None:
    layout = read_layout(_paths("cat", "dog", "New folder", "_old"), where="x")
    assert layout.notes == (
        "Taken for classes, though the names may mean images of no class: New folder, _old.",
    )


@pytest.mark.parametrize("name", ["1_superpixels.png", "mask_1.png", "1_overlay.jpg", "1_annotated.jpg"])
def test_what_was_drawn_from_an_image_beside_it_is_left_out(name: str) -> None:
    layout = read_layout(["a/1.jpg", f"a/{name}", "b/2.jpg", "b/mask_3.png"], where="x")
    assert layout.kept.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1.dcm", "DICOM files are not read: save them as PNG"),
        ("1.nii.gz", "volumes are not read: save slices"),
        ("1.CR2", "raw photos are not read: save them as JPEG"),
        ("1.mp4", "videos are not read: save frames"),
        ("1.npy", "arrays are not read: load them in Python"),
        ("IM0001", "files without an extension are not read: name images .jpg"),
        ("a.zip", "archives in a folder are not read: unpack them"),
    ],
)
def test_files_of_other_kinds_in_place_of_images_are_named_with_what_to_do(name: str, said: str) -> None:
    with pytest.raises(DataError, match=f"no image file was found .*; {said}"):
        read_layout([f"a/{name}", f"b/{name}"], where="x")


def test_parts_of_one_thing_without_class_folders_are_no_classes() -> None:
    with pytest.raises(
        DataError, match="box_test, box_train must hold class folders to be parts of a split, but"
    ):
        read_layout(_paths("box_train", "box_test"), where="x")
    assert read_layout(_paths("train_station", "train_track"), where="x").classes == (
        "train_station",
        "train_track",
    )
