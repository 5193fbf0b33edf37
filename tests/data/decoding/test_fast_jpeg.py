"""The fast reader of plain JPEGs gives what Pillow gives."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automl.data.decoding import fast_jpeg as jpeg
from automl.data.decoding.convert import Conversion, Findings
from automl.data.pixels import fit, open_header, to_pixels


def _jpeg(size: tuple[int, int] = (70, 50), mode: str = "RGB", **options: Any) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _twice(data: bytes, size: int, channels: int) -> list[np.ndarray]:
    """Return the pixels of the fast reader and of Pillow."""
    header = jpeg.read_header(data)
    assert header is not None
    plain = jpeg.decode(data, header, size)
    assert plain is not None
    image = open_header(data)
    assert (header.mode, header.width, header.height) == (image.mode, *image.size)
    squeezed = fit(plain, size, channels, "squeeze")
    assert np.array_equal(
        squeezed, to_pixels(open_header(data), size=size, channels=channels, resize="squeeze")
    )
    return [fit(plain, size, channels), to_pixels(image, size=size, channels=channels)]


@pytest.mark.parametrize("size", [8, 16, 50, 64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"quality": 95, "subsampling": 0},
        {"restart_marker_rows": 1},
        {"comment": b"hello"},
        {"optimize": True},
    ],
)
def test_pixels_equal_those_of_pillow(options: dict[str, Any], size: int) -> None:
    short, long = _twice(_jpeg(**options), size, 3)
    assert np.array_equal(short, long)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_image_equals_that_of_pillow(channels: int) -> None:
    short, long = _twice(_jpeg(mode="L"), 16, channels)
    assert np.array_equal(short, long)


def test_unusual_jpeg_is_left_to_pillow() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert jpeg.read_header(_jpeg(exif=turned.tobytes())) is None
    assert jpeg.read_header(_jpeg(mode="CMYK")) is None
    assert jpeg.read_header(_jpeg(icc_profile=b"profile")) is None
    assert jpeg.read_header(b"\x89PNG") is None
    assert jpeg.read_header(b"") is None


@pytest.mark.parametrize("end", range(0, 700, 7))
def test_cut_jpeg_is_left_to_pillow(end: int) -> None:
    data = _jpeg()[:end]
    header = jpeg.read_header(data)
    assert header is None or jpeg.decode(data, header, 16) is None


def test_exif_turns_a_jpeg_among_plain_ones() -> None:
    turned = Image.Exif()
    turned[0x0112] = 3
    files = [_jpeg(size=(40, 40)), _jpeg(size=(40, 40), exif=turned.tobytes())]
    images = np.zeros((2, 40, 40, 3), dtype=np.uint8)
    told = Conversion(files.__getitem__, 40, 3, images, Findings.new(2)).convert(range(2))
    assert told.reasons == {}
    assert np.array_equal(images[0], images[1][::-1, ::-1])
