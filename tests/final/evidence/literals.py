"""Literals for the tests of this folder."""

from __future__ import annotations

from automl.records import DatasetInfo

INFO = DatasetInfo(
    name="spots",
    task="classification",
    classes=("no", "yes"),
    in_chans=3,
    img_size=8,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    class_counts=(60, 60),
    fingerprint="f",
    n_train=120,
    n_val=60,
    n_holdout=40,
    n_skipped=0,
)
