"""Images in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from automl.data.sources.arrays import ArraySource, open_digits, to_images
from automl.errors import DataError
from automl.records import ReadOptions
from tests.data.conftest import fingerprint

_PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)
_LABELS = [0, 1, 0]


def _loaded(images: Any) -> Any:
    return np.asarray(ArraySource(images, _LABELS).load(1))


@pytest.mark.parametrize(
    "images",
    [
        _PIXELS,
        _PIXELS.astype(np.int64),
        _PIXELS / 255,
        _PIXELS.astype(np.float32),
        np.moveaxis(_PIXELS, 3, 1),
        torch.from_numpy(_PIXELS).permute(0, 3, 1, 2),
        torch.from_numpy(_PIXELS) / 255,
        _PIXELS.tolist(),
        _PIXELS.astype(np.uint16) * 257,
    ],
    ids=["uint8", "int64", "unit floats", "floats", "NCHW", "torch", "torch floats", "lists", "uint16"],
)
def test_layouts_and_ranges_give_the_same_pixels(images: Any) -> None:
    assert np.array_equal(_loaded(images), _PIXELS[1])


def test_grey_images_have_mode_l() -> None:
    assert ArraySource(_PIXELS[..., 0], _LABELS).load(0).mode == "L"
    assert np.array_equal(_loaded(_PIXELS[..., :1]), _PIXELS[1, :, :, 0])
    assert np.array_equal(_loaded(_PIXELS[..., 0] > 127), (_PIXELS[1, :, :, 0] > 127) * 255)


def test_four_channels_are_rgba() -> None:
    assert ArraySource(np.zeros((3, 5, 6, 4), dtype=np.uint8), _LABELS).load(0).mode == "RGBA"


def test_both_ends_like_channels_go_by_the_library() -> None:
    cube = np.zeros((3, 3, 9, 3), dtype=np.uint8)
    assert ArraySource(cube, _LABELS).load(0).size == (9, 3)
    assert ArraySource(torch.from_numpy(cube), _LABELS).load(0).size == (3, 9)


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        ([10, 2, 10], ("2", "10"), [1, 0, 1]),
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (np.array([1.0, 0.0, 1.0]), ("0", "1"), [1, 0, 1]),
        (torch.tensor([True, False, True]), ("False", "True"), [1, 0, 1]),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b"), [1, 0, 1]),
    ],
)
def test_labels_of_any_kind_are_encoded(labels: Any, classes: tuple[str, ...], numbers: list[int]) -> None:
    source = ArraySource(_PIXELS, labels)
    assert source.classes == classes
    assert source.targets.tolist() == numbers


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (_PIXELS, [0, 1], r"one entry per image, shape \(3,\) or \(3, outputs\), not \(2,\)"),
        (_PIXELS, np.eye(2), r"not \(2, 2\)"),
        (_PIXELS, np.zeros((3, 1, 1)), r"not \(3, 1, 1\)"),
        (_PIXELS, np.array(["a", None, "b"], dtype=object), "that of image 1 is None"),
        (_PIXELS, [0.5, np.nan, 0], "that of image 1 is nan"),
        (_PIXELS[0, 0], _LABELS, "must have the shape"),
        (np.zeros((3, 5, 6, 7)), _LABELS, "must have the shape"),
        (np.zeros((0, 5, 6, 3)), [], "at least one image"),
        (_PIXELS / 100 - 1, _LABELS, "undo their normalization"),
        (np.full((3, 5, 6), np.nan), _LABELS, "some of them are NaN"),
        (_PIXELS * 3.0, _LABELS, "they reach 7"),
        ([[1, 2], [3]], _LABELS, "must each form one array"),
        (np.array(["x", "y", "z"]), _LABELS, "must be an array of numbers"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ArraySource(images, labels)


def test_fractions_and_columns_choose_the_task() -> None:
    assert ArraySource(_PIXELS, [0.5, 1, 0]).task == "regression"
    bits = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    several = ArraySource(_PIXELS, bits)
    assert (several.task, several.targets.tolist()) == ("multilabel", bits.tolist())
    assert several.classes == ("output 0", "output 1", "output 2")
    assert several.label_type == "text"
    assert ArraySource(_PIXELS, np.eye(3, dtype=int), task="multilabel").label_type == "text"
    assert ArraySource(_PIXELS, np.eye(3, dtype=int)).label_type == "int"
    named = ArraySource(_PIXELS, [["b", "a"], [], ["b"]])
    assert (named.task, named.classes, named.targets.tolist()) == (
        "multilabel",
        ("a", "b"),
        [[1, 1], [0, 0], [0, 1]],
    )
    assert ArraySource(_PIXELS, [3, 1, 2], task="regression").targets.tolist() == [[3], [1], [2]]


def test_fingerprint_is_independent_of_order_and_state_is_not() -> None:
    a, b = ArraySource(_PIXELS, ["x", "y", "z"]), ArraySource(_PIXELS[::-1], ["z", "y", "x"])
    assert fingerprint(a) == fingerprint(b)
    assert a.state() != b.state()
    assert fingerprint(a) != fingerprint(ArraySource(_PIXELS, ["x", "y", "y"]))


def test_digits_use_the_whole_range() -> None:
    source = open_digits("digits", ReadOptions())
    pixels = np.concatenate([np.asarray(source.load(i)) for i in range(50)])
    assert (len(source.files), len(source.classes)) == (1797, 10)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_whole_numbers_of_more_bits_share_one_range() -> None:
    deep = np.stack([np.full((4, 4), 900), np.full((4, 4), 1100), np.full((4, 4), 1300)]).astype(np.uint16)
    source = ArraySource(deep, _LABELS)
    assert list(source.pixel_range) == [900, 1300]
    assert [int(np.asarray(source.load(i)).mean()) for i in range(3)] == [0, 127, 255]
    alone = [np.asarray(next(to_images(image[None], source.pixel_range))) for image in deep]
    assert all(np.array_equal(image, np.asarray(source.load(i))) for i, image in enumerate(alone))
    assert ArraySource(_PIXELS.astype(np.int64) * 3, _LABELS).pixel_range == (0, 1023)
    with pytest.raises(DataError, match="do not fit the range 0 to 1"):
        next(to_images(_PIXELS.astype(np.float32), (0.0, 1.0)))


def test_tensors_of_types_that_numpy_lacks_are_read() -> None:
    pixels = torch.rand(4, 3, 8, 8)
    found = ArraySource(pixels.bfloat16(), torch.tensor([0, 1, 0, 1]).to_sparse(), task="auto")
    assert np.abs(np.asarray(found.load(0)) / 255 - pixels[0].permute(1, 2, 0).numpy()).max() < 0.01
    assert found.targets.tolist() == [0, 1, 0, 1]


def test_masked_images_are_refused() -> None:
    images = np.ma.masked_greater(np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8), 100)
    with pytest.raises(DataError, match="some are masked: fill them"):
        ArraySource(images, [0, 1, 0, 1], task="auto")
