"""Images on a page: small JPEGs inside the file, within a budget of bytes and seconds."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.pixels import quiet_pillow, to_pixels
from automl.errors import DataError

SIDE = 112  # pixels
QUALITY = 80

Load = Callable[[str], Image.Image]
Pixels = npt.NDArray[np.uint8]


def data_url(pixels: Pixels) -> str:
    """Return pixels (H, W, 1 or 3) as a JPEG within a data URL."""
    shown = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def small(image: Image.Image, side: int = SIDE) -> Pixels:
    """Return the centre of an image as pixels (side, side, 3). Raises DataError if it cannot be decoded."""
    with quiet_pillow():
        return to_pixels(image, size=side, channels=3)


@dataclass
class Thumbnails:
    """Makes thumbnails of images by their names, while the budget lasts.

    `load` opens an image and raises DataError; None if the images are not at hand. `until` is the moment of
    `time.monotonic` at which no further image is opened. `earlier` are thumbnails of an earlier page, by name: they
    stand for images that cannot be opened any more. `missing` counts those for which there is none.
    """

    load: Load | None
    most_bytes: int
    until: float = float("inf")
    earlier: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    used: int = 0
    missing: int = 0

    def __call__(self, name: str) -> str:
        """Return the data URL of an image; "" if there is none, or the budget is used up."""
        known = self.made.get(name)
        if known is None:
            known = self.made[name] = self._make(name)
        if not known:
            self.missing += 1
        elif self.used + len(known) > self.most_bytes:
            return ""
        self.used += len(known)
        return known

    def _make(self, name: str) -> str:
        if self.load is None or time.monotonic() >= self.until:
            return self.earlier.get(name, "")
        try:
            return data_url(small(self.load(name)))
        except DataError:
            return self.earlier.get(name, "")
