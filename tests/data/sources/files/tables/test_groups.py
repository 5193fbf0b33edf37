"""Columns that say which rows belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from tests.data.sources.files.test_manifest import _write, root

__all__ = ["root"]  # a fixture


def _table(root: Path, header: str, *cells: str) -> Path:
    rows = [f"pics/{i}.png,{'ab'[i % 2]},{cell}" for i, cell in enumerate(cells)]
    return _write(root / "x.csv", "\n".join([f"image,label,{header}", *rows]) + "\n")


@pytest.mark.parametrize(
    ("cells", "groups"),
    [
        (("1", "1.0", "2.0", "2"), ["1", "1", "2.0", "2.0"]),
        (("P1", "p1 ", "P2", "p  1"), ["P1", "P1", "P2", "p  1"]),
        (("P 1", "p  1", "P2", "P3"), ["P 1", "P 1", "P2", "P3"]),
    ],
)
def test_groups_that_differ_in_writing_alone_are_one_and_told(
    root: Path, cells: tuple[str, ...], groups: list[str]
) -> None:
    source = open_source(_table(root, "group", *cells))
    assert source.groups == groups
    assert any("in group are one group" in note for note in source.notes)


def test_words_for_missing_values_are_no_group(root: Path) -> None:
    source = open_source(_table(root, "group", "NA", "-", "n/a", "p1", "p1", ""))
    assert source.groups == ["", "", "", "p1", "p1", ""]


@pytest.mark.parametrize("name", ["patient_id", "Lesion ID", "scene", "SubjectNo", "animal"])
def test_column_of_kin_on_both_sides_of_a_given_split_is_told(root: Path, name: str) -> None:
    path = _table(root, f"split,{name}", "train,1", "train,2", "test,1", "test,3")
    said = f"1 value of {name} lies on several sides of the given split, so the score may be too good: --group-column"
    assert any(note.startswith(said) for note in open_source(path).notes)
    assert not any("several sides" in note for note in open_source(path, group_column=name).notes)
    apart = open_source(_table(root, f"split,{name}", "train,1", "train,1", "test,2", "test,2"))
    assert any(f"Rows of one {name} may look alike" in note for note in apart.notes)
    unique = open_source(_table(root, f"split,{name}", "train,1", "train,2", "test,3", "test,4"))
    assert not any("--group-column" in note for note in unique.notes)
