"""The folds of a cross-validation."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from automl.data import open_source, prepare_data
from automl.data.prepare import PreparedData
from automl.errors import DataError
from automl.records import Task
from tests.data.rows import Row, split_rows

_LABELLED = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 25)), min_size=8, max_size=60)


@settings(max_examples=150, deadline=None)
@given(_LABELLED, st.integers(0, 5), st.integers(2, 5), st.booleans(), st.randoms(use_true_random=False))
def test_any_folds_keep_groups_together_and_every_class_in_each_training(
    labelled: list[tuple[str, int]], seed: int, folds: int, several: bool, random: Random
) -> None:
    rows = [Row(label, str(group), labels=(label,) if several else ()) for label, group in labelled]
    task: Task = "multilabel" if several else "classification"
    try:
        split = split_rows(rows, holdout=0.2, seed=seed, folds=folds, task=task)
    except DataError:
        assume(False)
    searched = [i for i, part in enumerate(split.parts) if part in ("train", "val")]
    assert set(split.folds) - {0} == set(range(1, folds + 1))
    assert all((split.parts[i] == "val") == (split.folds[i] == 1) for i in searched)
    assert all(split.folds[i] == 0 for i in range(len(rows)) if i not in searched)
    places = defaultdict(set)
    for i in searched:
        places[rows[i].group].add(split.folds[i])
    assert all(len(found) == 1 for found in places.values())
    for fold in range(1, folds + 1):
        trained = {rows[i].label for i in searched if split.folds[i] != fold}
        assert trained == {rows[i].label for i in searched}
    assert "val" not in split.shown
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = split_rows([rows[i] for i in order], holdout=0.2, seed=seed, folds=folds, task=task)
    assert [split.folds[i] for i in order] == list(shuffled.folds)


def test_folds_have_the_shares_of_classes_and_depend_on_the_seed() -> None:
    rows = [Row(name, f"{name}{i}") for name, count in {"a": 100, "b": 50}.items() for i in range(count)]
    split = split_rows(rows, holdout=0.2, seed=0, folds=4)
    counts = Counter((row.label, fold) for row, fold in zip(rows, split.folds, strict=True) if fold)
    assert counts == {(name, fold): n for name, n in {"a": 20, "b": 10}.items() for fold in (1, 2, 3, 4)}
    assert split_rows(rows, holdout=0.2, seed=1, folds=4).folds != split.folds
    assert split_rows(rows, holdout=0.2, seed=0).parts.count("holdout") == split.parts.count("holdout")


def test_a_class_with_one_image_always_trains() -> None:
    rows = [*(Row(name, f"{name}{i}") for name in "ab" for i in range(20)), Row("rare", "rare")]
    split = split_rows(rows, holdout=0.2, seed=0, folds=5)
    assert (split.parts[-1], split.folds[-1]) == ("train", 0)


def test_more_folds_than_images_are_refused_with_a_number_that_works() -> None:
    rows = [Row(name, f"{name}{i}") for name in "ab" for i in range(3)]
    with pytest.raises(DataError, match=r"needs images for each of its 10 folds.*use fewer folds, such as"):
        split_rows(rows, holdout=0.2, seed=0, folds=10)


def test_a_given_validation_part_is_refused() -> None:
    rows = [Row(name, f"{name}{i}", "val" if i == 0 else "") for name in "ab" for i in range(9)]
    with pytest.raises(DataError, match="the data give a validation part: leave out --val cv"):
        split_rows(rows, holdout=0.2, seed=0, folds=3)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    root = tmp_path_factory.mktemp("folds")
    return prepare_data(
        open_source("digits"), cache_dir=root / "cache", study_dir=root / "study", folds=5, holdout=0.3
    )


def test_files_of_folds_hold_every_row_once(digits: PreparedData) -> None:
    splits = digits.splits
    assert (splits.info.folds, len(splits.folds)) == (5, 5)
    assert (splits.folds[0].train, splits.folds[0].val) == (splits.train, splits.val)
    whole = np.sort(np.concatenate([np.load(splits.train.index), np.load(splits.val.index)]))
    assert splits.info.n_scored == len(whole)
    scored = np.sort(np.concatenate([np.load(fold.val.index) for fold in splits.folds]))
    assert np.array_equal(scored, whole)
    for fold in splits.folds:
        train, val = np.load(fold.train.index), np.load(fold.val.index)
        assert (len(fold.train), len(fold.val)) == (len(train), len(val))
        assert np.array_equal(np.sort(np.concatenate([train, val])), whole)


def test_the_table_and_the_report_tell_folds(digits: PreparedData, tmp_path: Path) -> None:
    digits.write_table(tmp_path / "splits.csv")
    table = pd.read_csv(tmp_path / "splits.csv", keep_default_na=False, dtype=str)
    assert list(table.columns) == ["file", "label", "split", "group", "sha256", "fold"]
    assert set(table["split"]) == {"train", "holdout"}
    assert set(table.loc[table["split"] == "train", "fold"]) == {"1", "2", "3", "4", "5"}
    assert set(table.loc[table["split"] == "holdout", "fold"]) == {""}
    assert table.equals(digits.table)
    assert any(note.startswith("Cross-validation: 5 folds of") for note in digits.report.notes)
    assert all(parts["val"] == 0 for parts in digits.report.class_counts.values())
