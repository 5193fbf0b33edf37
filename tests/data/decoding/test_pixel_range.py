"""One range of deep pixels for all images of a data set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from automl.data import load_pixels, open_source, prepare_data
from automl.data.cache.streamed_images import open_images
from automl.data.decoding.image_format import choose_target
from automl.data.decoding.pixel_range import outside_note, range_of, require_amounts, sampled, to_eight_bits
from automl.data.prepare import PreparedData
from automl.data.sources.arrays import to_images
from automl.errors import DataError

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 65000], dtype=np.uint16), (0, 65535)),
        (np.array([10, 3900], dtype=np.uint16), (0, 4095)),
        (np.array([900, 1400], dtype=np.uint16), (900, 1400)),
        (np.array([0, 200], dtype=np.uint16), (0, 255)),
        (np.array([-1024, 3071], dtype=np.int32), (-1024, 3071)),
        (np.array([0.0, 0.9]), (0, 1)),
        (np.array([0.0, 200.0]), (0, 255)),
        (np.array([0.4, 0.5]), (0.4, 0.5)),
        (np.array([np.nan, 0.0, 1.0, np.inf]), (0, 1)),
        (np.array([7, 7], dtype=np.uint16), (0, 255)),
        (np.array([-1.0, -1.0]), (-1, 0)),
        (np.array([1e20, 1e20], dtype=np.float32), (1e20, 1e20 * (1 + 1e-9))),
    ],
)
def test_range_is_the_usual_one_if_half_of_it_is_used(values: Any, expected: tuple[float, float]) -> None:
    assert range_of([sampled(values)]) == pytest.approx(expected, rel=1e-3)
    assert range_of([]) == ()


def test_one_hot_pixel_does_not_set_the_range() -> None:
    values = _RNG.integers(900, 1400, (512, 512)).astype(np.uint16)
    values[0, 0] = 65535
    low, high = range_of([sampled(values)])
    assert (low, high) == pytest.approx((900, 1400), abs=2)


def test_pixels_in_other_units_are_refused_and_outliers_clipped() -> None:
    with pytest.raises(DataError, match="pixels from 2 to 198 do not fit the range 0 to 1 of the data set"):
        to_eight_bits(np.linspace(0, 200, 100), (0.0, 1.0))
    values = np.array([*[1000] * 500, 65535, 0], dtype=np.uint16)
    assert to_eight_bits(values, (900, 1100))[[0, 500, 501]].tolist() == [127, 255, 0]


def _folder(root: Path, kind: str) -> Path:
    """Two classes that differ by their brightness alone: 1000 and 1200 of 4095, or .40 and .44 of 1."""
    for k, name in enumerate("ab"):
        for i in range(10):
            bumps = 120 * np.sin(np.arange(32) / (3 + i % 5))[:, None] * np.cos(np.arange(32) / (2 + i % 7))
            counts = (1000 + 200 * k + bumps + _RNG.normal(0, 20, (32, 32))).clip(0, 4095)
            (root / name).mkdir(parents=True, exist_ok=True)
            if kind == "png":
                Image.fromarray(counts.astype(np.uint16)).save(root / name / f"{i}.png")
            elif kind == "int32":
                Image.fromarray(counts.astype(np.int32)).save(root / name / f"{i}.tif")
            else:
                Image.fromarray((counts / 2500).astype(np.float32)).save(root / name / f"{i}.tif")
    return root


def _prepared(root: Path, tmp_path: Path, **options: Any) -> PreparedData:
    return prepare_data(
        open_source(root), cache_dir=tmp_path / "cache", study_dir=tmp_path / "study", **options
    )


@pytest.mark.parametrize("kind", ["png", "int32", "float"])
def test_deep_images_keep_their_levels_and_differences(tmp_path: Path, kind: str) -> None:
    root = _folder(tmp_path / "x", kind)
    prepared = _prepared(root, tmp_path)
    info, rows = prepared.splits.info, prepared.splits.train
    images = open_images(rows.images)[np.arange(20)]
    assert min(len(np.unique(image)) for image in images) > 32
    assert images[10:].mean() - images[:10].mean() > 40  # 200 counts of about 700
    black, white = info.pixel_range
    assert prepared.report.pixel_range == info.pixel_range
    said = f"{black:g}..{white:g}, for all images alike."
    assert any(finding.headline.endswith(said) for finding in prepared.report.findings)
    # Alone, a new image is the same as beside the others.
    with Image.open(sorted((root / "b").iterdir())[3]) as image:
        assert np.array_equal(load_pixels(image, info), images[13])


def test_range_of_an_earlier_run_is_kept_and_another_decodes_again(tmp_path: Path) -> None:
    root = _folder(tmp_path / "x", "png")
    first = _prepared(root, tmp_path)
    again = _prepared(root, tmp_path)
    assert again.report.from_cache
    assert again.splits.info == first.splits.info
    other = _prepared(root, tmp_path, pixel_range=(0.0, 4095.0))
    assert not other.report.from_cache
    assert other.splits.info.pixel_range == (0.0, 4095.0)
    assert open_images(other.splits.train.images)[np.arange(20)].max() < 100


def test_streamed_images_have_the_range_too(tmp_path: Path) -> None:
    root = _folder(tmp_path / "x", "png")
    decoded = open_images(_prepared(root, tmp_path, img_size=32).splits.train.images)[np.arange(20)]
    streamed = _prepared(root, tmp_path / "other", img_size=32, max_disk=1000).splits.train.images
    assert np.array_equal(open_images(streamed)[np.arange(20)], decoded)


def test_model_of_plain_images_reads_deep_ones_in_the_usual_range(tmp_path: Path) -> None:
    info = dataclasses.replace(
        _prepared(_folder(tmp_path / "x", "png"), tmp_path).splits.info, pixel_range=()
    )
    dark = Image.fromarray(np.full((8, 8), 257 * 3, dtype=np.uint16))
    assert np.unique(load_pixels(dark, info)).tolist() == [3]
    with pytest.raises(DataError, match="pixels from 90 to 90 do not fit the range 0 to 1"):
        load_pixels(Image.fromarray(np.full((8, 8), 90, dtype=np.float32)), info)


def _spoiled(values: Any, share: float, bad: Any) -> Any:
    spoiled = values.copy()
    places = _RNG.permutation(values.size)[: round(share * values.size)]
    spoiled.reshape(-1)[places] = bad(len(places)) if callable(bad) else bad
    return spoiled


_COUNTS = _RNG.integers(900, 1400, (256, 256))


@pytest.mark.parametrize(
    ("dtype", "share", "bad"),
    [
        (np.uint16, 0.01, 65535),
        (np.uint16, 0.01, lambda n: _RNG.integers(3000, 65535, n)),
        (np.uint16, 0.4, 65535),
        (np.int32, 0.3, -9999),
        (np.int32, 0.01, lambda n: _RNG.choice([-32768, 65535], n)),
        (np.float32, 0.3, -9999),
        (np.float32, 0.3, np.finfo(np.float32).min),
        (np.float32, 0.3, np.nan),
        (np.float32, 0.05, lambda n: _RNG.choice([-9999, 1e20, np.nan, np.inf], n)),
    ],
)
def test_hot_pixels_and_places_without_a_measurement_do_not_set_the_range(
    dtype: Any, share: float, bad: Any
) -> None:
    values = _spoiled(_COUNTS.astype(dtype), share, bad)
    low, high = range_of([sampled(values)])
    assert 300 < low <= 905 and 1395 <= high < 2000
    pixels = to_eight_bits(values, (low, high))
    assert len(np.unique(pixels)) > 80  # of 256 levels
    if not (isinstance(bad, float) and np.isnan(bad)):
        assert "of the pixels lie outside of" in outside_note([sampled(values)], (low, high))
    assert outside_note([sampled(_COUNTS)], (900.0, 1400.0)) == ""


@pytest.mark.parametrize(
    "values",
    [
        np.where(_RNG.random((64, 64)) < 0.02, 4000, 0).astype(np.uint16),  # bright spots on a black ground
        np.where(_RNG.random((64, 64)) < 0.3, 1000, 0).astype(np.uint16),
        np.concatenate([np.zeros(900), np.linspace(0, 3000, 100)]).astype(np.uint16),
    ],
)
def test_signal_on_an_even_ground_is_no_outlier(values: Any) -> None:
    low, high = range_of([sampled(values)])
    assert low == 0 and high >= values.max()


def _tiffs(root: Path, **options: Any) -> Path:
    for k, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for i in range(8):
            counts = (_COUNTS[:32, i : i + 32] + 100 * k).astype(options.get("dtype", np.uint16))
            counts[: options.get("empty", 0)] = options.get("value", 0)
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            if "nodata" in options:
                tags[42113] = options["nodata"]
            more = [Image.fromarray(counts[::-1])] if options.get("pages") and not i % 2 else []
            Image.fromarray(counts).save(
                root / name / f"{i}.tif", tiffinfo=tags, save_all=bool(more), append_images=more
            )
    return root


def test_value_that_a_tag_declares_empty_is_black_and_not_in_the_range(tmp_path: Path) -> None:
    told = _prepared(_tiffs(tmp_path / "x", empty=16, value=5000, nodata="5000"), tmp_path)
    low, high = told.splits.info.pixel_range
    assert 890 < low < 1000 and 1400 < high < 1550
    images = open_images(told.splits.train.images)[np.arange(16)]
    assert images[:, :14].max() < 5 < images[:, 20:].mean()
    with Image.open(tmp_path / "x" / "a" / "1.tif") as image:
        assert np.array_equal(load_pixels(image, told.splits.info), images[1])


def test_images_with_empty_places_are_used_and_told(tmp_path: Path) -> None:
    root = _tiffs(tmp_path / "x", empty=20, value=-9999, dtype=np.float32)
    prepared = _prepared(root, tmp_path)
    assert (prepared.report.n_images, prepared.report.bad) == (16, ())
    assert any("62 % of the pixels lie outside of" in note for note in prepared.report.notes)


def test_further_pages_of_a_file_are_told(tmp_path: Path) -> None:
    root = _tiffs(tmp_path / "x", pages=True)
    [note] = choose_target(open_source(root), img_size="auto", max_size=64).notes
    assert note.startswith(
        "Only the first page or frame of a file is used; 8 of 16 files looked at have more"
    )
    assert note in _prepared(root, tmp_path).report.notes
    frames = [Image.new("L", (9, 9), 20 * k) for k in range(3)]
    for name in ("a/1.gif", "b/1.gif"):
        (tmp_path / "y" / name).parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(tmp_path / "y" / name, save_all=True, append_images=frames[1:])
    assert "2 of 2 files" in choose_target(open_source(tmp_path / "y"), img_size=9, max_size=64).notes[0]


def test_image_without_any_value_is_bad_and_named(tmp_path: Path) -> None:
    root = _folder(tmp_path / "x", "float")
    Image.fromarray(np.full((32, 32), np.nan, dtype=np.float32)).save(root / "a" / "0.tif")
    [bad] = _prepared(root, tmp_path).report.bad
    assert (bad.file, bad.reason) == ("a/0.tif", "no pixel with a value (all are NaN or infinite)")


def test_any_pixels_have_a_range_or_none() -> None:
    odd = [0, 1, 255, 65535, -9999, 2**31 - 1, -(2.0**31), 1e20, 3.4e38, -3.4e38, np.nan, np.inf, 1e-38]
    for k in range(600):
        size = int(_RNG.integers(1, 400))
        values = _RNG.normal(0, 10.0 ** _RNG.integers(-6, 9), size) if k % 2 else _RNG.choice(odd, size)
        spoiled = np.where(_RNG.random(size) < _RNG.choice([0, 0.01, 0.5]), _RNG.choice(odd, size), values)
        with np.errstate(all="ignore"):
            pixels = spoiled.astype([np.uint16, np.int32, np.float32][k % 3])
        found = range_of([sampled(pixels)])
        assert found == () or (np.isfinite(found).all() and found[0] < found[1])
        if found:
            assert isinstance(outside_note([sampled(pixels)], found), str)
            try:
                assert to_eight_bits(pixels, found).dtype == np.uint8
            except DataError as error:
                assert "do not fit" in str(error) or "no pixel" in str(error)


@pytest.mark.parametrize("white", [255.0, 4095.0, 65535.0])
def test_fractions_of_white_are_refused_by_models_of_amounts(white: float) -> None:
    shares = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    with pytest.raises(
        DataError, match=f"do not fit the range 0 to {white:g} .*multiply them by {white:g} if 1 is"
    ):
        next(to_images(shares[None], (0.0, white)))
    normalized = ((shares - 0.5) * 4).astype(np.float32)
    with pytest.raises(DataError, match="do not fit .*undo their normalization"):
        require_amounts(normalized, (0.0, white))
    # Dark amounts, masks, and pixels of models with another range are what they are.
    for values, known in (
        (shares * 0.2, (0.0, white)),
        (np.round(shares), (0.0, white)),
        (shares, (0.0, 1.0)),
    ):
        require_amounts(values.astype(np.float32), known)
    require_amounts(shares, ())
