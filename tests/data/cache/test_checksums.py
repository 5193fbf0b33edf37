"""Checksums find damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automl.data.cache.checksums import CHECKSUMS, find_damage, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(np.random.default_rng(0).bytes(20 * 2**20 + 5))
    (tmp_path / "small").write_text("text")
    (tmp_path / "lock").touch()
    write_checksums(tmp_path)
    return tmp_path


def _flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def test_whole_files_show_no_damage(folder: Path) -> None:
    assert find_damage(folder) == ""
    (folder / "lock").write_text("not looked at")
    assert find_damage(folder) == ""


@pytest.mark.parametrize("position", [0, 20 * 2**20 + 4])
def test_one_bit_at_either_end_of_a_large_file_is_found(folder: Path, position: int) -> None:
    _flip(folder / "large", position)
    assert find_damage(folder) == "large has another content"


def test_one_bit_anywhere_is_found_in_the_course_of_some_minutes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _flip(folder / "large", 10 * 2**20)
    found = set()
    for minute in range(10):
        monkeypatch.setattr("time.time", lambda minute=minute: 60.0 * minute)
        found.add(find_damage(folder))
    assert "large has another content" in found


def test_changed_size_missing_file_and_damaged_table_are_found(folder: Path) -> None:
    (folder / "small").write_text("texts")
    assert find_damage(folder) == "small has another size"
    (folder / "small").unlink()
    assert find_damage(folder).startswith("FileNotFoundError")
    for content in ("", "[]", '{"small": 1}', '{"large": {"size": 20971525}}'):
        (folder / CHECKSUMS).write_text(content)
        assert find_damage(folder) != "", content
