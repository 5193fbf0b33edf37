"""A folder that is named for an output costs nothing that is there, and is refused before the work is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from automl.documents.output_folder import require_folder
from automl.errors import UsageError


def is_one(folder: Path) -> bool:
    return (folder / "made").is_file()


def ask(path: Path | str, needed: int = 1) -> Path:
    return require_folder("--out", path, "output", is_one, needed=needed)


def test_new_and_empty_folders_and_earlier_outputs_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "earlier").mkdir()
    for name in ("made", "mine.txt"):
        (tmp_path / "earlier" / name).touch()
    for path in (tmp_path / "empty", tmp_path / "earlier", tmp_path / "new" / "below", str(tmp_path / "new")):
        assert ask(path) == Path(path)
    assert not (tmp_path / "new").exists()


def of_others(folder: Path) -> Path:
    (folder / "photos").mkdir()
    (folder / "photos" / "one.jpg").touch()
    return folder / "photos"


def a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (of_others, "must be a new or empty folder or an earlier output, but .* holds something else: name"),
        (a_file, "must be a folder, got .*, but .*file' is a file: name another folder"),
        (
            lambda folder: a_file(folder) / "below" / "it",
            "must be a folder, got .*below/it', but .*file' is a",
        ),
        (lambda folder: "s3://bucket/model", "must be a folder on this machine, got 's3://bucket/model'"),
        (
            lambda folder: folder / ("x" * 300),
            "must be a folder that can be written, got .*File name too long",
        ),
    ],
)
def test_other_places_are_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path | str], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^--out {message}"):
        ask(make(tmp_path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="can be written, got .*no permission to write in"):
            ask(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)


def test_disk_with_too_little_space_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(
        UsageError, match=r"must lie on a disk with [\d,]+ MB of free space, but .* has [\d,]+ MB: free"
    ):
        ask(tmp_path / "new", needed=2 * free)
