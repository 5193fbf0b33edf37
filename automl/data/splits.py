"""Which row is for training, for validation and for the holdout: made once, from content and seed alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.stratify import Unit, draw_labels
from automl.errors import DataError
from automl.records import Task

TRAIN, VAL, HOLDOUT, LEFT_OUT = "train", "val", "holdout", ""
_PARTS = (TRAIN, VAL, HOLDOUT, LEFT_OUT)
_CODES = {part: code for code, part in enumerate(_PARTS)}

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """`parts[i]` is "train", "val", "holdout" or "" for a row that is left out; `notes` say why, for a
    person.
    """

    parts: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """What a split is made from, a column each: rows as objects take a kilobyte each while one is made.

    `labels` (n,) are places in `names`: what shares are kept of, the class or the bin of a regression's value. Rows of
    one group are drawn together; `groups` (n,) are their numbers, and `group_name` knows the name of each. `pictures`
    (n,) are numbers of pictures: copies of one leave the other parts where a given part holds one of them. `given` are
    parts ("" for a row that is free). `several` holds the labels of each row where there may be
    more than one, and nothing otherwise.
    """

    names: Sequence[str]
    labels: Numbers
    groups: Numbers
    group_name: Callable[[int], str]
    given: Sequence[str]
    pictures: Numbers
    several: Sequence[tuple[str, ...]] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, i: int) -> tuple[str, ...]:
        """All that shares are kept of, in row i."""
        name = self.names[self.labels[i]]
        return _labels(self, i) or ((name,) if name else ())


def split_columns(
    columns: Columns, *, val: float, holdout: float, seed: int, task: Task = "classification"
) -> Split:
    """Divide rows: what the data give is kept, the rest is drawn by label; the same for any order of the rows.

    Of the rows that are free, first `holdout`, then `val` of what remains is taken of each class or bin, or, for
    several labels, by iterative stratification. A group's place follows from a hash of its name and the seed, so
    that adding pictures moves few others. Every label keeps a row for training. Copies of a picture of a given
    holdout (or validation) part are left out of the other parts, because they would leak. Raises DataError for
    fractions outside 0..1 and for too few rows; for a classification also for fewer than two classes with two
    pictures. Classes of which no row is for training are left out.
    """
    _require_fractions(holdout=holdout, val=val)
    if task == "classification":
        require_classes(_class_counts(columns.labels, columns.names))
    parts, notes = _given(columns)
    if task == "classification":
        untrained, told = _leave_untrained(columns, parts)
        rest = columns.labels[~np.isin(columns.labels, untrained)]
        notes = (*require_classes(_class_counts(rest, columns.names)), *notes, *told)
    draw = _draw_several if task == "multilabel" else _draw
    for into, fraction in ((HOLDOUT, holdout), (VAL, val)):
        if (parts == _CODES[into]).any():
            continue
        members = Members(columns, parts)
        draw(columns, parts, members, into, fraction, seed)
        if not (parts == _CODES[into]).any():
            _draw_one(columns, parts, members, into=into, seed=seed)
    if not (parts == _CODES[TRAIN]).any():
        raise DataError(
            "the data must leave images to train on, but all lie in the given validation and test parts"
        )
    return Split(parts=tuple(_PARTS[code] for code in parts.tolist()), notes=notes)


def require_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Raise DataError unless two classes have two pictures each; notes on others that have one."""
    if len(counts) < 2:
        names = ", ".join(repr(name) for name in counts) or "none"
        raise DataError(
            f"classification needs images of at least 2 classes, but {len(counts)} was found ({names}): "
            "put the images of each class into a folder of its own"
        )
    single = sorted(name for name, count in counts.items() if count < 2)
    if not single:
        return ()
    if len(counts) - len(single) < 2:
        raise DataError(
            "every class needs at least 2 readable images, one to train and one to test, but "
            f"{_names(single)} {'has' if len(single) == 1 else 'have'} 1: add images or remove the class"
        )
    noun = "Class" if len(single) == 1 else "Classes"
    return (
        f"{noun} with one image, kept for training, so that no score says how well it is told: {_names(single)}.",
    )


def _require_fractions(**fractions: float) -> None:
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise DataError(f"{name} must be a fraction between 0 and 1, not {fraction!r}: give 0.2, say")


class Members:
    """The rows of each group that may still be drawn; a group goes by its place in `groups`."""

    def __init__(self, columns: Columns, parts: Numbers) -> None:
        rows = np.flatnonzero(parts == _CODES[TRAIN])
        order = np.argsort(columns.groups[rows], kind="stable")
        self._rows = rows[order]
        self.groups, self._starts = np.unique(columns.groups[self._rows], return_index=True)
        self.sizes: Numbers = np.diff(self._starts, append=len(self._rows))

    def rows(self, place: int) -> Numbers:
        """The rows of a group, in order."""
        start = self._starts[place]
        return self._rows[start : start + self.sizes[place]]

    def first_rows(self) -> Numbers:
        """The first row of each group."""
        return self._rows[self._starts]

    def ordered(self, places: Iterable[int], columns: Columns, into: str, seed: int) -> list[int]:
        """Groups in the order in which they are drawn."""
        return sorted(
            places, key=lambda place: _rank(seed, into, columns.group_name(int(self.groups[place])))
        )


def _class_counts(labels: Numbers, names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(names)).tolist()
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def _given(columns: Columns) -> tuple[Numbers, tuple[str, ...]]:
    """The parts that the data give, "train" for all others, without copies across them."""
    parts = np.array([_CODES[part or TRAIN] for part in columns.given], dtype=np.int64)
    most = int(columns.pictures.max(initial=-1)) + 1
    strongest = np.zeros(most, dtype=np.int64)
    np.maximum.at(strongest, columns.pictures, parts)  # the codes grow from training to holdout
    leaks = strongest[columns.pictures] != parts
    parts[leaks] = _CODES[LEFT_OUT]
    n = int(leaks.sum())
    if not n:
        return parts, ()
    noun = "image is a copy" if n == 1 else "images are copies"
    return parts, (f"{n} {noun} of validation or test images and left out, so that no answer leaks.",)


def _leave_untrained(columns: Columns, parts: Numbers) -> tuple[Numbers, tuple[str, ...]]:
    """Leave out the rows of classes of which none is for training: no answer to them can be right. These classes, and
    a note. Raises DataError where fewer than two classes are left.
    """
    everywhere = np.unique(columns.labels)
    trained = np.unique(columns.labels[parts == _CODES[TRAIN]])
    untrained = np.setdiff1d(everywhere, trained)
    if not len(untrained):
        return untrained, ()
    names = [columns.names[k] for k in untrained]
    if len(trained) < 2:
        raise DataError(
            f"at least 2 classes need images to train on, but {_names(names)} has none outside of the given "
            "validation and test parts: add images or remove the class"
        )
    lost = np.isin(columns.labels, untrained)
    parts[lost] = _CODES[LEFT_OUT]
    has = "Class" if len(names) == 1 else "Classes"
    images = "1 image" if lost.sum() == 1 else f"{lost.sum():,} images"
    return untrained, (
        f"{has} without a training image left out, with {images} that no model could answer rightly: {_names(names)}.",
    )


def _draw(columns: Columns, parts: Numbers, members: Members, into: str, fraction: float, seed: int) -> None:
    """Move a share of the groups of every class from train to `into`."""
    of_group = columns.labels[members.first_rows()]
    for place in np.flatnonzero(members.sizes > 1).tolist():
        of_group[place] = _majority(columns.labels[members.rows(place)].tolist())
    left = np.bincount(columns.labels[parts == _CODES[TRAIN]], minlength=len(columns.names))
    groups = np.bincount(of_group, minlength=len(columns.names))
    quotas = _quotas(
        {k: (int(left[k]), int(groups[k])) for k in np.unique(of_group).tolist()},
        fraction,
    )
    for label, quota in quotas.items():
        taken = 0
        waiting = np.flatnonzero(of_group == label).tolist() if quota else []
        for place in members.ordered(waiting, columns, into, seed):
            rows = members.rows(place)
            if taken == quota:
                break
            # A group too large for what is still wanted would distort the shares; a later one may fit.
            if taken + len(rows) > quota:
                continue
            cost = np.bincount(columns.labels[rows], minlength=len(left)) if len(rows) > 1 else None
            if left[label] < 2 if cost is None else (left[cost > 0] - cost[cost > 0] < 1).any():
                continue
            if cost is None:
                left[label] -= 1
            else:
                left -= cost
            taken += len(rows)
            parts[rows] = _CODES[into]


def _draw_several(
    columns: Columns, parts: Numbers, members: Members, into: str, fraction: float, seed: int
) -> None:
    """Move groups from train to `into` such that every label's share is kept, as far as that goes."""
    ordered = members.ordered(range(len(members.groups)), columns, into, seed)
    places = {str(place): place for place in ordered}
    units = [
        Unit(
            name,
            int(members.sizes[place]),
            Counter(label for i in members.rows(place).tolist() for label in _labels(columns, i)),
        )
        for name, place in places.items()
    ]
    for name in draw_labels(units, fraction):
        parts[members.rows(places[name])] = _CODES[into]


def _draw_one(columns: Columns, parts: Numbers, members: Members, *, into: str, seed: int) -> None:
    """Move the smallest group that no label needs for training, where the shares of all rounded to nothing."""
    free = np.flatnonzero(parts == _CODES[TRAIN]).tolist()
    left = Counter(label for i in free for label in columns.counts(i))
    total = int(members.sizes.sum())

    def spare(place: int) -> int:
        cost = Counter(label for i in members.rows(place).tolist() for label in columns.counts(i))
        rest = [left[label] - n for label, n in cost.items()]
        return min([total - int(members.sizes[place]), *rest])

    spares = {place: spare(place) for place in range(len(members.groups))}
    possible = [place for place, n in spares.items() if n >= 1]
    if not possible:
        raise DataError(
            f"the data must be enough for a {'validation' if into == VAL else into} part, but {len(columns)} "
            f"images with {len(members.groups)} distinct ones left to divide are too few: add images"
        )
    ordered = members.ordered(possible, columns, into, seed)
    chosen = min(ordered, key=lambda place: (members.sizes[place], -spares[place]))
    parts[members.rows(chosen)] = _CODES[into]


def _labels(columns: Columns, i: int) -> tuple[str, ...]:
    return columns.several[i] if columns.several else ()


def _quotas(sizes: Mapping[int, tuple[int, int]], fraction: float) -> dict[int, int]:
    """Rows to take of each class (rows, groups): its share, rounded, but at least 1 of 4 groups."""
    return {
        name: min(max(round(fraction * n), 1 if groups >= 4 else 0), max(n - 1, 0))
        for name, (n, groups) in sizes.items()
    }


def _majority(labels: Iterable[int]) -> int:
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))


def _rank(seed: int, into: str, group: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{into}\0{group}".encode()).digest()


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
