"""Whether images are cut or squeezed, by a look at some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.data import open_source
from automl.data.cache.cache import Cached, open_or_build
from automl.data.decoding.image_format import Target
from automl.data.labelled_rows import Labelled, label
from automl.data.sources.base import Source
from automl.data.splits import Split, split_columns
from automl.machine import Moment
from automl.training.heads.resize import LEAST, Ways, compare_ways
from automl.training.models.pretrained_weights import Weights

N = 120


def saved(root: Path, size: tuple[int, int], *, at_the_edge: bool = True) -> Path:
    """Grey images; those of one class have a bright left end, or a bright centre."""
    for number in range(N):
        rng = np.random.default_rng(number)
        pixels = rng.integers(90, 130, (size[1], size[0], 3), dtype=np.uint8)
        if number % 2:
            left = 0 if at_the_edge else size[0] // 2 - 4
            pixels[:, left : left + 8] += 60
        path = root / "ab"[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def looked_at(root: Path, cache: Path) -> tuple[Source, Labelled, Split]:
    """The source with its labels and its split."""
    source, found = open_source(str(root)), list[Labelled]()

    def check(cached: Cached) -> None:
        found.append(label(source, cached))

    target = Target(16, 3)
    open_or_build(source, target, cache_dir=cache, check=check, progress=lambda done, total: None)
    return source, found[0], split_columns(found[0].columns(), val=0.2, holdout=0.2, seed=0)


def test_images_are_squeezed_if_what_matters_lies_at_the_edge(tmp_path: Path, weights: Weights) -> None:
    seen = looked_at(saved(tmp_path / "photos", (96, 48)), tmp_path / "cache")
    ways = compare_ways(*seen, weights, until=Moment.now().later(60.0))
    assert ways is not None and ways.better == "squeeze"
    assert ways.squeeze < 0.5 < ways.crop
    assert LEAST <= ways.rows < N  # training images alone
    assert "squeezed into squares" in ways.in_words()


def test_images_are_cut_where_squeezing_gains_nothing(tmp_path: Path, weights: Weights) -> None:
    seen = looked_at(saved(tmp_path / "photos", (96, 48), at_the_edge=False), tmp_path / "cache")
    ways = compare_ways(*seen, weights, until=Moment.now().later(60.0))
    assert ways is not None and ways.better == "crop"


def test_nearly_square_images_need_no_look(tmp_path: Path, weights: Weights) -> None:
    seen = looked_at(saved(tmp_path / "photos", (50, 48)), tmp_path / "cache")
    assert compare_ways(*seen, weights, until=Moment.now().later(60.0)) is None


def test_without_time_nothing_is_decided(tmp_path: Path, weights: Weights) -> None:
    seen = looked_at(saved(tmp_path / "photos", (96, 48)), tmp_path / "cache")
    assert compare_ways(*seen, weights, until=Moment.now()) is None


@pytest.mark.parametrize(("gain", "better"), [(0.11, "squeeze"), (0.09, "crop"), (-0.2, "crop")])
def test_squeezing_must_be_better_by_more_than_a_standard_error(gain: float, better: str) -> None:
    assert Ways(crop=0.5, squeeze=0.5 - gain, error=0.1, rows=100).better == better
