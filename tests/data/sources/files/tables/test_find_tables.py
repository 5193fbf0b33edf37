"""Tables beside folders of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import encoded, pack, random_image


def _folder(root: Path, images: list[str], tables: dict[str, str]) -> Path:
    for k, name in enumerate(images):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(random_image(k)))
    for name, text in tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


_LESIONS = [f"skin_images_part_{1 + k % 2}/S_{k}.png" for k in range(4)]
_DIAGNOSES = "lesion_id,image_id,dx\n" + "".join(f"L{k // 2},S_{k},{'ab'[k % 2]}\n" for k in range(4))


def test_numbered_folders_of_images_beside_their_table_are_no_classes(tmp_path: Path) -> None:
    root = _folder(tmp_path, _LESIONS, {"skin_metadata.csv": _DIAGNOSES})
    with pytest.raises(
        DataError, match=r"'skin_metadata.csv' has 'lesion_id', 'image_id', 'dx': name the column"
    ):
        open_source(root)
    source = open_source(root, target="dx")
    assert (source.classes, len(source.files)) == (("a", "b"), 4)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "image_id,kind,maker\n0.png,x,y\n1.png,z,x\n",
            "'list.csv' has 'image_id', 'kind', 'maker': name the",
        ),
        ("image,label\n0.png,a\n1.png,b,c\n", "its line 3 has 3 cells"),
        ("image^label\n0.png^a\n1.png^b\n", "has none of these .'image.label'."),
    ],
)
@pytest.mark.parametrize("folder", ["", "img_align/"])
def test_table_beside_images_without_classes_says_why_it_is_not_read(
    tmp_path: Path, table: str, message: str, folder: str
) -> None:
    root = _folder(tmp_path, [f"{folder}{k}.png" for k in range(2)], {"list.csv": table})
    with pytest.raises(DataError, match=message):
        open_source(root)


def test_table_that_names_the_images_of_class_folders_is_told(tmp_path: Path) -> None:
    images = [f"train/c{k}/{i}{k}.png" for k in range(2) for i in range(2)]
    table = "subject,img\n" + "".join(f"p{k % 2},{Path(name).name}\n" for k, name in enumerate(images))
    root = _folder(tmp_path, images, {"drivers.csv": table, "other.csv": "a,b\n1,2\n"})
    source = open_source(root)
    assert source.classes == ("c0", "c1")
    assert [note for note in source.notes if "'img'" in note] == [
        "drivers.csv names images in its column 'img', but the class folders are used: --target (in Python target) "
        "learns another of its columns ('subject')."
    ]
    assert open_source(root, target="subject").classes == ("p0", "p1")


@pytest.mark.parametrize("name", ["_classes.csv", "annotations.csv"])
def test_tables_in_the_folders_of_parts_are_read(tmp_path: Path, name: str) -> None:
    parts = ("train", "valid", "test")
    table = "filename, cat, dog\n0.png, 1, 0\n1.png, 0, 1\n2.png, 1, 1\n"
    images = [f"{part}/{k}.png" for part in parts for k in range(3)]
    source = open_source(_folder(tmp_path, images, {f"{part}/{name}": table for part in parts}))
    assert (source.task, source.classes) == ("multilabel", ("cat", "dog"))
    assert sorted(source.splits) == ["holdout"] * 3 + ["train"] * 3 + ["val"] * 3


def test_column_id_beside_images_is_the_class_if_its_cells_repeat(tmp_path: Path) -> None:
    table = "Image,Id\n0.png,w_1\n1.png,w_2\n2.png,w_1\n"
    source = open_source(_folder(tmp_path, [f"train/{k}.png" for k in range(3)], {"train.csv": table}))
    assert source.classes == ("w_1", "w_2")


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        (("1.PNG", "2.Png"), "by other letter case"),
        (("1", "2"), "with zeros before the number"),
        (("C:\\data\\pics\\0001.png", "C:\\data\\pics\\0002.png"), "without the first folders"),
        (("https://x.org/pics/0001.png", "https://x.org/pics/0002.png"), "without the first folders"),
        (("set/pics/0001.png", "set/pics/0002.png"), "without the first folders"),
    ],
)
def test_files_are_found_by_nearly_their_names_and_told(
    tmp_path: Path, cells: tuple[str, str], how: str
) -> None:
    stems = ("1", "2") if "PNG" in cells[0] else ("0001", "0002")
    table = f"image,label\n{cells[0]},a\n{cells[1]},b\n"
    source = open_source(_folder(tmp_path, [f"pics/{stem}.png" for stem in stems], {"t.csv": table}))
    assert [Path(name).stem for name in source.files] == list(stems)
    assert any(how in note for note in source.notes)


def test_file_of_another_folder_is_not_taken_for_one_of_the_same_name(tmp_path: Path) -> None:
    table = "image,label\na/1.png,x\nb/1.png,y\nb/2.png,x\n"
    source = open_source(_folder(tmp_path, ["1.png", "a/1.png", "b/2.png"], {"labels.csv": table}))
    assert list(source.files) == ["a/1.png", "b/1.png", "b/2.png"]  # the second is missing, and will be told


def test_file_beside_the_table_comes_before_those_below(tmp_path: Path) -> None:
    root = _folder(tmp_path, ["1.png", "2.png", "old/1.png"], {"t.csv": "id,label\n1,a\n2,b\n"})
    assert list(open_source(root / "t.csv").files) == ["1.png", "2.png"]


def test_of_two_columns_with_usual_names_the_one_that_names_files_is_used(tmp_path: Path) -> None:
    table = "image,path,label\nfirst,p/1.png,a\nsecond,p/2.png,b\n"
    source = open_source(_folder(tmp_path, ["p/1.png", "p/2.png"], {"labels.csv": table}))
    assert "'path' names the images" in " ".join(source.notes)


def test_files_without_extension_are_those_in_the_folder_of_the_part_that_the_table_names(
    tmp_path: Path,
) -> None:
    images = [f"{part}/{k}.png" for part in ("train", "test") for k in range(4)]
    tables = {"train.csv": "id,label\n0,a\n1,b\n2,a\n3,b\n", "test.csv": "id\n0\n1\n"}
    root = _folder(tmp_path, images, tables)
    for data in (root, root / "train.csv"):
        source = open_source(data)
        assert (list(source.files), source.classes) == ([f"train/{k}.png" for k in range(4)], ("a", "b"))


def _coco(names: Sequence[str], *, kind: str = "objects") -> str:
    entries: list[dict[str, Any]] = [
        {"id": k, "image_id": k, "category_id": 1 + k % 2} for k, _ in enumerate(names)
    ]
    if kind == "captions":
        entries = [{"id": k, "image_id": k, "caption": "a cat"} for k, _ in enumerate(names)]
    elif kind == "keypoints":
        entries = [{"id": 0, "image_id": 0, "category_id": 9}]
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 9, "name": "person"}]
    images = [{"id": k, "file_name": name} for k, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": entries, "categories": kinds})


_EIGHT, _FOUR = [f"{k:03}.png" for k in range(8)], [f"{k:03}.png" for k in range(4)]


@pytest.mark.parametrize("around", ["", "coco/"])
@pytest.mark.parametrize(
    ("train", "val", "form"),
    [
        ("train2017", "val2017", "annotations/instances_{}.json"),
        ("images/train", "images/val", "annotations/{}.json"),
        ("train", "valid", "Annotations/person_{}.json"),
        ("train", "val", "labels/coco_{}.json"),
    ],
)
def test_annotations_in_a_folder_of_their_own_are_read_with_their_parts(
    tmp_path: Path, around: str, train: str, val: str, form: str
) -> None:
    images = [f"{around}{train}/{name}" for name in _EIGHT] + [f"{around}{val}/{name}" for name in _FOUR]
    parts = ((Path(train).name, _EIGHT), (Path(val).name, _FOUR))
    tables = {f"{around}{form.format(part)}": _coco(names) for part, names in parts}
    root = _folder(tmp_path / "data", images, tables)
    for data in (root, pack(root, tmp_path / "data.zip")):
        source = open_source(data)
        assert (source.classes, source.splits) == (("cat", "dog"), ["train"] * 8 + ["val"] * 4)
        assert list(source.files) == images
        assert source.targets.tolist() == [0, 1] * 6


def test_captions_and_keypoints_beside_instances_are_not_learned(tmp_path: Path) -> None:
    tables = {
        f"annotations/{kind}_{part}2017.json": _coco(names, kind=kind.removeprefix("person_"))
        for part, names in (("train", _EIGHT), ("val", _FOUR))
        for kind in ("instances", "captions", "person_keypoints")
    }
    images = [f"train2017/{name}" for name in _EIGHT] + [f"val2017/{name}" for name in _FOUR]
    source = open_source(_folder(tmp_path, images, tables))
    assert (len(source.files), source.classes) == (12, ("cat", "dog"))


def test_annotations_of_images_that_were_not_downloaded_are_left_out_and_told(tmp_path: Path) -> None:
    others = [f"1{name}" for name in _EIGHT]
    tables = {
        "annotations/instances_train.json": _coco(others),
        "annotations/instances_val.json": _coco(_FOUR),
    }
    source = open_source(_folder(tmp_path, [f"val/{name}" for name in _FOUR], tables))
    assert (len(source.files), set(source.splits)) == (4, {""})
    told = "Left out, as none of the first images that they name is there: annotations/instances_train.json."
    assert any(told in note for note in source.notes)


@pytest.mark.parametrize("table", ["metadata/table.csv", "annotations/labels.csv", "meta/labels.txt"])
def test_one_table_in_a_folder_beside_the_images_is_read(tmp_path: Path, table: str) -> None:
    rows = "".join(f"{name},{'ab'[k % 2]}\n" for k, name in enumerate(_EIGHT))
    text = rows if table.endswith("txt") else f"image,label\n{rows}"
    source = open_source(_folder(tmp_path, [f"images/{name}" for name in _EIGHT], {table: text}))
    assert (source.classes, source.targets.tolist()) == (("a", "b"), [0, 1] * 4)


def test_class_folders_come_before_annotations_in_a_folder(tmp_path: Path) -> None:
    images = [f"{kind}/{name}" for kind in ("x", "y") for name in _FOUR]
    root = _folder(tmp_path, images, {"annotations/instances_default.json": _coco(images)})
    assert open_source(root).classes == ("x", "y")


def test_images_and_tables_that_are_not_used_are_told(tmp_path: Path) -> None:
    table = "image,label\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(4))
    root = _folder(
        tmp_path,
        [f"{k}.png" for k in range(6)],
        {"labels.csv": table, "labels_v2.csv": table.replace("b", "a")},
    )
    source = open_source(root)
    assert source.notes[-2:] == (
        "2 images in no row of the table with a label, and not used, such as 4.png.",
        "Other tables, not used: labels_v2.csv.",
    )


def test_tables_that_are_put_together_are_told_with_their_parts(tmp_path: Path) -> None:
    rows = [f"{k}.png,{'ab'[k % 2]}\n" for k in range(6)]
    tables = {
        "train.csv": "image,label\n" + "".join(rows[:4]),
        "test.csv": "image,label\n" + "".join(rows[4:]),
    }
    source = open_source(_folder(tmp_path, [f"{k}.png" for k in range(6)], tables))
    assert "Tables put together: train.csv as train, test.csv as holdout." in source.notes
