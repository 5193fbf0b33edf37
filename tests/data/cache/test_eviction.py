"""Eviction from the cache folder: use, order and room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automl.data.cache import eviction
from automl.data.cache.eviction import LOCK, META, Hold, entries, make_room
from automl.errors import DataError


def _entry(cache_dir: Path, letter: str, *, used: float, size: int = 1000) -> Path:
    folder = cache_dir / (letter * 32)
    folder.mkdir(parents=True)
    (folder / LOCK).touch()
    (folder / "images.npy").write_bytes(bytes(size - 2))
    (folder / META).write_text("{}")
    os.utime(folder / META, (used, used))
    return folder


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """Three entries of 1,000 bytes; b was not used for the longest time, then c, then a."""
    for letter, used in (("a", 300.0), ("b", 100.0), ("c", 200.0)):
        _entry(tmp_path, letter, used=used)
    return tmp_path


def _left(cache_dir: Path) -> str:
    return "".join(path.name[0] for path in sorted(cache_dir.iterdir()))


def test_entries_come_in_the_order_of_their_use(cache_dir: Path) -> None:
    assert [(entry.folder.name[0], entry.size) for entry in entries(cache_dir)] == [
        ("b", 1000),
        ("c", 1000),
        ("a", 1000),
    ]


@pytest.mark.parametrize(("needed", "left"), [(1000, "abc"), (1001, "ac"), (2500, "a"), (4000, "")])
def test_room_is_made_from_what_was_not_used_for_the_longest_time(
    cache_dir: Path, needed: int, left: str
) -> None:
    removed = make_room(cache_dir, needed, allowed=4000, spare=0)
    assert _left(cache_dir) == left
    assert len(removed) == 3 - len(left)


def test_entry_in_use_is_skipped(cache_dir: Path) -> None:
    hold = Hold(cache_dir / ("b" * 32))
    make_room(cache_dir, 1001, allowed=4000, spare=0)
    assert _left(cache_dir) == "ab"
    hold.release()
    make_room(cache_dir, 2001, allowed=4000, spare=0)
    assert _left(cache_dir) == "a"


def test_dropped_hold_is_none(cache_dir: Path) -> None:
    Hold(cache_dir / ("b" * 32))
    make_room(cache_dir, 4000, allowed=4000, spare=0)
    assert _left(cache_dir) == ""


def test_hold_of_a_killed_process_ends_with_it(cache_dir: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from automl.data.cache.eviction import Hold; "
        "hold = Hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    folder = str(cache_dir / ("b" * 32))
    with subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="running studies use too much of the rest"):
            make_room(cache_dir, 4000, allowed=4000, spare=0)
        assert _left(cache_dir) == "abc"  # nothing goes where it would not be enough
        other.kill()
    make_room(cache_dir, 4000, allowed=4000, spare=0)
    assert _left(cache_dir) == ""


def test_more_than_is_allowed_or_free_is_refused_and_removes_nothing(cache_dir: Path) -> None:
    with pytest.raises(DataError, match=r"need 0.00 GB in .*--max-disk allows 0.00 GB: raise it"):
        make_room(cache_dir, 5000, allowed=4000, spare=0)
    with pytest.raises(DataError, match="GB are free: free space"):
        make_room(cache_dir, 2**60, allowed=None, spare=0)
    assert _left(cache_dir) == "abc"


def test_what_killed_builders_left_is_removed_and_foreign_folders_stay(tmp_path: Path) -> None:
    for name in ("building-1-1", "building-1-2", "removing-2-2", "photos", "building-plans"):
        (tmp_path / name).mkdir()
    hold = Hold(tmp_path / "building-1-2")
    eviction.remove_unfinished(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5  # too young to be called abandoned
    old = time.time() - 3600
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    eviction.remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["building-1-2", "building-plans", "photos"]
    hold.release()


def test_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert entries(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
