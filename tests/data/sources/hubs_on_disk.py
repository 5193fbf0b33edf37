"""Data sets of torchvision and of the hub's library, as they lie on a disk after a download."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_mnist(folder: Path, *, train: int = 12, test: int = 6) -> None:
    """MNIST's files as torchvision unpacks them: images of noise, all ten digits or as many as there are rows."""
    raw = folder / "MNIST" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for word, n in (("train", train), ("t10k", test)):
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{word}-images-idx3-ubyte").write_bytes(
            struct.pack(">iiii", 2051, n, 28, 28) + pixels.tobytes()
        )
        (raw / f"{word}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 2049, n) + labels.tobytes())
