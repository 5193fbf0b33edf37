"""The one way a picture becomes pixels, for the cache and for predictions alike.

A picture is opened, turned as its EXIF data say, put on white where it is transparent, brought to RGB or
grey, cut to its central square and resized. Of an animation or a document the first frame counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from automl.errors import DataError
from automl.records import DatasetInfo

Pixels = npt.NDArray[np.uint8]

# Above this many pixels a picture is refused by its header (the point where Pillow begins to warn of
# decompression bombs): decoding it would take hundreds of megabytes in every thread. JPEG can be decoded
# smaller, so for it the limit holds after that reduction (and Pillow's own, twice as high, before).
MAX_PIXELS = 89_478_485

# No other format is tried: some of Pillow's readers start foreign programs (EPS), others are rarely tested on
# bad bytes.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "MPO"),
    *("AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "TGA"),
)

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_pixels(image: Image.Image, info: DatasetInfo) -> Pixels:
    """The pixels of `image` as the models for the data set `info` expect them: uint8 (img_size, img_size,
    in_chans).

    Raises DataError with the reason if the picture cannot be decoded.
    """
    with quiet_pillow():
        return to_pixels(image, size=info.img_size, channels=info.in_chans)


def open_picture(source: bytes | Path, *, name: str = "") -> Image.Image:
    """Open a picture without decoding it. Raises DataError ("NAME: reason") if it is none, is empty or is too
    large.
    """
    label = name or (source.name if isinstance(source, Path) else "picture")
    with quiet_pillow():
        try:
            return open_header(source.read_bytes() if isinstance(source, Path) else source)
        except OSError as error:
            raise DataError(f"{label}: cannot be read ({error.strerror or error})") from error
        except DataError as error:
            raise DataError(f"{label}: {error}") from error


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warning of Pillow comes through. Filters belong to the whole process: enter it once, around all
    threads.
    """
    with catch_warnings():
        simplefilter("ignore")
        yield


def open_header(data: bytes) -> Image.Image:
    """Read the header alone: size and mode of the picture. Raises DataError with a short reason."""
    if not data:
        raise DataError("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        raise DataError(_unidentified(data)) from error
    except Image.DecompressionBombError as error:
        raise DataError("too many pixels to decode safely") from error
    except Exception as error:  # readers raise nearly anything on bad bytes
        raise DataError(_reason(error)) from error
    width, height = image.size
    if width < 1 or height < 1:
        raise DataError(f"no pixels ({width}x{height})")
    if width * height > MAX_PIXELS and image.format != "JPEG":
        raise DataError(f"too many pixels to decode safely ({width}x{height})")
    return image


def is_grey(image: Image.Image) -> bool:
    """Whether the mode of the picture has no colour, so that one channel holds all of it."""
    return image.mode in _GREY_MODES


def to_pixels(image: Image.Image, *, size: int, channels: int) -> Pixels:
    """Decode `image` into uint8 (size, size, channels), channels 1 or 3. Raises DataError with a short
    reason.

    The short side becomes `size` and the middle of the long side is kept, which is the same as resizing the
    central square, and cheap for a picture of 1 x 4000.
    """
    try:
        # A JPEG is scaled down to 1/2, 1/4 or 1/8 while it is decoded, but not below the wanted size: its own
        # transform does that without aliases, and decoding and resizing all pixels takes three times as long.
        image.draft(None, (size, size))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"too many pixels to decode safely ({image.width}x{image.height})")
        plain = _turned(_plain(image, "L" if channels == 1 else "RGB"), _orientation(image))
        return fit(plain, size, channels)
    except DataError:
        raise
    except Exception as error:  # readers raise nearly anything on bad bytes
        raise DataError(_reason(error)) from error


def fit(plain: Image.Image, size: int, channels: int) -> Pixels:
    """The central square of a decoded picture ("L" or "RGB"), as uint8 (size, size, channels)."""
    if plain.size != (size, size):
        side = min(plain.size)
        left, top = (plain.width - side) / 2, (plain.height - side) / 2
        box = (left, top, left + side, top + side)
        # Hamming is as sharp as bicubic where a picture becomes smaller, at half the cost.
        way = Image.Resampling.HAMMING if side > size else Image.Resampling.BICUBIC
        plain = plain.resize((size, size), way, box=box, reducing_gap=2.0)
    mode = "L" if channels == 1 else "RGB"
    plain = plain if plain.mode == mode else plain.convert(mode)
    return np.frombuffer(plain.tobytes(), dtype=np.uint8).reshape(size, size, channels)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where the data are missing or damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data do not make the picture unusable
        return 1
    return value if isinstance(value, int) else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The picture, decoded, in `mode` ("L" or "RGB"), on white where it is transparent."""
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif _is_transparent(image):
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
    elif image.mode in ("LAB", "HSV", "YCbCr", "CMYK", "RGBX", "P"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _eight_bits(values: npt.NDArray[Any]) -> Pixels:
    """Bring 16-bit, 32-bit and float grey values to 0..255 by the smallest of the usual ranges that holds
    them.

    Usual are 0..1 (float), 0..255 and 0..65535; what lies outside all of them is stretched between its
    extremes.
    """
    grey = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    if low < 0 or high > 65535:
        grey = (grey - low) * (255.0 / max(high - low, 1e-12))
    elif values.dtype.kind == "f" and high <= 1:
        grey = grey * 255.0
    elif values.dtype.itemsize == 2 or high > 255:
        grey = grey / 257.0
    return np.round(grey).astype(np.uint8)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _unidentified(data: bytes) -> str:
    """A reason that helps to find out what the file is instead of a picture."""
    start = data[:256].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "not an image (a Git LFS pointer: fetch the real file)"
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image (a web page)"
    if data[:3] == b"\xff\xd8\xff" or data[:4] == b"\x89PNG":
        return "truncated"
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "HEIC, which needs the package pillow-heif"
    return "not an image"


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return "too many pixels to decode safely"
    return f"corrupt ({text[:80]})"
