"""Convert some rows of a source from bytes to pixels, and record what is found out on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.decoding import fast_jpeg
from automl.data.decoding.near_duplicates import SIDE, thumbnails
from automl.data.decoding.pixel_range import PixelRange
from automl.data.pixels import fit, is_grey, mode_of, open_header, to_pixels
from automl.errors import DataError

if TYPE_CHECKING:  # a process that decodes must start quickly
    from automl.records import Resize

Pixels = npt.NDArray[np.uint8]
DIGEST = 32
# Type and shape of a row of each array of `Findings`.
_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "digests": (np.uint8, (DIGEST,)),
    "sizes": (np.int32, (2,)),
    "thumbs": (np.uint8, (SIDE, SIDE)),
}


class ColourFound(Exception):
    """An image has colour although one channel was planned."""


@dataclass(frozen=True)
class Findings:
    """A row in each array for every row of a source, in memory or in mapped files that processes share.

    `digests` (n, 32) are SHA-256, zeros if the bytes could not be read; `sizes` (n, 2) the original width and height;
    `thumbs` (n, 16, 16) as `near_duplicates.thumbnails` makes them.
    """

    digests: npt.NDArray[np.uint8] = field(repr=False)
    sizes: npt.NDArray[np.int32] = field(repr=False)
    thumbs: npt.NDArray[np.uint8] = field(repr=False)

    @staticmethod
    def new(n: int, folder: Path | None = None) -> Findings:
        """Return findings for `n` rows, in memory, or mapped to new files in `folder`."""
        arrays: dict[str, Any] = {}
        for name, (dtype, row) in _ARRAYS.items():
            shape = (n, *row)
            arrays[name] = (
                np.zeros(shape, dtype)
                if folder is None
                else np.lib.format.open_memmap(
                    folder / f"{name}.npy", mode="w+", dtype=np.dtype(dtype), shape=shape
                )
            )
        return Findings(**arrays)

    @staticmethod
    def open(folder: str) -> Findings:
        """Map the files that `new` has made in `folder`."""
        return Findings(**{name: np.load(f"{folder}/{name}.npy", mmap_mode="r+") for name in _ARRAYS})


@dataclass(frozen=True)
class Converted:
    """The result for some rows: why some of them cannot be used, and Pillow's mode of each."""

    reasons: dict[int, str]
    modes: list[str]


@dataclass(frozen=True)
class Conversion:
    """How to read rows, and the array for their pixels: `images`, uint8 (n, size, size, channels), or None.

    `decode` opens the image in the bytes of a row, unless these are a file that Pillow reads.
    """

    read: Callable[[int], bytes]
    size: int
    channels: int
    images: Pixels | None
    findings: Findings
    decode: Callable[[bytes], Image.Image] | None = None
    resize: Resize = "crop"
    pixel_range: PixelRange = ()

    def convert(self, rows: Sequence[int]) -> Converted:
        """Fill the rows of images and findings; those of unusable images stay zero.

        Raises ColourFound with the row of an image that has colour although one channel was planned.
        """
        reasons: dict[int, str] = {}
        modes, sizes, digests = [], [], []
        block = np.zeros((len(rows), self.size, self.size, self.channels), dtype=np.uint8)
        for place, row in enumerate(rows):
            digest, mode, size = bytes(DIGEST), "", (0, 0)
            try:
                data = self.read(row)
                digest = hashlib.sha256(data).digest()
                block[place], mode, size = self._decoded(data)
            except DataError as error:
                reasons[row] = str(error)
            except ColourFound:
                raise ColourFound(row) from None
            digests.append(digest)
            modes.append(mode)
            sizes.append(size)
        part = slice(rows.start, rows.stop) if isinstance(rows, range) else np.asarray(rows)
        self.findings.digests[part] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST)
        self.findings.sizes[part] = sizes
        self.findings.thumbs[part] = thumbnails(block)  # now, while the pixels are in the CPU's cache
        if self.images is not None:
            self.images[part] = block
        return Converted(reasons, modes)

    def _decoded(self, data: bytes) -> tuple[Pixels, str, tuple[int, int]]:
        """Return pixels, original mode and original size of an image. Raises DataError with a short reason."""
        header = fast_jpeg.read_header(data) if self.decode is None else None
        if header is not None:
            plain = fast_jpeg.decode(data, header, self.size)
            if plain is not None:
                self._check(header.mode == "L")
                fitted = fit(plain, self.size, self.channels, self.resize)
                return fitted, header.mode, (header.width, header.height)
        image = open_header(data) if self.decode is None else self.decode(data)
        # Before decoding, which changes both for a JPEG that is decoded at a fraction of its size.
        mode, size = mode_of(image), image.size
        pixels = to_pixels(
            image,
            size=self.size,
            channels=self.channels,
            resize=self.resize,
            pixel_range=self.pixel_range,
        )
        self._check(is_grey(image))
        return pixels, mode, size

    def _check(self, grey: bool) -> None:
        if self.channels == 1 and not grey:
            raise ColourFound
