"""The order in which rows are read, where the time does not hold all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data.balance import Balance
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.training.heads import FeatureHeads
from automl.training.heads import features as reading
from automl.training.heads.features import FeatureReader, Features
from automl.training.models.pretrained_weights import Weights


@pytest.fixture
def rare(splits: SearchSplits, tmp_path: Path) -> SearchSplits:
    """All training rows of the first class, and six of each other."""
    index = np.load(splits.train.index)
    labels = np.load(splits.train.targets)[index]
    kept = np.sort(np.concatenate([index[labels == 0], *(index[labels == k][:6] for k in (1, 2))]))
    np.save(tmp_path / "rare.npy", kept)
    counts = np.bincount(np.load(splits.train.targets)[kept], minlength=3)
    info = replace(splits.info, class_counts=tuple(counts.tolist()), n_train=len(kept))
    return replace(splits, info=info, train=replace(splits.train, index=tmp_path / "rare.npy", n=len(kept)))


@pytest.mark.parametrize(("balance", "counts"), [("none", None), ("sampler", [8, 6, 6]), ("loss", [8, 6, 6])])
def test_rows_of_rare_classes_come_first_where_classes_are_balanced(
    balance: Balance,
    counts: list[int] | None,
    rare: SearchSplits,
    weights: Weights,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "MOST_TRAIN", 20)
    seen: list[Features] = []
    read = FeatureReader.read

    def watched(self: FeatureReader, *args: Any, **options: Any) -> Any:
        found = read(self, *args, **options)
        assert found is not None
        seen.append(found[0])
        return found

    monkeypatch.setattr(FeatureReader, "read", watched)
    heads = FeatureHeads(splits=rare, metric="balanced_accuracy", balance=balance, views=1)
    head = heads.fit(weights, {**config, "pretrained": True}, until=Moment.now().later(30.0))
    assert head is not None and head.n_train == 20
    found = np.bincount(seen[0].targets.numpy(), minlength=3).tolist()
    if counts is None:
        assert found[0] > 12  # as in the data: four of five rows
    else:
        assert found == counts
        assert head.val_score > 0.8
