"""Images to predict, in all the forms in which `fit` takes them."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from automl.data.sources.unlabelled import images_of
from automl.errors import DataError
from automl.records import DatasetInfo
from tests.data.conftest import MakeRows, encoded, random_image

_IMAGES = [np.array(random_image(i)) for i in range(3)]
_PIXELS = np.stack(_IMAGES)  # (3, 10, 12, 3)


@pytest.fixture
def colour(make_rows: MakeRows) -> DatasetInfo:
    return make_rows()[1]


def _found(data: Any, info: DatasetInfo) -> list[Any]:
    return [np.asarray(image.load().convert("RGB")) for image in images_of(data, info)]


def _items(data: Any) -> Iterator[Any]:
    yield from data


@pytest.mark.parametrize(
    "data",
    [
        _PIXELS,
        np.moveaxis(_PIXELS, 3, 1),
        torch.from_numpy(_PIXELS).permute(0, 3, 1, 2),
        _PIXELS / 255,
        _PIXELS.tolist(),
        _IMAGES,
        tuple(torch.from_numpy(image).permute(2, 0, 1) for image in _IMAGES),
        [random_image(i) for i in range(3)],
        [encoded(random_image(i)) for i in range(3)],
        [io.BytesIO(encoded(random_image(i))) for i in range(3)],
        [encoded(random_image(0)), _IMAGES[1], random_image(2)],
        _items([random_image(i) for i in range(3)]),
        torch.utils.data.TensorDataset(torch.from_numpy(_PIXELS).permute(0, 3, 1, 2), torch.zeros(3)),
        [{"image": image, "label": 0} for image in _IMAGES],
        pd.DataFrame({"name": list("abc"), "image": [random_image(i) for i in range(3)]}),
        pd.DataFrame({"pixels": _IMAGES}),
    ],
    ids=lambda data: type(data).__name__,
)
def test_several_images_in_memory_are_as_many_predictions(data: Any, colour: DatasetInfo) -> None:
    found = _found(data, colour)
    assert len(found) == 3
    assert all(np.array_equal(image, pixels) for image, pixels in zip(found, _IMAGES, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        _IMAGES[0],
        np.moveaxis(_IMAGES[0], 2, 0),
        torch.from_numpy(_IMAGES[0]).permute(2, 0, 1),
        _IMAGES[0] / 255,
        random_image(0),
        encoded(random_image(0)),
        bytearray(encoded(random_image(0))),
        io.BytesIO(encoded(random_image(0))),
    ],
    ids=["HWC", "CHW", "tensor", "floats", "PIL", "bytes", "bytearray", "file"],
)
def test_one_image_is_one_prediction(data: Any, colour: DatasetInfo) -> None:
    found = _found(data, colour)
    assert len(found) == 1
    assert np.array_equal(found[0], _IMAGES[0])


def test_datasets_of_dicts_and_loaders_are_read_or_refused(colour: DatasetInfo) -> None:
    class Dicts(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            return {"label": 1, "img": random_image(i)}

    assert np.array_equal(np.stack(_found(Dicts(), colour)), _PIXELS)
    with pytest.raises(DataError, match="not the DataLoader of one: give its attribute dataset"):
        _found(torch.utils.data.DataLoader(Dicts()), colour)


def test_address_of_an_image_is_refused_as_one(colour: DatasetInfo) -> None:
    with pytest.raises(DataError, match="is an address, and must be a file on this machine: download it"):
        _found("https://example.org/cat.png", colour)


def test_grey_images_of_a_grey_model_are_told_from_channels(colour: DatasetInfo) -> None:
    grey = dataclasses.replace(colour, in_chans=1)
    assert len(_found(_PIXELS[:, :, :, 0], grey)) == 3
    assert len(_found(_PIXELS[0, :, :, 0], grey)) == 1
    assert len(_found(_IMAGES[0], grey)) == 1
    assert len(_found(_PIXELS[:2, :, :, 0], colour)) == 2


@pytest.mark.parametrize("channels", [2, 5, 6])
def test_impossible_channels_are_refused(channels: int, colour: DatasetInfo) -> None:
    image = np.zeros((16, 16, channels), dtype=np.uint8)
    for info in (colour, dataclasses.replace(colour, in_chans=1)):
        for data in (image, torch.from_numpy(image), [image, image], image.tolist()):
            with pytest.raises(DataError, match=rf"1, 3 or 4 channels.*\(16, 16, {channels}\)"):
                list(images_of(data, info))
    assert len(list(images_of(np.zeros((5, 16, 16), dtype=np.uint8), colour))) == 5


def test_paths_tables_and_folders_give_the_same_images(tmp_path: Path, colour: DatasetInfo) -> None:
    names = [f"{i}.png" for i in range(3)]
    for i, name in enumerate(names):
        random_image(i).save(tmp_path / name)
    paths = [tmp_path / name for name in names]
    frame = pd.DataFrame({"image": list(map(str, paths)), "label": [0, 1, 0]}, index=[5, 5, 7])
    frame.to_csv(tmp_path / "t.csv")
    for data in (paths, np.array(paths), np.array(list(map(str, paths))), pd.Series(paths), frame, tmp_path):
        found = _found(data, colour)
        assert len(found) == 3
        assert all(np.array_equal(image, pixels) for image, pixels in zip(found, _IMAGES, strict=True))
    assert [image.name for image in images_of(tmp_path / "t.csv", colour)] == list(map(str, paths))
    assert len(_found([tmp_path / "0.png", tmp_path], colour)) == 4
    assert _found([], colour) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "images must be paths, files, bytes, PIL images, arrays, .* not int"),
        ([_IMAGES[0], None, 7], "not NoneType"),
        (np.zeros((2, 3, 4, 5, 6)), "must have the shape"),
        (pd.DataFrame({"x": [1, 2]}), "must have a column that names the image files"),
        ([[1, 2], [3]], "images must form one array"),
    ],
)
def test_other_data_are_refused(data: Any, message: str, colour: DatasetInfo) -> None:
    with pytest.raises(DataError, match=message):
        _found(data, colour)


@pytest.mark.parametrize("data", [b"", b"text", io.BytesIO(b"text"), io.StringIO("text")])
def test_what_is_no_image_says_so(data: Any, colour: DatasetInfo) -> None:
    with pytest.raises(DataError, match="empty file|not an image|cannot be read"):
        _found(data, colour)


def test_empty_name_is_not_the_current_folder(make_rows: MakeRows) -> None:
    _, info = make_rows(size=16, channels=3)
    with pytest.raises(DataError, match="images must have a name"):
        list(images_of("", info))


@pytest.mark.parametrize("before", ["", "data:image/png;base64,"])
def test_text_of_base64_is_refused_without_repeating_it(colour: DatasetInfo, before: str) -> None:
    with pytest.raises(
        DataError, match="a text of [0-9,]+ characters of base64 was given: decode it"
    ) as raised:
        list(images_of(before + "iVBORw0KGgo/" * 400 + "==", colour))
    assert len(str(raised.value)) < 250
