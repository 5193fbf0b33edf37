"""TIFFs of which Pillow reads a part, or the wrong bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from automl.data.decoding.image_format import choose_target
from automl.data.pixels import open_header, to_pixels
from automl.data.sources import open_source
from automl.errors import DataError

_RNG = np.random.default_rng(0)


def _tiff(values: np.ndarray, *, rgb: bool, apart: bool = False) -> bytes:
    """The plain TIFF of (H, W, bands), with the bands of each pixel beside each other, or apart in planes."""
    height, width, bands = values.shape
    data = (np.moveaxis(values, 2, 0) if apart else values).tobytes()
    planes = bands if apart else 1
    bits, more = values.dtype.itemsize * 8, bands - (3 if rgb else 1)
    words: list[tuple[int, str, list[int]]] = [
        (256, "H", [width]),
        (257, "H", [height]),
        (258, "H", [bits] * bands),
        (259, "H", [1]),
        (262, "H", [2 if rgb else 1]),
        (273, "I", [0] * planes),
        (277, "H", [bands]),
        (278, "H", [height]),
        (279, "I", [len(data) // planes] * planes),
        (284, "H", [2 if apart else 1]),
        *([(338, "H", [0] * more)] if more > 0 else []),
    ]
    place = start = 8 + 2 + 12 * len(words) + 4
    start += sum(size for _, kind, of in words if (size := struct.calcsize(f"{len(of)}{kind}")) > 4)
    entries, tables = b"", b""
    for tag, kind, of in words:
        found = [start + k * (len(data) // planes) for k in range(planes)] if tag == 273 else of
        raw = struct.pack(f"<{len(found)}{kind}", *found)
        long = len(raw) > 4
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(found))
        entries += struct.pack("<I", place + len(tables)) if long else raw.ljust(4, b"\0")
        tables += raw if long else b""
    return b"II*\0" + struct.pack("<IH", 8, len(words)) + entries + bytes(4) + tables + data


@pytest.mark.parametrize("bands", [3, 4])
def test_deep_bands_that_lie_apart_are_refused_and_not_read_as_noise(bands: int) -> None:
    values = _RNG.integers(0, 60_000, (16, 16, bands)).astype(np.uint16)
    with pytest.raises(
        DataError, match=f"TIFF with {bands} bands of 16 bits, one after the other, where .* pixel by pixel"
    ):
        open_header(_tiff(values, rgb=True, apart=True))


@pytest.mark.parametrize("apart", [False, True])
def test_colours_of_8_bits_are_read_either_way(apart: bool) -> None:
    values = _RNG.integers(0, 255, (16, 16, 3)).astype(np.uint8)
    assert np.array_equal(
        to_pixels(open_header(_tiff(values, rgb=True, apart=apart)), size=16, channels=3), values
    )


def test_grey_that_is_called_apart_is_no_band_of_several() -> None:
    values = _RNG.random((16, 16, 1)).astype(np.float32)
    assert open_header(_tiff(values, rgb=False, apart=True)).size == (16, 16)


@pytest.mark.parametrize(("bands", "rgb"), [(2, False), (4, True), (5, True)])
def test_bands_that_are_not_read_are_told(tmp_path: Path, bands: int, rgb: bool) -> None:
    for k, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        values = _RNG.integers(0, 255, (16, 16, bands if k else 3)).astype(np.uint8)
        (tmp_path / name / "1.tif").write_bytes(_tiff(values, rgb=rgb or not k))
    [note] = choose_target(open_source(tmp_path), img_size=16, max_size=64).notes
    assert note.startswith(
        "Bands after grey or red, green and blue are not used; 1 of 2 files looked at have some"
    )
    assert "b/1.tif" in note
