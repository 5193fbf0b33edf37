"""Images that a table names in several parts of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.sources.files.test_manifest import _write, root

__all__ = ["root"]  # a fixture


def _rows(*rows: tuple[int, str, str]) -> str:
    return "image,label,split\n" + "".join(f"pics/{i}.png,{label},{part}\n" for i, label, part in rows)


def test_image_for_training_and_for_the_test_is_for_the_test_alone_and_told(root: Path) -> None:
    rows = [(0, "a", "train"), (1, "b", "train"), (2, "a", "train"), (2, "a", "test"), (3, "b", "test")]
    source = open_source(_write(root / "x.csv", _rows(*rows, (1, "b", "val"))))
    parts = dict(zip(source.files, source.splits, strict=True))
    assert parts == {
        "pics/0.png": "train",
        "pics/1.png": "val",
        "pics/2.png": "holdout",
        "pics/3.png": "holdout",
    }
    assert any(
        note.startswith("2 images named in several parts of the split (such as pics/1.png in train and val)")
        for note in source.notes
    )


def test_folds_of_a_cross_validation_are_refused(root: Path) -> None:
    for fold in range(2):
        names = {part: [(i, "ab"[i % 2], part) for i in range(4) if (i // 2 == fold) == (part == "test")]
                 for part in ("train", "test")}  # fmt: skip
        for part, rows in names.items():
            _write(
                root / f"fold{fold}_{part}.csv", _rows(*rows).replace(",split", "").replace(f",{part}", "")
            )
    with pytest.raises(DataError, match="all training images are in other parts too .*table of one fold"):
        open_source(root)
