"""Small sets of real photographs for tests: crops of the two sample photographs that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_sample_images

KINDS = ("temple", "flower")


@cache
def photographs() -> tuple[np.ndarray, ...]:
    """A temple and a flower, uint8 (427, 640, 3) each."""
    return tuple(load_sample_images().images)


def crop(kind: int, side: int, rng: np.random.Generator) -> Image.Image:
    """A square of `side` px from anywhere in one of the photographs."""
    photograph = photographs()[kind]
    top, left = (int(rng.integers(0, most - side)) for most in photograph.shape[:2])
    return Image.fromarray(photograph[top : top + side, left : left + side])


def write_classes(folder: Path, counts: Sequence[int], *, seed: int = 0) -> None:
    """JPEGs of 64 to 128 px as folder/temple/000.jpg and folder/flower/000.jpg, so many of each."""
    rng = np.random.default_rng(seed)
    for kind, (name, count) in enumerate(zip(KINDS, counts, strict=True)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            crop(kind, int(rng.integers(64, 128)), rng).save(folder / name / f"{i:03}.jpg", quality=90)


def write_pairs(folder: Path, count: int, *, seed: int = 0) -> pd.DataFrame:
    """PNGs with two halves, each from either photograph; one column a kind says whether it is in the image."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        kinds = rng.integers(0, 2, 2)
        image = Image.new("RGB", (128, 64))
        for place, kind in enumerate(kinds):
            image.paste(crop(int(kind), 64, rng), (64 * place, 0))
        image.save(folder / f"{i:03}.png")
        rows.append({"image": f"{i:03}.png", "temple": int(0 in kinds), "flower": int(1 in kinds)})
    return pd.DataFrame(rows)


def write_shares(folder: Path, count: int, *, seed: int = 0) -> pd.DataFrame:
    """JPEGs of 64 px; `share` is how much of the image's width the temple takes, the flower has the rest."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        share = float(rng.uniform(0.0, 1.0))
        image = crop(1, 64, rng)
        image.paste(crop(0, 64, rng).crop((0, 0, round(64 * share), 64)), (0, 0))
        image.save(folder / f"{i:03}.jpg", quality=90)
        rows.append({"image": f"{i:03}.jpg", "share": share})
    return pd.DataFrame(rows)
