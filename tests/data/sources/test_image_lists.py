"""Lists of images and their labels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import encoded, random_image

_SIZES = ((12, 10), (8, 9), (12, 10), (7, 7))
_LABELS = [3, 1, 3, 1]


def _images() -> list[Any]:
    return [random_image(i, size=size) for i, size in enumerate(_SIZES)]


def _check(images: Any, labels: Any = _LABELS) -> None:
    source = open_source((images, labels))
    assert (source.task, source.classes, source.targets.tolist()) == (
        "classification",
        ("1", "3"),
        [1, 0, 1, 0],
    )
    assert source.label_type == "int"
    for i, image in enumerate(_images()):
        assert np.array_equal(np.asarray(source.load(i)), np.asarray(image))


@pytest.mark.parametrize(
    "labels", [_LABELS, np.array(_LABELS), np.array(_LABELS)[:, None], torch.tensor(_LABELS)]
)
def test_paths_and_labels_are_a_data_set(
    tmp_path: Path, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, image in zip(paths, _images(), strict=True):
        image.save(path)
    for images in (
        paths,
        tuple(map(str, paths)),
        np.array(paths),
        pd.Series(paths),
        [path.name for path in paths],
    ):
        _check(images, labels)
    _check(paths, pd.Series(_LABELS, index=[7, 7, 1, 0]))


@pytest.mark.parametrize("kind", ["PIL", "arrays", "tensors", "bytes", "files"])
def test_images_of_several_sizes_and_labels_are_a_data_set(kind: str) -> None:
    make: dict[str, Any] = {
        "PIL": lambda image: image,
        "arrays": np.asarray,
        "tensors": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
        "bytes": encoded,
        "files": lambda image: io.BytesIO(encoded(image)),
    }
    _check([make[kind](image) for image in _images()])


def test_several_outputs_of_a_list_are_columns(tmp_path: Path) -> None:
    cells = [encoded(image) for image in _images()]
    source = open_source((cells, np.array([[0.5, 1], [1, 2], [3, 4], [5, 6]])))
    assert (source.task, source.classes) == ("regression", ("output 0", "output 1"))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["gone.png", "away.png"], [0, 1], "none of 2 files is there, the first is 'gone.png'"),
        ("photos", [0, 1], "labels belong to images in memory or a list of paths, not to the path 'photos'"),
        ([b"x", b"y", b"z"], [0, 1], "one entry for each of 3 images, not 2"),
        ([b"x", 7], [0, 1], "must all be of one kind, but 7 is of another"),
    ],
)
def test_lists_that_do_not_fit_are_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source((images, labels))


@pytest.mark.parametrize("kind", ["paths", "images", "array"])
def test_columns_of_labels_keep_their_names(tmp_path: Path, kind: str) -> None:
    arrays = np.stack([np.asarray(random_image(i, size=(9, 9))) for i in range(4)])
    images: Any = arrays
    if kind != "array":
        images = [random_image(i, size=(9, 9)) for i in range(4)]
    if kind == "paths":
        for i, image in enumerate(images):
            image.save(tmp_path / f"{i}.png")
        images = [tmp_path / f"{i}.png" for i in range(4)]
    one_hot = pd.DataFrame({"image": [1, 0, 0, 1], "dog": [0, 1, 1, 0]})
    source = open_source((images, one_hot))
    assert (source.task, source.classes) == ("classification", ("dog", "image"))
    assert source.targets.tolist() == [1, 0, 0, 1]
    amounts = open_source((images, pd.DataFrame({"age": [1.5, 2, 3, 4], "weight": [2, 3.5, 1, 1]})))
    assert (amounts.task, amounts.classes) == ("regression", ("age", "weight"))
    with pytest.raises(DataError, match="one entry"):
        open_source((images, one_hot[:3]))


@pytest.mark.parametrize("labels", [None, "abcd", {0: "a", 1: "b", 2: "a", 3: "b"}, {"a", "b"}])
def test_labels_without_an_order_are_refused(labels: Any) -> None:
    with pytest.raises(DataError, match="labels must be a list, an array or a column"):
        open_source((np.zeros((4, 5, 5), dtype=np.uint8), labels))


def test_labels_of_bytes_are_text() -> None:
    labels = np.array(["cat", "dog"] * 2, dtype="S3")
    source = open_source((np.zeros((4, 5, 5), dtype=np.uint8), labels))
    assert (source.classes, source.label_type) == (("cat", "dog"), "text")


@pytest.mark.parametrize("kind", ["arrays", "images"])
def test_groups_without_a_value_are_none_and_other_spellings_are_told(kind: str) -> None:
    images = [random_image(i) for i in range(4)]
    data = images if kind == "images" else np.stack([np.asarray(image) for image in images])
    labels = ["a", "b", "a", "b"]
    assert open_source((data, labels, [1.0, float("nan"), 2.0, None])).groups == ["1.0", "", "2.0", ""]
    source = open_source((data, labels, ["P1", "p1 ", "NA", "p2"]))
    assert source.groups == ["P1", "P1", "", "p2"]
    assert "'P1' and 'p1' in groups are one group, as are others that differ in this way." in source.notes


def test_image_that_was_closed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    random_image(0).save(tmp_path / "1.png")
    image = Image.open(tmp_path / "1.png")
    image.load()
    image.close()
    with pytest.raises(DataError, match="an image in memory cannot be read .*open its file anew"):
        open_source(([image, image], ["a", "b"]))


def test_column_alone_is_no_data() -> None:
    with pytest.raises(
        DataError, match=r"images and labels, fit\(images, labels\), not one column \(Series\)"
    ):
        open_source(pd.Series(["a", "b"], index=["1.png", "2.png"]))
