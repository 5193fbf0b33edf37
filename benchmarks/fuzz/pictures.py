"""The images of the valid files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE, EACH = 24, 6
CLASSES = ("cat", "dog")


def picture(k: int, mode: str = "RGB") -> Image.Image:
    """Return a noisy image whose brightness says its class."""
    values = np.random.default_rng(k).integers(0, 120, (SIDE, SIDE, 3)) + 120 * (k % 2)
    image = Image.fromarray(values.astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(values[:, :, 0].astype(np.uint16) * 250)
    return image if mode == "RGB" else image.convert(mode)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def members() -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder of class folders."""
    for k, name in enumerate(CLASSES):
        for i in range(EACH):
            yield f"{name}/{i}.png", encoded(picture(2 * i + k), "PNG")


def written(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return [folder / name for name in files]
