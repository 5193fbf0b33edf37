"""From tables to splits: other tasks, groups, near copies, and what the cache shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.data import open_source, prepare_data
from automl.data.prepare import PreparedData


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Forty images of large shapes in pics/, and columns for every task."""
    (tmp_path / "pics").mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "pics" / f"{i:02d}.png")
    rows = np.arange(40)
    return pd.DataFrame(
        {
            "image": [f"pics/{i:02d}.png" for i in rows],
            "kind": np.where(rows % 2, "odd", "even"),
            "big": (rows > 19).astype(int),
            "odd": rows % 2,
            "age": rows / 2 + 7.25,
            "group": [f"day {i // 5}" for i in rows],
        }
    )


def _prepare(table: pd.DataFrame, folder: Path, study: str = "study", **how: Any) -> PreparedData:
    table.to_csv(folder / "x.csv", index=False)
    source = open_source(folder / "x.csv", **how)
    return prepare_data(source, cache_dir=folder / "cache", study_dir=folder / study)


def test_targets_of_each_task_lie_beside_the_index(table: pd.DataFrame, tmp_path: Path) -> None:
    kind = _prepare(table, tmp_path, "a", target="kind").splits
    assert np.load(kind.train.targets).tolist() == [0, 1] * 20
    several = _prepare(table, tmp_path, "b", target="big,odd").splits
    found = np.load(several.train.targets)
    assert (found.dtype, found.tolist()) == (np.float32, table[["big", "odd"]].to_numpy().tolist())
    age = _prepare(table, tmp_path, "c", target="age").splits
    values = np.load(age.train.targets)[np.load(age.train.index), 0]
    assert age.info.target_mean == pytest.approx((values.mean(),))
    assert age.info.target_std == pytest.approx((values.std(),))
    assert kind.info.target_std == several.info.target_std == ()


def test_other_column_or_corrected_label_decodes_nothing(table: pd.DataFrame, tmp_path: Path) -> None:
    first = _prepare(table, tmp_path, "a", target="kind")
    other = _prepare(table, tmp_path, "b", target="age")
    table.loc[0, "kind"] = "odd"
    corrected = _prepare(table, tmp_path, "c", target="kind")
    assert [data.report.from_cache for data in (first, other, corrected)] == [False, True, True]
    assert len({data.splits.info.fingerprint for data in (first, other, corrected)}) == 3


def test_group_column_is_never_parted(table: pd.DataFrame, tmp_path: Path) -> None:
    for target in ("kind", "big,odd", "age"):
        found = _prepare(table, tmp_path, target, target=target).table
        days = found["file"].map(dict(zip(table["image"], table["group"], strict=True)))
        assert (found.groupby(days)["split"].nunique() == 1).all()
        assert set(found["split"]) == {"train", "val", "holdout"}


def test_near_copies_stay_together_and_out_of_the_way_of_a_given_test(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    table = table.drop(columns="group")
    again = []
    for i in range(8):
        name = f"pics/again{i}.jpg"
        Image.open(tmp_path / table["image"][i]).convert("RGB").save(tmp_path / name, quality=85)
        again.append({**table.iloc[i].to_dict(), "image": name})
    free = pd.concat([table, pd.DataFrame(again)], ignore_index=True)
    found = _prepare(free, tmp_path, "free", target="kind")
    places = found.table.set_index("file")
    for i in range(8):
        assert places["split"][f"pics/again{i}.jpg"] == places["split"][table["image"][i]]
        assert places["group"][f"pics/again{i}.jpg"] == places["group"][table["image"][i]] != ""
    assert [finding.count for finding in found.report.findings if finding.kind == "near_copies"] == [8]
    free["split"] = ["test" if i < 8 else "train" for i in range(len(free))]
    given = _prepare(free, tmp_path, "given", target="kind")
    assert (given.table["split"][:8] == "holdout").all()
    assert (given.table["split"][-8:] == "").all()
    assert "leak" in {finding.kind for finding in given.report.findings}


def test_ranges_of_numbers_are_reported_by_part(table: pd.DataFrame, tmp_path: Path) -> None:
    report = _prepare(table, tmp_path, target="age").report
    assert report.class_counts == {}
    low = min(values[0] for values in report.values["age"].values())
    high = max(values[2] for values in report.values["age"].values())
    assert (low, high) == (7.25, 26.75)
