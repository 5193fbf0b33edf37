"""Some rows of a source, from bytes to pixels, and all that is found out on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.decoding import fast_jpeg as jpeg
from automl.data.decoding.near_duplicates import SIDE, thumbnails
from automl.data.pixels import fit, is_grey, open_header, to_pixels
from automl.errors import DataError

Pixels = npt.NDArray[np.uint8]
DIGEST = 32


class ColourFound(Exception):
    """A picture has colour although one channel was planned."""


@dataclass(frozen=True)
class Findings:
    """A row of each array for every row of a source, in memory or mapped to files that processes share.

    `digests` (n, 32) is the SHA-256, zeros if the bytes could not be read; `sizes` (n, 2) width and height as they
    came; `thumbs` (n, 16, 16) as `likeness.thumbnails` makes them.
    """

    digests: npt.NDArray[np.uint8] = field(repr=False)
    sizes: npt.NDArray[np.int32] = field(repr=False)
    thumbs: npt.NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True)
class Told:
    """What was found out about some rows: the reasons of those that cannot be used, and Pillow's mode of each."""

    reasons: dict[int, str]
    modes: list[str]


@dataclass(frozen=True)
class Conversion:
    """How rows are read, and where their pixels go: `images`, uint8 (n, size, size, channels), or nowhere.

    `decode` opens the picture in the bytes of a row where these are no file that Pillow reads.
    """

    read: Callable[[int], bytes]
    size: int
    channels: int
    images: Pixels | None
    findings: Findings
    decode: Callable[[bytes], Image.Image] | None = None

    def convert(self, rows: range) -> Told:
        """Fill the rows of images and findings; those of unusable pictures stay zero.

        Raises ColourFound with the row of a picture that has colour where one channel was planned.
        """
        reasons: dict[int, str] = {}
        modes, sizes, digests = [], [], []
        block = np.zeros((len(rows), self.size, self.size, self.channels), dtype=np.uint8)
        for place, row in enumerate(rows):
            digest, mode, size = bytes(DIGEST), "", (0, 0)
            try:
                data = self.read(row)
                digest = hashlib.sha256(data).digest()
                block[place], mode, size = self._picture(data)
            except DataError as error:
                reasons[row] = str(error)
            except ColourFound:
                raise ColourFound(row) from None
            digests.append(digest)
            modes.append(mode)
            sizes.append(size)
        part = slice(rows.start, rows.stop)
        self.findings.digests[part] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST)
        self.findings.sizes[part] = sizes
        self.findings.thumbs[part] = thumbnails(block)  # now, while the pixels are in the processor's cache
        if self.images is not None:
            self.images[part] = block
        return Told(reasons, modes)

    def _picture(self, data: bytes) -> tuple[Pixels, str, tuple[int, int]]:
        """Pixels, mode and size (before it was changed) of a picture. Raises DataError with a short reason."""
        header = jpeg.read_header(data) if self.decode is None else None
        if header is not None:
            plain = jpeg.decode(data, header, self.size)
            if plain is not None:
                self._check(header.mode == "L")
                fitted = fit(plain, self.size, self.channels)
                return fitted, header.mode, (header.width, header.height)
        image = open_header(data) if self.decode is None else self.decode(data)
        # Taken now: decoding a JPEG at a fraction of its size changes both.
        mode, size = image.mode, image.size
        pixels = to_pixels(image, size=self.size, channels=self.channels)
        self._check(is_grey(image))
        return pixels, mode, size

    def _check(self, grey: bool) -> None:
        if self.channels == 1 and not grey:
            raise ColourFound


def new_findings(n: int) -> Findings:
    """Findings in memory, for `n` rows."""
    return Findings(
        np.zeros((n, DIGEST), dtype=np.uint8),
        np.zeros((n, 2), dtype=np.int32),
        np.zeros((n, SIDE, SIDE), dtype=np.uint8),
    )
