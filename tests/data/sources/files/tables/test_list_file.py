"""Lists of images in text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.data.sources.files.tables.list_file import is_list, read_list
from automl.data.sources.unlabelled import images_of
from automl.errors import DataError
from tests.data.conftest import MakeRows, images_at, pack


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("a/1.jpg 0\nb/2.jpg 1\n", ["image", "label"], ["b/2.jpg", "1"]),
        ("a/1.jpg\t0\nb/2.jpg\t1\n", ["image", "label"], ["b/2.jpg", "1"]),
        ("a/1.jpg, 0\r\nb/2.jpg, 1\r\n", ["image", "label"], ["b/2.jpg", "1"]),
        ("a/1.jpg;cat\n\n# half way\nb/2.jpg;dog\n", ["image", "label"], ["b/2.jpg", "dog"]),
        ("cat (1).jpg 0\nmy dog.JPEG 1\n", ["image", "label"], ["my dog.JPEG", "1"]),
        ("1.jpg golden retriever\n2.jpg pug\n", ["image", "label"], ["2.jpg", "pug"]),
        ("cat\t1.png\ndog\t2.png\n", ["label", "image"], ["dog", "2.png"]),
        ("3 1.png\n3 2.png\n", ["label", "image"], ["3", "2.png"]),
        ("my cat.png\nmy dog.png\n", ["image"], ["my dog.png"]),
        ("0\t3\t1.jpg\n1\t4\t2.jpg\n2\t3\t3.jpg\n", ["index", "label", "image"], ["1", "4", "2.jpg"]),
        ("1.jpg 0 1\n2.jpg 1 1\n", ["image", "column 2", "column 3"], ["2.jpg", "1", "1"]),
        ("file kind\n1.jpg a\n2.jpg b\n", ["file", "kind"], ["2.jpg", "b"]),
        ("2\nyoung smiling\n1.jpg 1 -1\n2.jpg -1 1\n", ["image", "young", "smiling"], ["2.jpg", "-1", "1"]),
        ("1.jpg\n2.jpg\n", ["image"], ["2.jpg"]),
    ],
)
def test_list_is_read_with_any_separator(text: str, columns: list[str], row: list[str]) -> None:
    found = read_list(text)
    assert found is not None
    assert (found.columns, found.rows[1]) == (columns, row)
    assert is_list(text, labelled=True) == (len(columns) > 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cat\ndog\n",
        "0 0.5 0.5 0.1 0.1\n",
        "See photo.jpg for more\nOther words\n",
        "1.jpg\n2.jpg 0\n",
        "1.jpg 0\n2.jpg\n",
    ],
)
def test_other_text_is_no_list(text: str) -> None:
    assert read_list(text) is None
    assert not is_list(text, labelled=False)


def _listed(root: Path, **lists: str) -> Path:
    for name, text in lists.items():
        (root / f"{name}.txt").write_text(text, encoding="utf-8")
    return root


def test_lists_of_parts_beside_images_are_the_split(tmp_path: Path) -> None:
    names = [f"{part}/{kind}{k}.jpg" for part in ("train", "val") for kind in "ab" for k in range(2)]
    root = images_at(tmp_path / "set", names)
    text = {
        part: "".join(f"{kind}{k}.jpg {n}\n" for n, kind in enumerate("ab") for k in range(2))
        for part in ("train", "val")
    }
    _listed(root, train=text["train"], val=text["val"], test="a0.jpg\nb0.jpg\n")
    for data in (root, pack(root, tmp_path / "set.zip")):
        source = open_source(data)
        assert (source.classes, source.label_type) == (("0", "1"), "int")
        assert sorted(source.files) == sorted(names)
        assert all(
            split == file.partition("/")[0] for file, split in zip(source.files, source.splits, strict=True)
        )
        assert any("train.txt was read as a list of images" in note for note in source.notes)


def test_paths_in_a_list_may_begin_below_the_folder_of_its_part(tmp_path: Path) -> None:
    root = images_at(tmp_path, [f"{part}/n{k}/{part}.jpg" for part in ("train", "val") for k in range(2)])
    _listed(root, val="n0/val.jpg 0\nn1/val.jpg 1\n")
    source = open_source(root / "val.txt")
    assert (list(source.files), source.classes) == (["val/n0/val.jpg", "val/n1/val.jpg"], ("0", "1"))
    assert "2 files of the table found in val/." in source.notes


def test_list_given_as_the_data_is_read(tmp_path: Path) -> None:
    root = images_at(tmp_path, ["1.png", "2.png"])
    source = open_source(_listed(root, mine="1.png cat\n2.png dog\n") / "mine.txt")
    assert (source.name, source.classes) == ("mine", ("cat", "dog"))
    with pytest.raises(DataError, match="a table must have a column label"):
        open_source(_listed(root, mine="1.png\n2.png\n") / "mine.txt")


def test_list_without_labels_names_images_to_predict(tmp_path: Path, make_rows: MakeRows) -> None:
    root = _listed(images_at(tmp_path, ["1.png", "2.png", "3.png"]), mine="1.png\n3.png\n")
    images = list(images_of(root / "mine.txt", make_rows()[1]))
    assert [Path(image.name).name for image in images] == ["1.png", "3.png"]
    assert images[1].load().size == (12, 10)


def test_text_that_is_no_list_leaves_class_folders_alone(tmp_path: Path) -> None:
    root = images_at(tmp_path, ["a/1.png", "b/1.png"])
    _listed(root, labels="a\nb\n", train="how to train", list="1 2 3\n")
    assert open_source(root).classes == ("a", "b")


def test_boxes_of_each_image_are_no_lists(tmp_path: Path) -> None:
    root = images_at(tmp_path, [f"train_{k}.jpg" for k in range(30)])
    _listed(root, **{f"train_{k}": f"train_{k}.jpg 0\n" for k in range(30)})
    with pytest.raises(DataError, match="lie in no class folder"):
        open_source(root)
