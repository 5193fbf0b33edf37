"""From a file to pixels."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from automl.data.decoding.image_format import choose_target
from automl.data.pixels import (
    deep_values,
    is_deep,
    load_pixels,
    mode_of,
    open_header,
    open_image,
    open_picture,
    quiet_pillow,
    to_pixels,
)
from automl.data.quality.findings import mode_finding
from automl.data.sources import open_source
from automl.errors import DataError
from automl.records import Resize
from tests.data.conftest import MakeRows, encoded, random_image

Colour = int | tuple[int, ...]


def _half(mode: str, left: Colour, right: Colour, size: tuple[int, int] = (8, 8)) -> Image.Image:
    """An image whose left and right half have one colour each."""
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return image


def _values(image: Image.Image, channels: int = 3, form: str = "PNG") -> list[list[int]]:
    """The colours of the left and the right end after a way through a file."""
    pixels = to_pixels(open_header(encoded(image, form)), size=8, channels=channels)
    return [pixels[4, 0].tolist(), pixels[4, 7].tolist()]


def test_former_name_of_opening_an_image_still_works() -> None:
    assert open_picture is open_image


def test_modes_become_rgb() -> None:
    assert _values(_half("RGB", (1, 2, 3), (4, 5, 6))) == [[1, 2, 3], [4, 5, 6]]
    assert _values(_half("L", 7, 200)) == [[7] * 3, [200] * 3]
    assert _values(_half("1", 0, 1)) == [[0] * 3, [255] * 3]
    assert _values(_half("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), form="TIFF") == [[255] * 3, [0] * 3]
    assert _values(_half("RGB", (250, 0, 0), (0, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)) == [
        [250, 0, 0],
        [0, 0, 0],
    ]


def test_transparency_is_put_on_white() -> None:
    assert _values(_half("RGBA", (9, 9, 9, 0), (9, 9, 9, 255))) == [[255] * 3, [9] * 3]
    assert _values(_half("LA", (9, 0), (9, 255)), channels=1) == [[255], [9]]
    image = _half("P", 0, 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    pixels = to_pixels(open_header(buffer.getvalue()), size=8, channels=3)
    assert pixels[4, 0].tolist() == [255] * 3
    assert pixels[4, 7].tolist() == [40, 50, 60]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 65535]], dtype=np.uint16), [0, 255]),
        (np.array([[0, 128 * 257]], dtype=np.uint16), [0, 128]),
        (np.array([[0.0, 1.0]], dtype=np.float32), [0, 255]),
        (np.array([[0.0, 200.0]], dtype=np.float32), [0, 200]),
        (np.array([[-10.0, 10.0]], dtype=np.float32), [0, 255]),
        (np.array([[0, 255]], dtype=np.int32), [0, 255]),
        (np.array([[0, 65535]], dtype=np.int32), [0, 255]),
        (np.array([[5.0, np.nan]], dtype=np.float32), [5, 0]),
    ],
)
def test_deep_grey_is_scaled_to_eight_bits(values: np.ndarray, expected: list[int]) -> None:
    image = Image.fromarray(np.repeat(np.repeat(values, 4, axis=1), 8, axis=0))
    pixels = to_pixels(open_header(encoded(image, "TIFF")), size=8, channels=1)
    assert [int(pixels[4, 0, 0]), int(pixels[4, 7, 0])] == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    upright = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, "PNG", exif=exif)
    assert np.array_equal(to_pixels(open_header(buffer.getvalue()), size=8, channels=3), upright)


def test_long_side_is_cut_around_the_middle() -> None:
    wide = Image.new("RGB", (30, 10))
    wide.paste((255, 255, 255), (10, 0, 20, 10))
    assert to_pixels(wide, size=10, channels=3).min() == 255
    squeezed = to_pixels(wide, size=10, channels=3, resize="squeeze")[5, :, 0]
    assert squeezed[[0, 1, 8, 9]].max() == 0 and squeezed[5] == 255


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1), (7, 300)])
def test_odd_shapes_become_squares(size: tuple[int, int]) -> None:
    for resize in get_args(Resize):
        pixels = to_pixels(random_image(0, size=size), size=32, channels=3, resize=resize)
        assert pixels.shape == (32, 32, 3)


def test_jpeg_is_decoded_small_with_the_same_look() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 640, dtype=np.uint8), (640, 1)))
    small = to_pixels(open_header(encoded(ramp, "JPEG")), size=16, channels=1)[8, :, 0]
    exact = np.asarray(ramp.resize((16, 16), Image.Resampling.BICUBIC))[8]
    assert np.abs(small.astype(int) - exact).max() <= 4


def test_first_frame_of_an_animation_counts() -> None:
    buffer = io.BytesIO()
    frames = [Image.new("L", (8, 8), value) for value in (30, 200)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert to_pixels(open_header(buffer.getvalue()), size=8, channels=1).max() == 30


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, this is text", "^not an image$"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"\xff\xd8\xff\xe0", "truncated"),
        (b"\x00\x00\x00\x18ftypheic", "pillow-heif"),
    ],
)
def test_file_that_is_no_image_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        open_header(data)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_truncated_image_has_a_reason(form: str) -> None:
    data = encoded(random_image(0, size=(64, 64)), form)
    with pytest.raises(DataError, match="^truncated$"):
        to_pixels(open_header(data[: len(data) // 2]), size=8, channels=3)


def test_decompression_bomb_is_refused_by_its_header() -> None:
    """The limit is Pillow's of 89,478,485 pixels."""
    with quiet_pillow():
        assert open_header(_header(9459)).size == (9459, 9459)
        with pytest.raises(DataError, match="too many pixels to decode safely .9460x9460"):
            open_header(_header(9460))


def _header(side: int) -> bytes:
    """A PNG that says it is a square of this side."""
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = side.to_bytes(4, "big") * 2
    return _with_checksum(data)


def _with_checksum(png: bytearray) -> bytes:
    import zlib

    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return bytes(png)


def test_open_image_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match="^x.jpg: not an image$"):
        open_image(tmp_path / "x.jpg")
    with pytest.raises(DataError, match="^gone.jpg: cannot be read"):
        open_image(tmp_path / "gone.jpg")


def test_load_pixels_follows_the_info(make_rows: MakeRows) -> None:
    _, info = make_rows(size=16, channels=1)
    assert load_pixels(random_image(0), info).shape == (16, 16, 1)


def _tiff(bands: int, bits: int) -> bytes:
    """A TIFF of 16 x 16 pixels with bands side by side, which Pillow writes up to four of."""
    pixels = bytes(16 * 16 * bands * bits // 8)
    counts = {258: bands, 338: max(bands - 1, 1)}
    words = {
        256: 16,
        257: 16,
        258: 0,
        259: 1,
        262: 1,
        273: 0,
        277: bands,
        278: 16,
        279: len(pixels),
        284: 1,
        338: 0,
    }
    base = 8 + 2 + 12 * len(words) + 4
    tables = struct.pack(f"<{bands}H", *[bits] * bands), struct.pack(f"<{counts[338]}H", *[0] * counts[338])
    words |= {258: base, 338: base + len(tables[0]), 273: base + sum(map(len, tables))}
    kinds = dict.fromkeys(words, 3) | {256: 4, 257: 4, 273: 4, 278: 4, 279: 4}
    entries = b"".join(
        struct.pack("<HHII", tag, kinds[tag], counts.get(tag, 1), value) for tag, value in words.items()
    )
    start = b"II*\0" + struct.pack("<IH", 8, len(words))
    return start + entries + bytes(4) + b"".join(tables) + pixels


@pytest.mark.parametrize(("bands", "bits"), [(6, 8), (13, 16)])
def test_tiff_of_many_bands_says_what_it_is(bands: int, bits: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=rf"a TIFF with {bands} bands of {bits} bits, where 1 band"):
        open_header(_tiff(bands, bits))
    assert capfd.readouterr().err == ""


def _png(values: np.ndarray) -> bytes:
    """The PNG of uint16 (H, W, 3) or (H, W, 4): Pillow writes none with 16 bits a channel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _rgb_tiff(values: np.ndarray, order: str, *, deflate: bool = False) -> bytes:
    """A TIFF of uint16 (H, W, 3); `order` of its bytes is "<" or ">"."""
    pixels = values.astype(f"{order}u2").tobytes()
    pixels = zlib.compress(pixels) if deflate else pixels
    height, width, _ = values.shape
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, 0),
        (259, 3, 1, 8 if deflate else 1),
        (262, 3, 1, 2),
    ]
    entries += [(273, 4, 1, 0), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(pixels))]
    bits = 8 + 2 + 12 * len(entries) + 4
    found = b""
    for tag, kind, count, value in entries:
        value = {258: bits, 273: bits + 6}.get(tag, value)
        packed = (
            struct.pack(f"{order}I", value) if kind == 4 or count > 1 else struct.pack(f"{order}HH", value, 0)
        )
        found += struct.pack(f"{order}HHI", tag, kind, count) + packed
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return start + found + bytes(4) + struct.pack(f"{order}3H", 16, 16, 16) + pixels


def _deep_values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (32, 32, 3)).astype(np.uint16)


@pytest.mark.parametrize("form", ["png", "<", ">", "<z", ">z"])
def test_colours_of_sixteen_bits_keep_all_of_them(form: str) -> None:
    values = _deep_values()
    data = _png(values) if form == "png" else _rgb_tiff(values, form[0], deflate=form.endswith("z"))
    image = open_header(data)
    assert (image.mode, mode_of(image), is_deep(image)) == ("RGB", "RGB;16", True)
    assert np.array_equal(deep_values(image), values)
    pixels = to_pixels(open_header(data), size=32, channels=3, pixel_range=(0.0, 4095.0))
    assert np.abs(pixels.astype(float) - values * (255 / 4095)).max() <= 0.5


def test_transparent_colours_of_sixteen_bits_are_on_white() -> None:
    values = np.zeros((8, 8, 4), dtype=np.uint16)
    values[:, :4] = (4095, 0, 2048, 65535)
    pixels = to_pixels(open_header(_png(values)), size=8, channels=3, pixel_range=(0.0, 4095.0))
    assert pixels[4, 0].tolist() == [255, 0, 128]
    assert pixels[4, 7].tolist() == [255, 255, 255]


def test_damaged_colours_of_sixteen_bits_are_a_data_error() -> None:
    data = _png(np.random.default_rng(0).integers(0, 65536, (64, 64, 3)).astype(np.uint16))
    with pytest.raises(DataError, match="truncated|corrupt"):
        to_pixels(open_header(data[:3000]), size=32, channels=3, pixel_range=(0.0, 65535.0))


def test_colours_of_sixteen_bits_have_one_range_that_the_model_keeps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k, name in enumerate("ab"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for i in range(6):
            values = rng.integers(3000 * k, 3000 * k + 900, (16, 16, 3)).astype(np.uint16)
            (tmp_path / "x" / name / f"{i}.png").write_bytes(_png(values))
    source = open_source(tmp_path / "x")
    target = choose_target(source, img_size="auto", max_size=64)
    assert (target.in_chans, target.pixel_range) == (3, (0.0, 4095.0))
    source.close()


def test_colours_of_sixteen_bits_are_told() -> None:
    found = mode_finding({"RGB;16": 3, "CMYK;16": 1}, (0.0, 4095.0))
    assert found is not None
    assert "RGB;16 (3) scaled to 256 levels from 0..4095, for all images alike" in found.message
    assert "CMYK;16 (1) by the upper 8 of their 16 bits" in found.message
    assert mode_of(random_image(0)) == "RGB"


def test_large_images_are_converted_a_few_rows_at_a_time_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    rgba = Image.fromarray(rng.integers(0, 256, (40, 30, 4)).astype(np.uint8))
    deep = Image.fromarray(rng.integers(0, 60_000, (40, 30)).astype(np.uint16))
    images = [
        (rgba, "PNG", 3),
        (rgba.convert("LA"), "PNG", 1),
        (deep, "PNG", 1),
        (deep.convert("F"), "TIFF", 1),
    ]

    def read() -> list[np.ndarray]:
        return [
            to_pixels(open_header(encoded(image, form)), size=24, channels=n, pixel_range=(0.0, 65535.0))
            for image, form, n in images
        ]

    whole = read()
    monkeypatch.setattr("automl.data.pixels._FEW", 70)
    assert all(np.array_equal(one, other) for one, other in zip(whole, read(), strict=True))


@pytest.mark.parametrize("size", [(0, 0), (0, 9), (9, 0)])
def test_image_in_memory_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="no pixels"):
        to_pixels(Image.new("RGB", size), size=8, channels=3)
