"""Features on disk: whole files only, damage is noticed, and the folder stays small."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.training.heads import feature_cache
from automl.training.heads.feature_cache import FeatureCache, as_kept

FACTS: dict[str, Any] = {"model": "a"}


def write(folder: Path, rows: list[int], facts: dict[str, Any] | None = None, value: float = 1.0) -> None:
    with FeatureCache(folder).entry(facts or FACTS) as entry:
        entry.add(np.array(rows), np.full((len(rows), 4), value, dtype=np.float32))


def there(folder: Path, rows: list[int], facts: dict[str, Any] | None = None, width: int = 4) -> list[bool]:
    with FeatureCache(folder).entry(facts or FACTS) as entry:
        assert entry.count(np.array(rows)) == sum(entry.load(np.array(rows), 4)[1])
        return list(entry.load(np.array(rows), width)[1])


def test_rows_of_several_writers_are_found_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, [5, 2], value=2.0)
    write(tmp_path, [7], value=7.0)
    with FeatureCache(tmp_path).entry(FACTS) as entry:
        found, known = entry.load(np.array([7, 3, 2]), 4)
        assert entry.count(np.array([7, 3, 2])) == 2
    assert known.tolist() == [True, False, True]
    assert found[:, 0].tolist() == [7.0, 0.0, 2.0]


def test_other_facts_or_another_width_find_nothing(tmp_path: Path) -> None:
    write(tmp_path, [1])
    assert there(tmp_path, [1], {"model": "b"}) == [False]
    assert there(tmp_path, [1], width=5) == [False]


def test_without_a_folder_nothing_is_kept() -> None:
    with FeatureCache(None).entry(FACTS) as entry:
        entry.add(np.array([1]), np.zeros((1, 4), dtype=np.float32))
        assert entry.count(np.array([1])) == 0


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text"])
def test_damaged_file_is_removed_and_the_others_count(damage: str, tmp_path: Path) -> None:
    write(tmp_path, [1])
    (path,) = tmp_path.rglob("part-*.npz")
    write(tmp_path, [2])
    whole = path.read_bytes()
    place = whole.index(np.full(4, 1.0, dtype=np.float32).tobytes())
    flipped = whole[:place] + b"\x07" + whole[place + 1 :]
    path.write_bytes({"flipped": flipped, "cut": whole[:-30], "empty": b"", "text": b"x" * 99}[damage])
    assert FeatureCache(tmp_path).entry(FACTS).load(np.array([1, 2]), 4)[1].tolist() == [False, True]
    assert not path.exists()
    write(tmp_path, [1])
    assert there(tmp_path, [1, 2]) == [True, True]


def test_unfinished_file_of_a_killed_process_is_removed_when_it_is_old(tmp_path: Path) -> None:
    write(tmp_path, [1])
    (path,) = tmp_path.rglob("part-*.npz")
    old, young = path.with_suffix(".old.draft"), path.with_suffix(".young.draft")
    for draft in (old, young):
        draft.write_bytes(b"")
    os.utime(old, (0, 0))
    assert there(tmp_path, [1]) == [True]
    assert not old.exists() and young.exists()


def test_oldest_entry_goes_when_the_folder_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "MOST_BYTES", 100_000)
    many = list(range(4000))  # 64 kB
    for name in ("a", "b"):
        write(tmp_path, many, {"model": name})
    assert there(tmp_path, [1], {"model": "a"}) == [False]
    assert there(tmp_path, [1], {"model": "b"}) == [True]


def test_entry_that_fills_the_folder_alone_stops_to_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "MOST_BYTES", 100_000)
    with FeatureCache(tmp_path).entry(FACTS) as entry:
        for start in (0, 4000):
            entry.add(np.arange(start, start + 4000), np.zeros((4000, 4), dtype=np.float32))
    assert there(tmp_path, [1, 5000]) == [True, False]


def test_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file")
    write(tmp_path, [1])
    assert there(tmp_path, [1]) == [False]


def test_half_precision_is_used_where_values_fit() -> None:
    values = np.array([[1.5, 3.0]], dtype=np.float32)
    assert as_kept(values, half=True).dtype == np.float16
    assert as_kept(values, half=False).dtype == np.float32
    assert as_kept(1e6 * values, half=True).dtype == np.float32
    assert as_kept(np.nan * values, half=True).dtype == np.float32


@pytest.mark.parametrize("rows", [b"no array", np.zeros((2, 2), dtype=np.int64), np.array([0.5, 1.5])])
def test_file_of_other_content_with_the_right_checksum_is_removed(rows: Any, tmp_path: Path) -> None:
    write(tmp_path, [1])
    (path,) = tmp_path.rglob("part-*.npz")
    write(tmp_path, [2])
    values = np.ones((2, 4), dtype=np.float32)
    if isinstance(rows, bytes):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.npy", rows)
            archive.writestr("values.npy", rows)
    else:
        np.savez(path, rows=rows, values=values)
    assert there(tmp_path, [1, 2]) == [False, True]
    assert not path.exists()
