"""Turn an image into pixels, in the same way for the cache and for predictions.

An image is opened, rotated by its EXIF orientation, put on white where it is transparent, converted to RGB or grey, cut
to its central square ("crop") or taken as a whole ("squeeze"), and resized to a square. Only the first frame of an
animation or a document counts.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from automl.data.decoding.deep_colour import deep_colours, is_deep_colour
from automl.data.decoding.pixel_range import PixelRange, range_of, require_fitting, sampled, scaled
from automl.data.decoding.tiff_tags import is_misread, measured
from automl.errors import DataError

if TYPE_CHECKING:  # a process that decodes must start quickly
    from automl.records import DatasetInfo, Resize

Pixels = npt.NDArray[np.uint8]

# Pillow logs why it cannot read a TIFF, which Python prints if nobody listens; the reason is in our error.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Images with more pixels are refused by their header, where Pillow warns of decompression bombs: decoding them would
# take hundreds of megabytes in every thread. A JPEG can be decoded at a fraction of its size, so this limit holds for
# its reduced size; before, Pillow's own limit holds, which is twice as high.
MAX_PIXELS = 89_478_485

# No other format is tried: some of Pillow's readers start other programs (EPS), others are rarely tested on bad bytes.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "MPO"),
    *("AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "TGA"),
)

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})

_FEW = 2**22  # pixels that are converted at once
_ORIENTATION = 0x0112
_BANDS, _BITS, _PLANES = 277, 258, 284  # tags of a TIFF
_APART = 2
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = (5, 6, 7, 8)  # whose width and height change places


def load_pixels(image: Image.Image, info: DatasetInfo) -> Pixels:
    """Return the pixels of `image` as models for the data set `info` expect them: uint8 (img_size, img_size, in_chans).

    Pixels with more than 8 bits are scaled from the range of the data set, or, if its images had 8 bits, from the usual
    one. Raises DataError with the reason if the image cannot be decoded, or its pixels are in other units.
    """
    with quiet_pillow():
        usual: PixelRange = (0.0, 1.0) if image.mode == "F" else (0.0, 65535.0)
        return to_pixels(
            image,
            size=info.img_size,
            channels=info.in_chans,
            resize=info.resize,
            pixel_range=info.pixel_range or usual,
        )


def open_image(source: bytes | Path, *, name: str = "") -> Image.Image:
    """Open an image without decoding it. Raises DataError ("NAME: reason") if it is no image, empty or too large."""
    label = name or (source.name if isinstance(source, Path) else "image")
    with quiet_pillow():
        try:
            return open_header(source.read_bytes() if isinstance(source, Path) else source)
        except OSError as error:
            raise DataError(f"{label}: cannot be read ({error.strerror or error})") from error
        except DataError as error:
            raise DataError(f"{label}: {error}") from error


open_picture = open_image  # its former name, which scripts import

_LOCK = threading.Lock()
_FILTERS: list[ExitStack] = []
_USERS = [0]


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppress Pillow's warnings while any thread is inside.

    Filters belong to the whole process, and threads that each saved and restored them would undo one another. So the
    first thread to enter sets the filter and the last one to leave restores the others.
    """
    with _LOCK:
        if _USERS[0] == 0:
            stack = ExitStack()
            stack.enter_context(catch_warnings())
            filterwarnings("ignore", module=r"(PIL|automl\.data)\.")
            _FILTERS.append(stack)
        _USERS[0] += 1
    try:
        yield
    finally:
        with _LOCK:
            _USERS[0] -= 1
            if _USERS[0] == 0:
                _FILTERS.pop().close()


def open_header(data: bytes) -> Image.Image:
    """Read only the header: size and mode of the image. Raises DataError with a short reason."""
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
    if is_misread(image):
        raise DataError(_unreadable_tiff(data))
    return image


def is_grey(image: Image.Image) -> bool:
    """Return whether the mode of the image has no colour, so that one channel is enough."""
    return image.mode in _GREY_MODES


def is_deep_mode(mode: str) -> bool:
    """Return whether pixels of this mode of Pillow have more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def is_deep(image: Image.Image) -> bool:
    """Return whether the pixels of an image that is not decoded yet have more than 8 bits, all of which are read."""
    return is_deep_mode(image.mode) or is_deep_colour(image)


def deep_values(image: Image.Image) -> npt.NDArray[Any]:
    """Decode an image that `is_deep` and return its values, (H, W) or (H, W, 3), NaN where nothing was measured."""
    return measured(image, deep_colours(image) if is_deep_colour(image) else np.asarray(image))


def mode_of(image: Image.Image) -> str:
    """Return the mode of an image that is not decoded yet; "RGB;16" and the like if it has 16 bits a channel."""
    if is_deep_mode(image.mode):
        return image.mode
    if is_deep_colour(image):
        return f"{image.mode};16"
    raw = [str(part) for tile in getattr(image, "tile", ()) for part in _flat(tile[3])]
    return next((f"{part.partition(';')[0]};16" for part in raw if ";16" in part), image.mode)


def _flat(args: Any) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


def to_pixels(
    image: Image.Image, *, size: int, channels: int, resize: Resize = "crop", pixel_range: PixelRange = ()
) -> Pixels:
    """Decode `image` into uint8 (size, size, channels), channels 1 or 3.

    `pixel_range` is black and white of images with more than 8 bits; without it, their own range is used, which fits a
    single image to look at. Raises DataError with a short reason.
    """
    try:
        # A JPEG is scaled to 1/2, 1/4 or 1/8 while it is decoded, but not below the wanted size. Its own transform does
        # that without aliasing; decoding and resizing all pixels would take three times as long.
        if not image.width or not image.height:
            raise DataError(f"no pixels ({image.width}x{image.height})")
        image.draft(None, (size, size))
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"too many pixels to decode safely ({image.width}x{image.height})")
        plain = _plain(image, "L" if channels == 1 else "RGB", pixel_range)
        transpose = _TRANSPOSES.get(_orientation(image))
        return fit(plain if transpose is None else plain.transpose(transpose), size, channels, resize)
    except DataError:
        raise
    except Exception as error:  # readers raise nearly anything on bad bytes
        raise DataError(_reason(error)) from error


def fit(plain: Image.Image, size: int, channels: int, resize: Resize = "crop") -> Pixels:
    """Return a decoded image ("L" or "RGB") as uint8 (size, size, channels): its central square, or the whole image."""
    if plain.size != (size, size):
        side = min(plain.size)
        width, height = (side, side) if resize == "crop" else plain.size
        left, top = (plain.width - width) / 2, (plain.height - height) / 2
        box = (left, top, left + width, top + height)
        # Hamming is as sharp as bicubic for a smaller result, at half the cost.
        resample = Image.Resampling.HAMMING if side > size else Image.Resampling.BICUBIC
        plain = plain.resize((size, size), resample, box=box, reducing_gap=2.0)
    mode = "L" if channels == 1 else "RGB"
    plain = plain if plain.mode == mode else plain.convert(mode)
    return np.frombuffer(plain.tobytes(), dtype=np.uint8).reshape(size, size, channels)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an image that is not decoded yet, as its EXIF orientation turns it."""
    width, height = image.size
    return (height, width) if _orientation(image) in _TURNED else (width, height)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) if the data are missing or damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data do not make the image unusable
        return 1
    return value if isinstance(value, int) else 1


def _plain(image: Image.Image, mode: str, pixel_range: PixelRange) -> Image.Image:
    """Return the decoded image in `mode` ("L" or "RGB"), on white where it is transparent."""
    if is_deep_colour(image):
        found = _scaled(deep_values(image), pixel_range)
        if image.mode == "RGBA":
            found.putalpha(image.getchannel("A"))
        image = found
    image.load()
    if is_deep_mode(image.mode):
        image = _scaled(measured(image, np.asarray(image)), pixel_range)
    elif _is_transparent(image):
        image = _on_white(image)
    elif image.mode in ("LAB", "HSV", "YCbCr", "CMYK", "RGBX", "P"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _scaled(values: npt.NDArray[Any], pixel_range: PixelRange) -> Image.Image:
    """Return values with more than 8 bits as an image, a few rows at a time: numbers take eight times the memory."""
    pixel_range = pixel_range or range_of([sampled(values)]) or (0.0, 1.0)
    require_fitting(values, pixel_range)
    found = np.empty(values.shape, dtype=np.uint8)
    step = max(1, _FEW * len(values) // max(1, values.size))
    for start in range(0, len(values), step):
        found[start : start + step] = scaled(values[start : start + step], pixel_range)
    return Image.fromarray(found)


def _on_white(image: Image.Image) -> Image.Image:
    """Return a transparent image on white, a few rows at a time."""
    found = Image.new("RGB", image.size)
    step = max(1, _FEW // image.width)
    for top in range(0, image.height, step):
        box = (0, top, image.width, min(top + step, image.height))
        rgba = image.crop(box).convert("RGBA")
        part = Image.new("RGBA", rgba.size, "white")
        part.alpha_composite(rgba)
        found.paste(part.convert("RGB"), box)
    return found


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _unidentified(data: bytes) -> str:
    """Return a reason that says what the file is instead of an image."""
    start = data[:256].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "not an image (a Git LFS pointer: fetch the real file)"
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image (a web page)"
    if data[:3] == b"\xff\xd8\xff" or data[:4] == b"\x89PNG":
        return "truncated"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _unreadable_tiff(data)
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "HEIC, which needs the package pillow-heif"
    return "not an image"


def _unreadable_tiff(data: bytes) -> str:
    """Return the bands and bits of a TIFF that Pillow does not read."""
    from PIL import TiffImagePlugin

    file = io.BytesIO(data)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bands, bits = int(tags.get(_BANDS, 1)), int(np.max(tags.get(_BITS, 1)))
        apart = ", one after the other" if tags.get(_PLANES, 1) == _APART else ""
    except Exception:  # damaged tags
        return "a TIFF that is damaged or of an unknown kind"
    return (
        f"a TIFF with {bands} band{'s' if bands != 1 else ''} of {bits} bits{apart}, where 1 band, or 3 or 4 bands of "
        "8 or 16 bits, pixel by pixel, can be read: choose bands, and save them as grey or RGB images"
    )


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "unknown raw mode" in text:
        return "stored in a way that is not read: save it again, as PNG or as a plain TIFF"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return "too many pixels to decode safely"
    return f"corrupt ({text[:80]})"
