"""Decoding that ends at its share of the time: a fair part is used, now, on resume, and never taken for the whole."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from automl.data import PreparedData, open_source, prepare_data
from automl.data.decoding import image_format
from automl.data.decoding.convert import Conversion
from automl.data.prepare import LEAST, ROWS
from automl.data.sources.arrays import ArraySource
from automl.data.sources.base import Source
from automl.data.sources.part import FIRST, SourcePart, fair_order, part_note
from automl.machine import Moment
from tests.data.conftest import MakeFolder

N = 300


def source_of(n: int = N, classes: int = 3) -> ArraySource:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return ArraySource(pixels, [k % classes for k in range(n)])


def prepared(
    source: Source, root: Path, *, until: Moment | None = None, rows: npt.NDArray[np.int64] | None = None
) -> PreparedData:
    return prepare_data(
        source, cache_dir=root / "cache", study_dir=root / "study", until=until, rows=rows, img_size=8
    )


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image takes 10 ms to decode."""
    real = Conversion.convert

    def convert(self: Conversion, rows: range) -> object:
        time.sleep(0.01 * len(rows))
        return real(self, rows)

    monkeypatch.setattr(Conversion, "convert", convert)


def test_time_that_ends_leaves_a_fair_part_and_says_so(slow: None, tmp_path: Path) -> None:
    begun = time.monotonic()
    data = prepared(source_of(), tmp_path, until=Moment.now().later(0.3))
    assert time.monotonic() - begun < 4.0
    info = data.splits.info
    used = info.n_train + info.n_val + info.n_holdout
    assert LEAST <= used < N
    assert data.part == part_note(used, N) and data.part in data.report.notes
    assert data.report.n_images == used and not data.report.bad
    # The parts have their shares, and so has every class.
    assert info.n_holdout == pytest.approx(0.2 * used, abs=3) and info.n_val == pytest.approx(
        0.16 * used, abs=3
    )
    assert max(info.class_counts) - min(info.class_counts) <= 3
    rows = np.load(tmp_path / "study" / "index" / ROWS)
    assert len(rows) == used and len(data.table) == used


def test_pixels_and_targets_of_a_part_belong_together(slow: None, tmp_path: Path) -> None:
    source = source_of()
    data = prepared(source, tmp_path, until=Moment.now().later(0.3))
    rows = np.load(tmp_path / "study" / "index" / ROWS)
    images, targets = np.load(data.splits.train.images), np.load(data.splits.train.targets)
    assert len(images) == len(targets) == len(rows)
    for place in (0, 17, len(rows) - 1):
        assert np.array_equal(images[place, :, :, 0], np.asarray(source.load(int(rows[place]))))
        assert targets[place] == source.targets[rows[place]]


def test_resumed_study_has_the_same_rows_from_the_cache_or_without_it(slow: None, tmp_path: Path) -> None:
    first = prepared(source_of(), tmp_path, until=Moment.now().later(0.3))
    rows = np.load(tmp_path / "study" / "index" / ROWS)
    again = prepared(source_of(), tmp_path, rows=rows)
    assert again.report.from_cache and again.part == first.part
    other = tmp_path / "other"
    anew = prepared(source_of(), other, rows=rows)
    assert not anew.report.from_cache
    for data in (again, anew):
        assert data.splits.info == first.splits.info
        assert data.table.equals(first.table)


def test_part_is_never_taken_for_the_whole_nor_the_whole_for_a_part(slow: None, tmp_path: Path) -> None:
    part = prepared(source_of(), tmp_path, until=Moment.now().later(0.3))
    whole = prepared(source_of(), tmp_path)
    assert not whole.report.from_cache and whole.part == ""
    assert whole.report.n_images == N > part.report.n_images
    assert whole.report.fingerprint != part.report.fingerprint
    later = prepared(source_of(), tmp_path, until=Moment.now())  # what is decoded costs no time
    assert later.report.from_cache and later.report.n_images == N


def test_enough_time_makes_the_entry_of_the_whole(tmp_path: Path) -> None:
    timed = prepared(source_of(), tmp_path, until=Moment.now().later(60.0))
    assert timed.part == "" and timed.report.n_images == N
    assert not (tmp_path / "study" / "index" / ROWS).exists()
    assert prepared(source_of(), tmp_path).report.from_cache


def test_files_in_a_folder_are_decoded_in_part_by_processes_too(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.data.decoding.decode.POOL_FROM", 1)
    root = make_folder({"a": 60, "b": 60})
    data = prepared(open_source(root), tmp_path, until=Moment.now())
    assert data.report.n_images == LEAST and data.report.name == root.name
    rows = np.load(tmp_path / "study" / "index" / ROWS)
    assert [open_source(root).files[i] for i in rows] == data.table["file"].tolist()


def test_bad_image_of_a_part_keeps_its_reason(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 60, "b": 60})
    for path in root.glob("*/*"):
        if path.name.startswith("01"):
            path.write_bytes(b"no image")
    data = prepared(open_source(root), tmp_path, until=Moment.now())
    assert data.report.n_images + len(data.report.bad) == LEAST and data.report.bad
    assert all(Path(bad.file).name.startswith("01") for bad in data.report.bad)


def test_beginning_of_the_order_has_every_class_in_every_given_part() -> None:
    source = source_of(1000, 2)
    source.targets = np.where(np.arange(1000) < 990, 0, 1)  # 10 of the rare class
    source.splits = ["", "holdout"] * 500
    order = fair_order(source, 0)
    assert sorted(order) == list(range(1000))
    strata = [(int(source.targets[i]), source.splits[i]) for i in order]
    assert {stratum: strata[: 4 * FIRST].count(stratum) for stratum in set(strata)} == dict.fromkeys(
        {(0, ""), (0, "holdout"), (1, ""), (1, "holdout")}, FIRST
    )
    rest = strata[4 * FIRST : 4 * FIRST + 200]
    assert 90 <= sum(part == "holdout" for _, part in rest) <= 110
    assert fair_order(source, 1).tolist() != order.tolist() == fair_order(source, 0).tolist()


def test_scan_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of()
    seen: list[int] = []
    real = source.read

    def read(i: int) -> bytes:
        seen.append(i)
        return real(i)

    monkeypatch.setattr(source, "read", read)
    target = image_format.choose_target(source, img_size="auto", max_size=96, until=Moment.now())
    assert target == image_format.choose_target(source_of(), img_size="auto", max_size=96)
    assert len(seen) == 16 and max(seen) - min(seen) > N // 2


def test_part_reads_its_own_rows() -> None:
    whole = source_of()
    part = SourcePart(whole, np.array([5, 7, 200]))
    assert part.read(2) == whole.read(200) and part.files[1] == whole.files[7]
    assert part.state() != whole.state()
    assert part.state() == SourcePart(whole, np.array([5, 7, 200]), state=whole.state()).state()
    assert part.state() != SourcePart(whole, np.array([5, 7, 201])).state()
