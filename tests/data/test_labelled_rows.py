"""Groups of the data on several sides of the split that the data assign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from automl.data import open_source, prepare_data
from automl.data.labelled_rows import OnGroupLeak, leaking_groups
from automl.data.prepare import PreparedData
from automl.data.quality.inspect import inspect_data
from automl.errors import DataError
from tests.data.conftest import random_image


def _table(folder: Path, column: str, groups: int) -> Path:
    """Sixty images in two classes; the parts alternate within each of so many groups."""
    rows = []
    for i in range(60):
        random_image(i).save(folder / f"{i:02d}.png")
        part: Any = {"split": "train" if i % 3 else "test", "is_valid": i % 3 == 0}[column]
        rows.append([f"{i:02d}.png", i % 2, part, f"p{i // 6}" if i < 6 * groups else ""])
    pd.DataFrame(rows, columns=["image", "label", column, "group"]).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def _prepare(table: Path, tmp_path: Path, how: OnGroupLeak = "keep") -> PreparedData:
    return prepare_data(
        open_source(table), cache_dir=tmp_path / "cache", study_dir=tmp_path / "study", on_group_leak=how
    )


@pytest.mark.parametrize("column", ["split", "is_valid"])
def test_groups_on_both_sides_of_a_given_split_are_told(tmp_path: Path, column: str) -> None:
    report = inspect_data(_table(tmp_path, column, 7))
    found = [finding.message for finding in report.findings if finding.kind == "group_leak"]
    assert len(found) == 1
    assert found[0].startswith(
        "7 groups have rows on several sides of the given split (p0, p1, p2, p3, p4 and 2 more), so the score may be "
        "too good: --on-group-leak drop"
    )


def test_training_rows_of_leaking_groups_are_left_out_where_asked(tmp_path: Path) -> None:
    prepared = _prepare(_table(tmp_path, "split", 7), tmp_path, "drop")
    table = prepared.table
    assert (table["split"] == "").sum() == 28  # four training rows of each group
    assert set(table["split"][table["split"] != ""]) == {"train", "val", "holdout"}
    assert any(
        "or of their groups, and left out, as they would leak." in note for note in prepared.report.notes
    )
    assert [f.message for f in prepared.report.findings if f.kind == "group_leak"][0].endswith(
        "their training rows are left out."
    )


def test_split_is_drawn_anew_where_asked(tmp_path: Path) -> None:
    table = _prepare(_table(tmp_path, "split", 10), tmp_path, "redraw").table
    groups = table["file"].str[:2].astype(int) // 6
    assert table["split"].groupby(groups).nunique().max() == 1
    assert set(table["split"]) == {"train", "val", "holdout"}


def test_groups_of_one_part_and_choices_that_do_not_exist(tmp_path: Path) -> None:
    assert leaking_groups(["train", "", "holdout", "val"], ["a", "a", "b", ""]) == []
    assert leaking_groups(["", "holdout", "val", "train"], ["a", "a", "b", "b"]) == ["a", "b"]
    assert leaking_groups(["", ""], ["a", "a"]) == []
    wrong: Any = "move"
    with pytest.raises(DataError, match="unknown choice for on_group_leak 'move'"):
        _prepare(_table(tmp_path, "split", 1), tmp_path, wrong)
