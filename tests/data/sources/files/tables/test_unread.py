"""Files beside images that may hold labels and cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import images_at


@pytest.mark.parametrize("images", [["1.png", "2.png"], ["mine/1.png", "mine/2.png"]])
@pytest.mark.parametrize(
    ("name", "hint"),
    [("labels.xlsx", "save the sheet as CSV"), ("imagelabels.mat", "load it in Python: automl.fit")],
)
def test_sheet_beside_images_without_classes_is_named(
    tmp_path: Path, images: list[str], name: str, hint: str
) -> None:
    images_at(tmp_path, images)
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=f"{name} beside them cannot be read as a table of labels: {hint}"):
        open_source(tmp_path)


def test_text_beside_images_that_is_no_list_is_named(tmp_path: Path) -> None:
    images_at(tmp_path, ["1.png", "2.png"])
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "licence.txt").write_text("free")
    with pytest.raises(DataError, match="labels.txt beside them .* on each line .cat/1.jpg 0.$"):
        open_source(tmp_path)


def test_sheet_beside_class_folders_is_only_ignored(tmp_path: Path) -> None:
    images_at(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    source = open_source(tmp_path)
    assert source.classes == ("a", "b")
    assert any("ignored: labels.xlsx" in note for note in source.notes)


def test_packed_table_beside_images_is_named(tmp_path: Path) -> None:
    images_at(tmp_path, ["1.png", "2.png"])
    (tmp_path / "labels.csv.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(
        DataError, match="labels.csv.gz beside them cannot be read as a table of labels: unpack it"
    ):
        open_source(tmp_path)
