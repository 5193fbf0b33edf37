"""Near duplicates: copies that are not equal byte by byte."""

from __future__ import annotations

import io
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from automl.data.decoding import near_duplicates as module
from automl.data.decoding.near_duplicates import clusters, near_duplicates, thumbnails


def _scene(seed: int, size: int = 64) -> npt.NDArray[np.uint8]:
    """An image with large shapes, as photographs have."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def _saved_again(pixels: npt.NDArray[np.uint8], quality: int = 60) -> npt.NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _thumbs(*images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.concatenate([thumbnails(image[None]) for image in images])


@pytest.mark.parametrize("size", [8, 16, 32, 50, 64, 96, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnail_holds_the_brightness_of_its_cells(size: int, channels: int) -> None:
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    images = np.broadcast_to(ramp[None, None, :, None], (2, size, size, channels))
    found = thumbnails(np.ascontiguousarray(images))
    assert found.shape == (2, 16, 16)
    expected = np.interp((np.arange(16) + 0.5) / 16, (np.arange(size) + 0.5) / size, ramp)
    assert np.abs(found[0, 3].astype(float) - expected).max() < 256 / min(size, 16)


def test_image_that_was_saved_and_scaled_again_is_found() -> None:
    scene = _scene(1)
    half = np.asarray(Image.fromarray(scene).resize((32, 32)))
    thumbs = _thumbs(scene, _scene(2), _saved_again(scene), _scene(3), half)
    pairs, informative = near_duplicates(thumbs, np.arange(5))
    assert informative
    assert pairs.tolist() == [[0, 2], [0, 4], [2, 4]]


def test_rows_that_were_not_named_are_not_compared() -> None:
    scene = _scene(1)
    thumbs = _thumbs(scene, scene, _saved_again(scene), scene)
    assert near_duplicates(thumbs, np.array([0, 2]))[0].tolist() == [[0, 2]]


def test_image_that_is_a_little_brighter_all_over_is_found() -> None:
    """A constant difference, which averaging does not make smaller."""
    base = np.random.default_rng(0).integers(40, 200, (30, 16, 16), dtype=np.uint8)
    assert near_duplicates(np.concatenate([base, base[:1] + 3]), np.arange(31))[0].tolist() == [[0, 30]]
    assert near_duplicates(np.concatenate([base, base[:1] + 4]), np.arange(31))[0].tolist() == []
    nearly_four = np.full((1, 16, 16), 4, dtype=np.uint8)
    nearly_four[:, ::8] = 3
    assert near_duplicates(np.concatenate([base, base[:1] + nearly_four]), np.arange(31))[0].tolist() == [
        [0, 30]
    ]


@pytest.mark.parametrize(("n", "informative"), [(21, True), (22, False)])
def test_more_than_ten_pairs_an_image_say_nothing(n: int, informative: bool) -> None:
    same = np.full((n, 16, 16), 250, dtype=np.uint8)
    pairs, found = near_duplicates(same, np.arange(n))
    assert (len(pairs), found) == (n * (n - 1) // 2 if informative else 0, informative)


def test_blank_images_say_nothing() -> None:
    thumbs = np.full((400, 16, 16), 250, dtype=np.uint8)
    pairs, informative = near_duplicates(thumbs, np.arange(400))
    assert (len(pairs), informative) == (0, False)


@pytest.mark.parametrize("few", [0, 100], ids=["tree", "all"])
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60))
def test_pairs_are_those_of_comparing_all(few: int, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (4, 16, 16))
    thumbs = np.clip(base[rng.integers(0, 4, n)] + rng.normal(0, 4, (n, 16, 16)), 0, 255).astype(np.uint8)
    far = ((thumbs[:, None].astype(float) - thumbs[None]) ** 2).mean(axis=(2, 3)) ** 0.5
    # Less than 4 of 255 levels of gray apart; more than 10 pairs an image mean that likeness says nothing.
    expected = [[i, j] for i in range(n) for j in range(i + 1, n) if far[i, j] < 4.0]
    with mock.patch.object(module, "COMPARE_ALL_UP_TO", few):
        pairs, informative = near_duplicates(thumbs, np.arange(n))
    assert pairs.tolist() == (expected if informative else [])
    assert informative == (len(expected) <= 10 * n)


def test_clusters_join_over_names_and_pairs() -> None:
    assert clusters(6, [["a", "", "a", "", "b", "b"], np.array([[2, 3], [4, 1]])]).tolist() == [
        0,
        1,
        0,
        0,
        1,
        1,
    ]
