"""Parts of a split in files beside class folders and tables."""

from __future__ import annotations

import json
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


_TRIPLES = {
    part: [
        [f"{kind}/{k}{kind}.png", number, kind]
        for number, kind in enumerate(("apple_pie", "ramen"))
        for k in rows
    ]
    for part, rows in (("train", range(3)), ("val", range(3, 4)), ("test", range(4, 5)))
}


_NUMBERS = " (0 is train, 1 is val, 2 is test)"


def _cells(form: str) -> str:
    return "".join(
        form.format(name=name, part=part, number=number)
        for number, part in enumerate(("train", "val", "test"))
        for name, *_ in _TRIPLES[part]
    )


@pytest.mark.parametrize(
    ("name", "text", "how"),
    [
        ("split_zhou_Food101.json", json.dumps(_TRIPLES), ""),
        ("split.json", json.dumps({part: [row[0] for row in rows] for part, rows in _TRIPLES.items()}), ""),
        (
            "splits/dataset_split.json",
            json.dumps(
                {
                    "seed": 7,
                    **{part: [{"file_name": row[0]} for row in rows] for part, rows in _TRIPLES.items()},
                }
            ),
            "",
        ),
        ("splits.csv", "path,split\n" + _cells("images/{name},{part}\n"), ""),
        ("split.tsv", "image\tpart\n" + _cells("{name}\t{part}\n"), ""),
        ("eval_partition.txt", _cells("{name} {number}\n"), _NUMBERS),
        ("list_eval_partition.csv", "image_id,partition\n" + _cells("{name},{number}\n"), _NUMBERS),
    ],
)
@pytest.mark.parametrize("table", [False, True])
def test_one_file_with_all_parts_is_the_split_of_class_folders_and_tables(
    tmp_path: Path, name: str, text: str, how: str, table: bool
) -> None:
    lists = {name: text}
    if table:
        lists["labels.csv"] = "image,label\n" + "".join(
            f"{image},{k % 3}\n" for k, image in enumerate(_IMAGES)
        )
    root = _root(tmp_path / "food", lists)
    for data in (root, pack(root, tmp_path / "food.zip")):
        source = open_source(data)
        assert f"Parts of the split as in {name}{how}: train 6, val 2, holdout 2." in source.notes
        parts = {Path(file).name: part for file, part in zip(source.files, source.splits, strict=True)}
        assert (parts["0ramen.png"], parts["3ramen.png"], parts["4ramen.png"]) == ("train", "val", "holdout")
        assert len(source.classes) == (3 if table else 2)
        assert not any("names images in its column" in note for note in source.notes)


def test_attributes_of_celeba_have_the_split_of_the_file_beside_them(tmp_path: Path) -> None:
    names = [f"{k:06d}.jpg" for k in range(1, 11)]
    root = images_at(tmp_path / "celeba", [f"img_align_celeba/{name}" for name in names])
    rows = "".join(
        f"{name} {1 if k % 2 else -1:2d} {1 if k % 3 else -1:2d}\n" for k, name in enumerate(names)
    )
    (root / "list_attr_celeba.txt").write_text(f"10\nMale Smiling \n{rows}")
    boxes = "".join(f"{name}    95  71 226 313\n" for name in names)
    (root / "list_bbox_celeba.txt").write_text(f"10\nimage_id x_1 y_1 width height\n{boxes}")
    (root / "identity_CelebA.txt").write_text("".join(f"{name} {7 * k}\n" for k, name in enumerate(names)))
    parts = [0] * 6 + [1] * 2 + [2] * 2
    lines = "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True))
    (root / "list_eval_partition.txt").write_text(lines)
    for target, classes in ((None, ("Male", "Smiling")), ("Male", ("-1", "1"))):
        source = open_source(root, target=target)
        assert source.classes == classes
        assert source.splits == ["train"] * 6 + ["val"] * 2 + ["holdout"] * 2


@pytest.mark.parametrize("cells", [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2, 1, 1, 0, 0]])
def test_numbers_that_are_not_those_of_parts_are_no_split(tmp_path: Path, cells: list[int]) -> None:
    lines = "".join(f"{name} {cell}\n" for name, cell in zip(_IMAGES, cells, strict=True))
    source = open_source(_root(tmp_path, {"partition.txt": lines}))
    assert set(source.splits) == {""}


_ZERO_TO_TWO = [0] * 5 + [1] * 3 + [2] * 2


@pytest.mark.parametrize("name", ["data_split.csv", "split.csv", "labels_split.csv", "my_split.txt"])
@pytest.mark.parametrize("column", ["label", "partition"])
@pytest.mark.parametrize("task", ["auto", "regression"])
def test_numbers_that_are_learned_are_no_parts(tmp_path: Path, name: str, column: str, task: str) -> None:
    root = images_at(tmp_path, [f"images/{k}.png" for k in range(10)])
    rows = "".join(f"images/{k}.png,{number}\n" for k, number in enumerate(_ZERO_TO_TWO))
    (root / name).write_text(f"image,{column}\n{rows}")
    target = None if column == "label" else column
    source = open_source(root, target=target, task=task)
    assert len(set(source.targets.ravel().tolist())) == 3
    assert set(source.splits) == {""}


@pytest.mark.parametrize(
    ("name", "header"),
    [("data_split.csv", "image,label"), ("my_split.txt", "image,label"), ("split.txt", "")],
)
def test_numbers_of_class_folders_in_a_file_called_split_are_no_parts(
    tmp_path: Path, name: str, header: str
) -> None:
    root = images_at(tmp_path, [f"{number}/{k}.png" for k, number in enumerate(_ZERO_TO_TWO)])
    rows = [f"{k}.png,{number}" for k, number in enumerate(_ZERO_TO_TWO)]
    (root / name).write_text("\n".join(filter(None, (header, *rows))))
    source = open_source(root)
    assert source.classes == ("0", "1", "2")
    assert set(source.splits) == {""}


def test_numbers_of_nearly_all_class_folders_are_no_parts(tmp_path: Path) -> None:
    numbers = [0] * 40 + [1] * 30 + [2] * 20
    root = images_at(tmp_path, [f"{number}/{k}.png" for k, number in enumerate(numbers)])
    numbers[39], numbers[69] = 1, 0
    (root / "split.txt").write_text("".join(f"{k}.png {number}\n" for k, number in enumerate(numbers)))
    assert set(open_source(root).splits) == {""}


@pytest.mark.parametrize("name", ["split.csv", "split.txt"])
def test_numbers_in_a_column_of_another_name_are_no_parts(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{image},{k}\n" for image, k in zip(_IMAGES, _ZERO_TO_TWO, strict=True))
    source = open_source(_root(tmp_path, {name: f"image,label\n{rows}"}))
    assert set(source.splits) == {""}


def test_one_of_several_files_with_other_parts_is_used_and_the_others_are_told(tmp_path: Path) -> None:
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    for folder, again in (("a", parts[::-1]), ("b", parts)):
        lists = {
            f"split_seed{seed}.csv": "image,split\n"
            + "".join(f"{image},{part}\n" for image, part in zip(_IMAGES, of_seed, strict=True))
            for seed, of_seed in ((1, parts), (2, again))
        }
        source = open_source(_root(tmp_path / folder, lists))
        assert source.splits == ["train"] * 6 + ["val"] * 2 + ["holdout"] * 2
        assert "Parts of the split as in split_seed1.csv: train 6, val 2, holdout 2." in source.notes
        told = "The same images are in other parts in split_seed2.csv, not used: to use them, take away split_seed1"
        assert any(note.startswith(told) for note in source.notes) == (folder == "a")
        assert folder == "b" or not any("names images in its column" in note for note in source.notes)


def test_json_lists_of_the_files_of_each_class_are_the_split(tmp_path: Path) -> None:
    """Food-101's meta, if only its JSON is there."""
    lists = {
        f"meta/{part}.json": json.dumps(
            {kind: [f"{kind}/{k}{kind}" for k in rows] for kind in ("apple_pie", "ramen")}
        )
        for part, rows in (("train", range(3)), ("test", range(3, 5)))
    }
    source = open_source(_root(tmp_path, lists))
    assert source.splits == (["train"] * 3 + ["holdout"] * 2) * 2


@pytest.mark.parametrize(
    "text", ["[", "[1, 2]", '{"train": 5, "test": ["a"]}', '{"train": []}', "null", "\xff"]
)
def test_json_without_parts_says_nothing(tmp_path: Path, text: str) -> None:
    root = _root(tmp_path, {"split.json": text, "train.json": text, "test.json": text, "split.csv": text})
    assert set(open_source(root).splits) == {""}


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


def test_lists_that_fit_are_used_beside_those_of_few_images(tmp_path: Path) -> None:
    """VOC's ImageSets/Layout and ImageSets/Main."""
    lists = {
        f"{folder}/{part}.txt": _lines("{kind}/{name}", numbers)
        for folder, train in (("Layout", range(1)), ("Main", range(3)))
        for part, numbers in (("train", train), ("test", range(3, 5)))
    }
    source = open_source(_root(tmp_path, lists))
    assert source.splits == (["train"] * 3 + ["holdout"] * 2) * 2
    assert not any("Not used" in note for note in source.notes)


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


@pytest.mark.parametrize("around", ["", "data/"])
def test_folders_of_parts_are_the_split_of_a_table_without_one(tmp_path: Path, around: str) -> None:
    """Hugging Face's imagefolder with one metadata.jsonl."""
    names = [f"{around}{part}/{k}.png" for part, n in (("train", 4), ("test", 2)) for k in range(n)]
    root = images_at(tmp_path, [*names, "new/9.png"])
    rows = [json.dumps({"file_name": name, "label": "ab"[k % 2]}) for k, name in enumerate(names)]
    (root / "metadata.jsonl").write_text("\n".join(rows))
    source = open_source(root)
    assert source.splits == ["train"] * 4 + ["holdout"] * 2
    assert "Folders taken for parts of a split: test/ as holdout, train/ as train." in source.notes


@pytest.mark.parametrize("folders", [("train", "other"), ("train", "train"), ("val", "test"), ("train", ".")])
def test_folders_of_a_table_that_are_not_all_parts_are_no_split(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    names = [f"{folder}/{folders.index(folder)}{k}.png" for folder in folders for k in range(2)]
    root = images_at(tmp_path, names)
    rows = "".join(f"{name},{'ab'[k % 2]}\n" for k, name in enumerate(names))
    (root / "labels.csv").write_text(f"image,label\n{rows}")
    assert set(open_source(root).splits) == {""}


@pytest.mark.parametrize("folder", ["", "splits/"])
def test_tables_of_training_and_test_images_beside_class_folders_are_the_split(
    tmp_path: Path, folder: str
) -> None:
    head, form = ",Filename,Label,ClassName\n", "0,{kind}/{name}.png,1,{kind}"
    lists = {
        f"{folder}train.csv": head + _lines(form, range(3)),
        f"{folder}validation.csv": head + _lines(form, range(3, 4)),
        f"{folder}test.csv": head + _lines(form, range(4, 5)),
    }
    source = open_source(_root(tmp_path, lists))
    assert source.splits == (["train"] * 3 + ["val", "holdout"]) * 2
    said = f"Parts of the split as in {', '.join(sorted(lists))}: train 6, val 2, holdout 2."
    assert said in source.notes
    assert not any("names images in its column" in note for note in source.notes)
