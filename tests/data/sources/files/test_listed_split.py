"""Parts of a split in lists beside class folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from tests.data.conftest import images_at, pack

_IMAGES = [f"images/{kind}/{k}{kind}.png" for kind in ("apple_pie", "ramen") for k in range(5)]


def _root(root: Path, lists: dict[str, str]) -> Path:
    images_at(root, _IMAGES)
    for name, text in lists.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def _lines(form: str, numbers: range) -> str:
    kinds = ("apple_pie", "ramen")
    return "".join(form.format(kind=kind, name=f"{k}{kind}") + "\n" for kind in kinds for k in numbers)


@pytest.mark.parametrize(
    "form",
    [
        "{kind}/{name}",
        "{kind}/{name}.png",
        "images/{kind}/{name}.png",
        "{name} 1 2",
        "/home/x/{kind}/{name}.png,7",
    ],
)
@pytest.mark.parametrize("folder", ["", "meta/"])
def test_lists_of_training_and_test_images_are_the_split_and_told(
    tmp_path: Path, form: str, folder: str
) -> None:
    train, test = f"{folder}train.txt", f"{folder}test.txt"
    lists = {train: _lines(form, range(3)), test: _lines(form, range(3, 5)), f"{folder}classes.txt": "a\nb\n"}
    root = _root(tmp_path / "food", lists)
    for data in (root, pack(root, tmp_path / "food.zip")):
        source = open_source(data)
        assert source.classes == ("apple_pie", "ramen")
        assert source.splits == ["train"] * 3 + ["holdout"] * 2 + ["train"] * 3 + ["holdout"] * 2
        assert f"Parts of the split as in {test}, {train}: train 6, holdout 4." in source.notes


def test_image_in_no_list_is_for_training_and_told(tmp_path: Path) -> None:
    train = _lines("{kind}/{name}", range(3)).removeprefix("apple_pie/0apple_pie\n")
    source = open_source(
        _root(tmp_path, {"trainval.txt": train, "test.txt": _lines("{kind}/{name}", range(3, 5))})
    )
    assert source.splits.count("train") == 6 and source.splits.count("holdout") == 4
    assert "1 image in none of these lists used for training." in source.notes


@pytest.mark.parametrize(
    ("train", "test", "why"),
    [
        (range(3), range(2, 5), "images are in several of them"),
        (range(1), range(1, 2), "only 4 of 10 images are in them"),
        (range(5), range(7, 9), "most lines of test.txt name no image that is there"),
    ],
)
def test_lists_that_do_not_fit_are_told_and_not_used(
    tmp_path: Path, train: range, test: range, why: str
) -> None:
    lists = {"train.txt": _lines("{kind}/{name}", train), "test.txt": _lines("{kind}/{name}", test)}
    source = open_source(_root(tmp_path, lists))
    assert set(source.splits) == {""}
    assert f"Not used as parts of a split, as {why}: test.txt, train.txt." in source.notes


def test_text_that_lists_no_images_says_nothing(tmp_path: Path) -> None:
    source = open_source(
        _root(tmp_path, {"train.txt": "how to train\n", "test.txt": "\n", "val.txt": "1 2 3\n"})
    )
    assert set(source.splits) == {""}
    assert not any("parts of a split" in note for note in source.notes)


def test_lists_give_the_split_of_images_with_classes_in_their_names(tmp_path: Path) -> None:
    root = images_at(tmp_path, [f"images/{kind}_{k}.jpg" for kind in ("Sphynx", "pug") for k in range(4)])
    (root / "annotations").mkdir()
    for part, numbers in (("trainval", range(3)), ("test", range(3, 4))):
        lines = [f"{kind}_{k} 1 1 1\n" for kind in ("Sphynx", "pug") for k in numbers]
        (root / "annotations" / f"{part}.txt").write_text("".join(lines))
    source = open_source(root)
    assert source.classes == ("Sphynx", "pug")
    assert source.splits == (["train"] * 3 + ["holdout"]) * 2


def test_numbers_of_images_and_their_parts_are_the_split(tmp_path: Path) -> None:
    """The files of CUB-200."""
    names = [name.removeprefix("images/") for name in _IMAGES]
    lists = {
        "images.txt": "".join(f"{k} {name}\n" for k, name in enumerate(names, 1)),
        "train_test_split.txt": "".join(f"{k} {int(k % 5 > 1)}\n" for k in range(1, 11)),
        "image_class_labels.txt": "".join(f"{k} {1 + k // 6}\n" for k in range(1, 11)),
        "classes.txt": "1 apple_pie\n2 ramen\n",
    }
    source = open_source(_root(tmp_path, lists))
    assert source.splits == ["holdout", "train", "train", "train", "holdout"] * 2
    assert "Parts of the split as in train_test_split.txt: train 6, holdout 4." in source.notes
