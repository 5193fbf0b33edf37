"""The usable rows of a source: their labels, and which rows belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from automl.data.cache.cache import Cached
from automl.data.cache.hashes import Digests
from automl.data.decoding.near_duplicates import clusters
from automl.data.quality.augmented_names import augmented_groups
from automl.data.sources.base import Source, Targets, counted, label_words
from automl.data.splits import TRAIN, Columns, Split
from automl.data.stratify import value_bins
from automl.errors import DataError
from automl.records import Task

# What happens to groups with rows in several of the parts that the data assign.
OnGroupLeak = Literal["keep", "drop", "redraw"]


@dataclass(frozen=True)
class Labelled:
    """Usable rows, `usable` (n,) of all rows. `targets` and `classes` are as in `Source`, without unused classes.

    `words` are the labels as text, `given` the parts that the data assign. `clusters[i]` is the first row with an equal
    or nearly equal image. `together[i]` is the same row for all rows that must stay in one part: such images and the
    rows of one group of the data. It is the row with the smallest digest, and this digest names the group: so the split
    does not depend on the order of the rows. `leaking` are groups of the data with rows in
    several of the parts that these assign. `apart`: their rows in the weaker part are left out. `notes` say which rows
    were taken for a group without a column that names it.
    """

    task: Task
    classes: tuple[str, ...]
    usable: npt.NDArray[np.int64]
    targets: Targets
    files: Sequence[str]
    words: Sequence[str]
    given: Sequence[str]
    digests: Digests
    clusters: npt.NDArray[np.int64]
    together: npt.NDArray[np.int64]
    leaking: Sequence[str] = ()
    apart: bool = False
    notes: tuple[str, ...] = ()

    def group(self, row: int) -> str:
        """Return the name of the group that `together` numbers."""
        return self.digests[row]

    def trained(self, split: Split) -> Labelled:
        """Return the same rows without classes that have no training row; `split` leaves their rows out."""
        if self.task != "classification":
            return self
        kept = np.unique(np.asarray(self.targets)[np.array(split.parts) == TRAIN])
        if len(kept) == len(self.classes):
            return self
        targets = np.minimum(np.searchsorted(kept, self.targets), len(kept) - 1)
        return replace(self, classes=tuple(self.classes[k] for k in kept), targets=targets)

    def columns(self) -> Columns:
        """Return the columns that a split is made from."""
        n = len(self.files)
        names: tuple[str, ...] = ("",)
        labels = np.zeros(n, dtype=np.int64)
        several: list[tuple[str, ...]] = []
        if self.task == "classification":
            names, labels = self.classes, np.asarray(self.targets, dtype=np.int64)
        elif self.task == "regression":
            bins, labels = np.unique(value_bins(self.targets), return_inverse=True)
            names = tuple(bins.tolist())
        else:
            words = np.array(self.classes, dtype=object)
            several = [tuple(words[row > 0].tolist()) for row in self.targets]
        kin, told = (self.together, ", or of their groups,") if self.apart else (self.clusters, "")
        return Columns(names, labels, self.together, self.group, self.given, kin, several, told)


def label(source: Source, cached: Cached, *, on_group_leak: OnGroupLeak = "keep") -> Labelled:
    """Return the usable rows of `source`.

    Groups with rows in several of the parts that the data assign stay as they are ("keep"), lose those in the weaker
    part ("drop"), or the assigned parts are not used ("redraw"); `make_report` tells. Raises DataError if
    no image can be used.
    """
    usable = np.flatnonzero([not reason for reason in cached.reasons])
    if not len(usable):
        files = counted(len(cached.reasons), "file")
        raise DataError(
            f"the data must hold readable images, but none of {files} in {source.name!r} is one "
            f"({source.files[0]}: {cached.reasons[0]}): check them"
        )
    targets, classes = source.targets[usable], source.classes
    if source.task == "classification":
        present = np.unique(targets)
        targets = np.searchsorted(present, targets)
        classes = tuple(source.classes[i] for i in present)
    digests = Digests(cached.digests.octets[usable])
    words = label_words(source)
    place = np.full(len(cached.reasons), -1, dtype=np.int64)
    place[usable] = np.arange(len(usable))
    pairs = place[cached.pairs]
    first = digests.first_rows()
    copies = np.flatnonzero(first != np.arange(len(first)))
    links = [np.stack([first[copies], copies], axis=1), pairs[(pairs >= 0).all(axis=1)]]
    near = clusters(len(usable), links)
    groups, notes = source.groups, tuple[str, ...]()
    if not any(groups):
        groups, notes = augmented_groups(source.files)
    groups = _chosen(groups, usable)
    given = _chosen(source.splits, usable)
    leaking = leaking_groups(given, groups)
    return Labelled(
        task=source.task,
        classes=classes,
        usable=usable,
        targets=targets,
        files=_chosen(source.files, usable),
        words=_chosen(words, usable),
        given=[""] * len(usable) if leaking and on_group_leak == "redraw" else given,
        digests=digests,
        clusters=near,
        together=_together(digests, near, groups),
        leaking=leaking,
        apart=bool(leaking) and on_group_leak == "drop",
        notes=notes,
    )


def leaking_groups(given: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the groups, sorted, that have rows in several of the parts that the data assign."""
    if not any(groups) or not any(given):
        return []
    first: dict[str, str] = {}
    # Rows without a part belong to training where the data assign others.
    parts = zip(groups, (part or TRAIN for part in given), strict=True)
    return sorted({group for group, part in parts if group and first.setdefault(group, part) != part})


def _chosen(values: Sequence[str], rows: npt.NDArray[np.int64]) -> Sequence[str]:
    return values if len(rows) == len(values) else [values[i] for i in rows.tolist()]


def _together(digests: Digests, near: npt.NDArray[np.int64], groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return for each row the one with the smallest digest among all that belong together."""
    joined = near
    if any(groups):
        joined = clusters(len(digests), [[str(cluster) for cluster in near.tolist()], groups])
    order = np.lexsort((digests.ranks(), joined))
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = joined[order[1:]] != joined[order[:-1]]
    found = np.empty(len(order), dtype=np.int64)
    found[order] = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    return found
