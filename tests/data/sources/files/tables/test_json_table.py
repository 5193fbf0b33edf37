"""Tables of images in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from automl.data.sources import open_source
from automl.data.sources.files.tables.json_table import rows_in
from automl.errors import DataError
from tests.data.conftest import images_at

_FRAME = pd.DataFrame({"image": ["1.png", "2.png"], "label": ["cat", "dog"]})
_SHAPES: list[Any] = [
    {"1.png": "cat", "2.png": "dog"},
    {"1.png": {"label": "cat"}, "2.png": {"label": "dog"}},
    {"cat": ["1.png"], "dog": ["2.png"]},
    [{"file": "1.png", "label": "cat"}, {"file": "2.png", "label": "dog"}],
    [["1.png", "cat"], ["2.png", "dog"]],
    {"labels": [["1.png", "cat"], ["2.png", "dog"]], "version": 2},
    {"info": {"year": 2020}, "data": [{"img": "1.png", "label": "cat"}, {"img": "2.png", "label": "dog"}]},
    {"image": ["1.png", "2.png"], "label": ["cat", "dog"]},
    json.loads(_FRAME.to_json()),
    json.loads(_FRAME.to_json(orient="records")),
]


def _written(root: Path, found: Any, name: str = "labels.json") -> Path:
    images_at(root, ["1.png", "2.png"])
    (root / name).write_text(json.dumps(found), encoding="utf-8-sig")
    return root


@pytest.mark.parametrize("found", _SHAPES)
def test_usual_shapes_are_tables_beside_images_and_as_the_data(tmp_path: Path, found: Any) -> None:
    root = _written(tmp_path, found)
    for data in (root, root / "labels.json"):
        source = open_source(data)
        assert (source.task, source.classes) == ("classification", ("cat", "dog"))
        assert (list(source.files), source.targets.tolist()) == (["1.png", "2.png"], [0, 1])


@pytest.mark.parametrize("name", ["split_zhou_Pets.json", "labels.json"])
def test_rows_of_each_part_are_a_table_with_its_split(tmp_path: Path, name: str) -> None:
    found = {"train": [["1.png", 0, "cat"]], "test": [["2.png", 1, "dog"]], "classes": ["cat", "dog"]}
    root = _written(tmp_path, found, name)
    for data in (root, root / name):
        source = open_source(data)
        assert (source.classes, source.targets.tolist()) == (("cat", "dog"), [0, 1])
        assert source.splits == ["train", "holdout"]


def test_images_of_each_part_without_labels_are_no_classes(tmp_path: Path) -> None:
    root = _written(tmp_path, {"train": ["1.png"], "test": ["2.png"]}, "split.json")
    with pytest.raises(DataError, match="lie in no class folder"):
        open_source(root)


@pytest.mark.parametrize(
    "kinds", [{"1.png": ["cat", "dog"], "2.png": []}, {"1.png": "cat|dog", "2.png": "cat"}]
)
def test_lists_of_labels_are_several_labels(tmp_path: Path, kinds: dict[str, Any]) -> None:
    source = open_source(_written(tmp_path, kinds))
    assert (source.task, source.classes, source.targets.tolist()[0]) == ("multilabel", ("cat", "dog"), [1, 1])


def _coco(*kinds: tuple[int, int], categories: bool = True) -> dict[str, Any]:
    named = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}] if categories else []
    return {
        "images": [{"id": k, "file_name": f"{k}.png", "width": 12, "height": 10} for k in (1, 2)],
        "annotations": [{"id": k, "image_id": i, "category_id": c} for k, (i, c) in enumerate(kinds)],
        "categories": named,
    }


def test_coco_with_one_category_an_image_is_a_classification(tmp_path: Path) -> None:
    source = open_source(_written(tmp_path, _coco((1, 7), (1, 7), (2, 9)), "instances.json"))
    assert (source.task, source.classes, source.targets.tolist()) == (
        "classification",
        ("cat", "dog"),
        [0, 1],
    )
    told = "instances.json is in COCO's form: the categories of the annotations of an image are its labels; boxes"
    assert any(told in note for note in source.notes)


def test_coco_with_several_categories_an_image_is_several_labels(tmp_path: Path) -> None:
    source = open_source(_written(tmp_path, _coco((1, 7), (1, 9))))
    assert (source.task, source.classes) == ("multilabel", ("cat", "dog"))
    assert source.targets.tolist() == [[1, 1], [0, 0]]
    assert any("its labels (1 image without any)" in note for note in source.notes)


def test_coco_without_names_of_categories_has_their_numbers(tmp_path: Path) -> None:
    assert open_source(_written(tmp_path, _coco((1, 7), (2, 9), categories=False))).classes == ("7", "9")


@pytest.mark.parametrize(
    "found",
    [
        {},
        [],
        5,
        None,
        "1.png",
        {"0": "cat", "1": "dog"},
        {"cat": 0},
        [1, 2],
        [{}],
        {"images": [], "annotations": []},
    ]
    + [{"images": [5], "annotations": [5]}, {"image": 5}, {"a": [["1.png", 1]], "b": [["2.png", 1]]}],
)
def test_other_json_is_no_table_and_leaves_class_folders_alone(tmp_path: Path, found: Any) -> None:
    assert rows_in(found, []) is None
    (tmp_path / "labels.json").write_text(json.dumps(found))
    assert open_source(images_at(tmp_path, ["a/1.png", "b/1.png"])).classes == ("a", "b")
    with pytest.raises(
        DataError, match=r"cannot be read from '.*labels.json': give each image with its label"
    ):
        open_source(tmp_path / "labels.json")


@pytest.mark.parametrize(
    "text", ['{"1.png": "cat"', "[" * 500 + "]" * 500, '{"1.png": ' + "9" * 5000 + "}", "\xff"]
)
def test_damaged_json_beside_images_is_named(tmp_path: Path, text: str) -> None:
    images_at(tmp_path, ["1.png", "2.png"])
    (tmp_path / "labels.json").write_text(text, encoding="latin-1")
    with pytest.raises(
        DataError, match=r"labels.json beside them cannot be read as a table of labels: give each"
    ):
        open_source(tmp_path)


def _task(k: int, *results: list[str], **more: Any) -> dict[str, Any]:
    """A task of Label Studio, with the choices of each annotation."""
    made = [
        {"result": [{"type": "choices", "value": {"choices": found}}], "was_cancelled": False}
        for found in results
    ]
    return {"id": k, "data": {"image": f"/data/upload/1/{k}.png"}, "annotations": made, "meta": {}, **more}


def test_tasks_of_label_studio_are_read_with_their_last_choices(tmp_path: Path) -> None:
    tasks = [_task(1, ["dog"], ["cat"]), _task(2, ["dog"])]
    tasks[1]["annotations"].append({"result": [], "was_cancelled": True})
    root = _written(tmp_path, tasks, "project-1-at-2024-01-02-03-04-abc.json")
    source = open_source(root)
    assert (source.task, source.classes, source.targets.tolist()) == (
        "classification",
        ("cat", "dog"),
        [0, 1],
    )
    assert list(source.files) == ["1.png", "2.png"]


def test_several_choices_of_label_studio_are_several_labels(tmp_path: Path) -> None:
    source = open_source(_written(tmp_path, [_task(1, ["cat", "dog"]), _task(2, ["dog"])]))
    assert (source.task, source.targets.tolist()) == ("multilabel", [[1, 1], [0, 1]])


@pytest.mark.parametrize(
    "odd",
    [
        {"data": {"text": "x"}, "annotations": []},
        {"data": {"image": "1.png"}, "annotations": [5, {"result": 5}]},
        5,
    ],
)
def test_odd_tasks_have_no_label(odd: Any) -> None:
    assert rows_in([_task(1, ["cat"]), *[_task(2, ["cat"])] * 30, odd], []) is not None
    assert rows_in([odd], []) in (None, [{"image": "1.png", "label": None}])


@pytest.mark.parametrize("form", ["csv", "json"])
def test_small_exports_of_label_studio_are_read(tmp_path: Path, form: str) -> None:
    images_at(tmp_path, ["images/1.png", "images/2.png"])
    frame = pd.DataFrame(
        {
            "image": ["/data/upload/7/1.png", "/data/upload/7/2.png"],
            "id": [1, 2],
            "choice": ["cat", "dog"],
            "annotator": [1, 1],
            "lead_time": [1.5, 2.5],
        }
    )
    path = tmp_path / f"project-1-at-2024.{form}"
    path.write_text(frame.to_csv(index=False) if form == "csv" else frame.to_json(orient="records"))
    assert open_source(tmp_path).classes == ("cat", "dog")


def test_numbers_of_classes_by_name_are_read_as_fiftyone_writes_them(tmp_path: Path) -> None:
    images_at(tmp_path, ["data/1.png", "data/2.png"])
    (tmp_path / "labels.json").write_text(json.dumps({"classes": ["dog", "cat"], "labels": {"1": 0, "2": 1}}))
    source = open_source(tmp_path)
    assert (source.classes, source.targets.tolist()) == (("cat", "dog"), [1, 0])
    for wrong in ({"classes": ["dog"], "labels": {"1": 1}}, {"classes": ["dog"], "labels": {}}):
        assert rows_in(wrong, []) is None
