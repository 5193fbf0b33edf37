"""Decode plain JPEGs without `PIL.Image.open`.

That function tries each reader, reads all metadata and copies the pixels once more: for small images this costs more
than decoding them. JPEGs with EXIF, Adobe's marker, CMYK or damage are left to it, so both ways give the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

_START = b"\xff\xd8\xff"
# JFIF, tables of quantization and of codes, restart interval, comment: these do not change how to read the pixels.
_PLAIN = frozenset((0xE0, 0xDB, 0xC4, 0xDD, 0xFE))
_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_MODES = {1: "L", 3: "RGB"}
_MOST_PIXELS = 2**25


@dataclass(frozen=True, slots=True)
class Header:
    """Pillow's mode and the size in pixels of a plain JPEG."""

    mode: str
    width: int
    height: int


def read_header(data: bytes) -> Header | None:
    """Return the header of a plain JPEG of ordinary size; None for everything else."""
    if data[:3] != _START:
        return None
    at = 2
    try:
        while (marker := data[at + 1]) not in _FRAMES:
            if data[at] != 0xFF or marker not in _PLAIN:
                return None
            at += 2 + (data[at + 2] << 8 | data[at + 3])
        bits, components = data[at + 4], data[at + 9]
        height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
    except IndexError:
        return None
    usual = data[at] == 0xFF and bits == 8 and components in _MODES
    if not usual or not 0 < width * height <= _MOST_PIXELS:
        return None
    return Header(_MODES[components], width, height)


def decode(data: bytes, header: Header, size: int) -> Image.Image | None:
    """Return the image, scaled to 1/2, 1/4 or 1/8 if no side falls below `size`; None if it is damaged."""
    scale = min(header.width // size, header.height // size)
    scale = next((step for step in (8, 4, 2) if scale >= step), 1)
    shape = (-(-header.width // scale), -(-header.height // scale))
    try:
        return Image.frombytes(header.mode, shape, data, "jpeg", header.mode, "", scale, 0)
    except (ValueError, OSError, MemoryError):
        return None
