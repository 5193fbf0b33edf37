"""Images are told from other files, hidden ones and those of systems by their paths."""

from __future__ import annotations

from automl.data.sources.files.image_files import image_files


def test_hidden_files_those_of_systems_and_other_files_are_no_images() -> None:
    paths = [
        "a/1.jpg",
        "a/.2.jpg",
        "__MACOSX/a/1.jpg",
        ".git/3.png",
        "a/4.txt",
        "a/.png",
        "a/jpg",
        "5.TIFF",
        "b//6.png",
    ]
    found = image_files(paths)
    assert [paths[i] for i in found.kept] == ["a/1.jpg", "5.TIFF", "b//6.png"]
    assert [found.folders[k] for k in found.folder_of] == [("a",), (), ("b",)]
    assert (found.others, found.named) == (2, ["a/4.txt", "a/jpg"])
