"""Small images in folders, zips and caches."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.data.sources.base import Source
from automl.records import DatasetInfo, Rows

MakeFolder = Callable[[Mapping[str, int]], Path]
MakeRows = Callable[..., tuple[Rows, DatasetInfo]]


def random_image(seed: int, *, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Image.Image:
    """An image of random pixels."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def images_at(root: Path, names: Iterable[str]) -> Path:
    """Write a different small image to each of these paths below `root`, which is returned."""
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(random_image(seed)))
    return root


def fingerprint(source: Source) -> str:
    """Read everything and return the source's fingerprint."""
    return source.content([hashlib.sha256(source.read(i)).hexdigest() for i in range(len(source.files))])


def pack(folder: Path, target: Path) -> Path:
    """A zip of all files of a folder."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return target


def pack_tar(folder: Path, target: Path) -> Path:
    """A tar of all files of a folder, compressed as its name says."""
    with tarfile.open(target, "w:gz" if target.suffix == ".gz" else "w") as archive:
        archive.add(folder, arcname=".")
    return target


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make `root/FOLDER/000.png` and so on, `counts[FOLDER]` different images in each folder."""

    def make(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        seed = 0
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                seed += 1
                random_image(seed).save(root / folder / f"{i:03d}.png")
        return root

    return make


@pytest.fixture
def make_rows(tmp_path: Path) -> MakeRows:
    """Make decoded rows of random pixels, and their info."""

    def make(n: int = 10, *, size: int = 8, channels: int = 3) -> tuple[Rows, DatasetInfo]:
        rng = np.random.default_rng(0)
        np.save(tmp_path / "images.npy", rng.integers(0, 256, (2 * n, size, size, channels), dtype=np.uint8))
        np.save(tmp_path / "targets.npy", np.arange(2 * n) % 3)
        np.save(tmp_path / "index.npy", np.arange(1, 2 * n, 2))
        rows = Rows(tmp_path / "images.npy", tmp_path / "targets.npy", tmp_path / "index.npy", n)
        info = DatasetInfo(
            name="random",
            task="classification",
            classes=("a", "b", "c"),
            in_chans=channels,
            img_size=size,
            mean=(0.5, 0.4, 0.3)[:channels],
            std=(0.25, 0.2, 0.5)[:channels],
            class_counts=(4, 3, 3),
            fingerprint="0",
            n_train=n,
            n_val=0,
            n_holdout=0,
            n_skipped=0,
        )
        return rows, info

    return make
