"""The usable rows of a source: their labels, and which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.cache import Cached
from automl.data.digests import Digests
from automl.data.likeness import clusters
from automl.data.sources.base import Source, Targets, label_words
from automl.data.splits import Row
from automl.data.stratify import value_bins
from automl.errors import DataError
from automl.records import Task


@dataclass(frozen=True)
class Labelled:
    """Usable rows, `usable` (n,) of all. `targets` and `classes` are as in `Source`, without unused classes.

    `words` are the labels as text; `given` the parts that the data give. `clusters[i]` is the first row that is an
    equal or nearly equal picture, and `together[i]` a name that rows share which must stay in one part: such
    pictures and the rows of one group of the data. It is made of content alone, so that the same data are divided
    alike wherever they lie.
    """

    task: Task
    classes: tuple[str, ...]
    usable: npt.NDArray[np.int64]
    targets: Targets
    files: Sequence[str]
    words: Sequence[str]
    given: Sequence[str]
    digests: Sequence[str]
    clusters: Sequence[int]
    together: Sequence[str]

    def rows(self) -> list[Row]:
        """What a split is made from."""
        labels = [""] * len(self.files)
        if self.task == "classification":
            labels = list(self.words)
        elif self.task == "regression":
            labels = value_bins(self.targets)
        several: list[tuple[str, ...]] = [()] * len(self.files)
        if self.task == "multilabel":
            names = np.array(self.classes, dtype=object)
            several = [tuple(names[row > 0].tolist()) for row in self.targets]
        columns = zip(labels, self.together, self.given, self.clusters, several, strict=True)
        return [
            Row(label, group, given, str(cluster), names) for label, group, given, cluster, names in columns
        ]


def label(source: Source, cached: Cached) -> Labelled:
    """The usable rows of `source`. Raises DataError if no picture can be used."""
    usable = np.flatnonzero([not reason for reason in cached.reasons])
    if not len(usable):
        raise DataError(
            f"the data must hold readable images, but none of {len(cached.reasons)} files in {source.name!r} is "
            f"({source.files[0]}: {cached.reasons[0]}): check them"
        )
    targets, classes = source.targets[usable], source.classes
    if source.task == "classification":
        present = np.unique(targets)
        targets = np.searchsorted(present, targets)
        classes = tuple(source.classes[i] for i in present)
    rows = usable.tolist()
    digests = Digests(cached.digests.octets[usable])
    words = label_words(source)
    place = np.full(len(cached.reasons), -1, dtype=np.int64)
    place[usable] = np.arange(len(usable))
    pairs = place[cached.pairs]
    first = digests.first_rows()
    copies = np.flatnonzero(first != np.arange(len(first)))
    links = [np.stack([first[copies], copies], axis=1), pairs[(pairs >= 0).all(axis=1)]]
    near = clusters(len(rows), links)
    groups = [source.groups[i] for i in rows]
    return Labelled(
        task=source.task,
        classes=classes,
        usable=usable,
        targets=targets,
        files=[source.files[i] for i in rows],
        words=[words[i] for i in rows],
        given=[source.splits[i] for i in rows],
        digests=digests,
        clusters=near,
        together=_together(digests, near, groups),
    )


def _together(digests: Sequence[str], near: Sequence[int], groups: Sequence[str]) -> list[str]:
    """A name for all that belongs together: the smallest digest in it."""
    joined = near
    if any(groups):
        joined = clusters(len(digests), [[str(cluster) for cluster in near], groups])
    smallest: dict[int, str] = {}
    for cluster, digest in zip(joined, digests, strict=True):
        smallest[cluster] = min(digest, smallest.get(cluster, digest))
    return [smallest[cluster] for cluster in joined]
