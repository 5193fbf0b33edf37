"""Rows of data as objects, and how they are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.data.splits import Columns, Numbers, Split, split_columns
from automl.records import Task


@dataclass(frozen=True, slots=True)
class Row:
    """What a split is made from. Rows of one `group` are drawn together.

    `label` is what shares are kept of: the class, or the bin of a regression's value; for several labels, `labels`.
    `copies` names the copies of one image, which leave the other parts where a given part holds one of them;
    None: the same as `group`.
    """

    label: str
    group: str
    given: str = ""
    copies: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        """The name that the copies of this row's image share."""
        return self.group if self.copies is None else self.copies


def columns_of(rows: Sequence[Row]) -> Columns:
    """The columns of some rows."""
    names, labels = _numbered([row.label for row in rows])
    groups, group = _numbered([row.group for row in rows])
    several = [row.labels for row in rows]
    return Columns(
        names=names,
        labels=labels,
        groups=group,
        group_name=groups.__getitem__,
        given=[row.given for row in rows],
        image_ids=_numbered([row.image for row in rows])[1],
        several=several if any(several) else (),
    )


def split_rows(
    rows: Sequence[Row],
    *,
    val: float = 0.2,
    holdout: float,
    seed: int,
    task: Task = "classification",
    folds: int = 0,
) -> Split:
    """Return `split_columns` of the columns of `rows`."""
    return split_columns(columns_of(rows), val=val, holdout=holdout, seed=seed, task=task, folds=folds)


def _numbered(words: Sequence[str]) -> tuple[list[str], Numbers]:
    """Return the different words, sorted, and the index of each word among them."""
    names = sorted(set(words))
    number = {name: k for k, name in enumerate(names)}
    return names, np.array([number[word] for word in words], dtype=np.int64)
