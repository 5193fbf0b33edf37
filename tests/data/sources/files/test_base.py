"""The paths of a folder are gone through a few times, however many questions are asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from automl.data.sources.files.base import FolderFiles, Paths
from automl.data.sources.files.folder import open_files
from automl.records import ReadOptions
from tests.data.conftest import images_at


class _Counted(Paths):
    """Counts how many times all paths are gone through."""

    passes = 0

    def __iter__(self) -> Iterator[str]:
        self.passes += 1
        return super().__iter__()


def test_class_folders_with_a_table_and_lists_are_read_in_few_passes(tmp_path: Path) -> None:
    images_at(tmp_path, [f"{label}/{k}.png" for label in ("cat", "dog") for k in range(6)])
    (tmp_path / "about.csv").write_text("name,size\n0.png,3\n")
    (tmp_path / "notes.txt").write_text("some words\n")
    files = FolderFiles(tmp_path)
    files.paths = _Counted(files.paths)
    assert open_files(files, ReadOptions()).classes == ("cat", "dog")
    assert files.paths.passes <= 4


def test_folder_around_all_files_and_endings_are_found() -> None:
    paths = Paths(["a/b/1.PNG", "a/b/c/2.png", "a/b/Labels.CSV"])
    assert paths.around == "a/b"
    assert list(paths.ending((".csv", ".tsv"))) == ["a/b/Labels.CSV"]
    assert list(paths.ending((".xml",))) == []
    assert [paths[i] for i in paths.images.kept] == ["a/b/1.PNG", "a/b/c/2.png"]
    assert Paths().around == Paths(["1.png", "a/2.png"]).around == ""
