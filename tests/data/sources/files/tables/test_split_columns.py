"""Columns that assign rows to parts of a split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.sources.files.test_manifest import _write, root

__all__ = ["root"]  # a fixture


def _table(root: Path, header: str, *cells: str) -> Path:
    rows = [f"pics/{i}.png,{'ab'[i % 2]},{cell}" for i, cell in enumerate(cells)]
    return _write(root / "x.csv", "\n".join([f"image,label,{header}", *rows]) + "\n")


@pytest.mark.parametrize(
    "name", ["dataset", "set", "phase", "subset", "partition", "Data Split", "usage", "which"]
)
def test_column_of_words_for_parts_is_the_split_and_told(root: Path, name: str) -> None:
    source = open_source(_table(root, name, "TRAIN", "TRAIN", "Val", "TEST"))
    assert source.splits == ["train", "train", "val", "holdout"]
    assert any(f"'{name}' the parts of the split" in note for note in source.notes)
    assert not any("not used" in note for note in source.notes)


@pytest.mark.parametrize(
    ("header", "cells", "parts"),
    [
        ("is_test", ("0", "1", "0"), ["train", "holdout", "train"]),
        ("is_train", ("1", "0", "1"), ["train", "holdout", "train"]),
        ("is_train,is_val", ("1,0", "0,1", "0,0"), ["train", "val", "holdout"]),
        ("Is Test,is_valid", ("no,yes", "yes,no", "no,no"), ["val", "holdout", "train"]),
    ],
)
def test_columns_of_true_and_false_are_the_split(
    root: Path, header: str, cells: tuple[str, ...], parts: list[str]
) -> None:
    source = open_source(_table(root, header, *cells))
    assert source.splits == parts
    for name in header.split(","):
        assert any(f"'{name}' the " in note for note in source.notes)


def test_column_of_parts_can_be_learned_when_it_is_named_or_alone(root: Path) -> None:
    path = _table(root, "which", "train", "test", "train")
    source = open_source(path, target="which")
    assert (source.classes, source.splits) == (("test", "train"), ["", "", ""])
    alone = _write(root / "y.csv", "image,vehicle\npics/0.png,train\npics/1.png,test\n")
    assert open_source(alone).classes == ("test", "train")
    flag = _write(root / "f.csv", "image,is_test\npics/0.png,1\npics/1.png,0\n")
    assert (open_source(flag).classes, open_source(flag).splits) == (("0", "1"), ["", ""])
    beside = _write(root / "z.csv", "image,kind,which\npics/0.png,a,train\npics/1.png,b,test\n")
    assert (open_source(beside).classes, open_source(beside).splits) == (("a", "b"), ["train", "holdout"])


def test_column_with_other_words_is_no_split(root: Path) -> None:
    source = open_source(_table(root, "dataset", "train", "cifar", "test"))
    assert source.splits == ["", "", ""]
    assert any(
        "Some cells of 'dataset' look like parts of a split, but not all" in note for note in source.notes
    )
    assert open_source(_table(root, "is_test", "0", "maybe", "1")).splits == ["", "", ""]
    with pytest.raises(DataError, match="is_valid must hold true or false, but 'maybe'"):
        open_source(_table(root, "is_valid", "0", "maybe", "1"))


def test_typed_cells_are_read(root: Path) -> None:
    frame = pd.DataFrame(
        {
            "image": [str(root / f"pics/{i}.png") for i in range(3)],
            "label": ["a", "b", "a"],
            "boxes": [[1, 2], [3], []],
            "is_test": [True, False, False],
        }
    )
    assert open_source(frame).splits == ["holdout", "train", "train"]


@pytest.mark.parametrize("name", ["partition", "subset", "set"])
def test_numbers_that_may_be_parts_are_told_and_not_used(root: Path, name: str) -> None:
    source = open_source(_table(root, name, "0", "1", "2", "0"))
    assert source.splits == [""] * 4
    assert any(f"The numbers in '{name}' are not taken for parts of a split" in note for note in source.notes)
    assert any(f"Columns not used: {name};" in note for note in source.notes)
