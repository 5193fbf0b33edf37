"""Split rows into training, validation and holdout, depending only on content and seed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.stratify import Unit, draw_folds, draw_labels
from automl.errors import DataError
from automl.records import Task

TRAIN, VAL, HOLDOUT, LEFT_OUT = "train", "val", "holdout", ""
_PARTS = (TRAIN, VAL, HOLDOUT, LEFT_OUT)
_CODES = {part: code for code, part in enumerate(_PARTS)}

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """`parts[i]` is "train", "val", "holdout", or "" for a row that is left out, which `notes` explain.

    Under cross-validation, `folds[i]` is the fold of a row, from 1, or 0 for one that belongs to none; "val" are the
    rows of the first fold. Without it, `folds` is empty.
    """

    parts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The parts as people see them: under cross-validation, all rows of folds are "train"."""
        return tuple(TRAIN if part == VAL else part for part in self.parts) if self.folds else self.parts

    def digest(self, images: Iterable[str]) -> str:
        """Return a short hash of which image is in which part and fold, by the images' hashes, in any order of rows."""
        folds = self.folds or (0,) * len(self.parts)
        rows = sorted(
            f"{image} {part} {fold}" for image, part, fold in zip(images, self.parts, folds, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Columns:
    """The rows that are split, as columns: objects would take a kilobyte for each row.

    `labels` (n,) index `names`: the class, or the bin of a regression's value; each part gets its share of every
    label. `groups` (n,) number the rows that stay together, and `group_name` returns the name of a group.
    `image_ids` (n,) are equal for copies of an image, which must not be in several parts. `given` are the parts
    that the data assign, "" for free rows. `kin` says what else than copies shares `image_ids`. `several` holds the
    labels of each row in a multilabel task and is empty otherwise.
    """

    names: Sequence[str]
    labels: Numbers
    groups: Numbers
    group_name: Callable[[int], str]
    given: Sequence[str]
    image_ids: Numbers
    several: Sequence[tuple[str, ...]] = ()
    kin: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self, i: int) -> tuple[str, ...]:
        """Return the labels of row i that parts get their share of."""
        name = self.names[self.labels[i]]
        return _labels(self, i) or ((name,) if name else ())


def split_columns(
    columns: Columns,
    *,
    val: float,
    holdout: float,
    seed: int,
    task: Task = "classification",
    folds: int = 0,
) -> Split:
    """Keep the parts that the data assign and draw the others by label, independent of the order of the rows.

    Of the free rows, first the share `holdout` and then the share `val` of the rest is drawn: from each class or bin,
    or by iterative stratification for several labels. The order of the draw is a hash of group name and seed, so that
    adding images moves few others. Every label keeps a training row. Copies of images in an assigned holdout or
    validation part are left out of the other parts, as they would leak. Classes without a training row are left out.
    With `folds`, the rows outside of the holdout are divided into so many folds instead of the share `val`.
    Raises DataError for fractions outside 0..1, for too few rows, for a classification with fewer than two classes
    of two images, and for folds of data that assign a validation part.
    """
    _require_fractions(holdout=holdout, val=val)
    if folds:
        refuse_given_validation(columns.given)
    if task == "classification":
        require_classes(_class_counts(columns.labels, columns.names))
    parts, notes = _given(columns)
    if task == "classification":
        untrained, told = _leave_untrained(columns, parts)
        rest = columns.labels[~np.isin(columns.labels, untrained)]
        notes = (*require_classes(_class_counts(rest, columns.names)), *notes, *told)
    draw = _draw_several if task == "multilabel" else _draw
    for into, fraction in ((HOLDOUT, holdout), *(() if folds else ((VAL, val),))):
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
    if not folds:
        return Split(parts=tuple(_PARTS[code] for code in parts.tolist()), notes=notes)
    of_rows = fold_numbers(columns, parts == _CODES[TRAIN], folds, seed=seed)
    parts[of_rows == 1] = _CODES[VAL]
    return Split(tuple(_PARTS[code] for code in parts.tolist()), notes, tuple(of_rows.tolist()))


def refuse_given_validation(given: Sequence[str]) -> None:
    """Raise DataError if the data assign a validation part, which would not stay apart in cross-validation."""
    if VAL in given:
        raise DataError(
            "--val cv divides all images but the holdout into folds, but the data give a validation part: leave out "
            "--val cv, or add these images to the training part"
        )


def require_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Raise DataError unless two classes have two images each; return notes on other classes, with one image."""
    if len(counts) < 2:
        names = ", ".join(repr(name) for name in counts) or "none"
        raise DataError(
            f"classification needs images of at least 2 classes, but the data have {len(counts)} ({names}): "
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
        f"{noun} with one image, kept for training, so no score measures how well it is recognized: {_names(single)}.",
    )


def _require_fractions(**fractions: float) -> None:
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise DataError(
                f"{name} must be a fraction between 0 and 1, not {fraction!r}: give 0.2, for example"
            )


class Members:
    """The rows of each group that may still be drawn; a group is named by its position in `groups`."""

    def __init__(self, columns: Columns, parts: Numbers) -> None:
        rows = np.flatnonzero(parts == _CODES[TRAIN])
        order = np.argsort(columns.groups[rows], kind="stable")
        self._rows = rows[order]
        self.groups, self._starts = np.unique(columns.groups[self._rows], return_index=True)
        self.sizes: Numbers = np.diff(self._starts, append=len(self._rows))

    def rows(self, place: int) -> Numbers:
        """Return the rows of a group, in order."""
        start = self._starts[place]
        return self._rows[start : start + self.sizes[place]]

    def first_rows(self) -> Numbers:
        """Return the first row of each group."""
        return self._rows[self._starts]

    def ordered(self, places: Iterable[int], columns: Columns, into: str, seed: int) -> list[int]:
        """Return groups in the order in which they are drawn."""
        return sorted(
            places, key=lambda place: _rank(seed, into, columns.group_name(int(self.groups[place])))
        )


def _class_counts(labels: Numbers, names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(names)).tolist()
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def _given(columns: Columns) -> tuple[Numbers, tuple[str, ...]]:
    """Return the parts that the data assign, "train" for all other rows, without copies in several parts."""
    parts = np.array([_CODES[part or TRAIN] for part in columns.given], dtype=np.int64)
    most = int(columns.image_ids.max(initial=-1)) + 1
    strongest = np.zeros(most, dtype=np.int64)
    np.maximum.at(strongest, columns.image_ids, parts)  # the codes grow from training to holdout
    leaks = strongest[columns.image_ids] != parts
    parts[leaks] = _CODES[LEFT_OUT]
    n = int(leaks.sum())
    if not n:
        return parts, ()
    noun = "image is a copy" if n == 1 else "images are copies"
    return parts, (f"{n} {noun} of validation or test images{columns.kin} and left out, as they would leak.",)


def _leave_untrained(columns: Columns, parts: Numbers) -> tuple[Numbers, tuple[str, ...]]:
    """Leave out the rows of classes without a training row; return these classes and a note.

    Raises DataError if fewer than two classes are left.
    """
    everywhere = np.unique(columns.labels)
    trained = np.unique(columns.labels[parts == _CODES[TRAIN]])
    untrained = np.setdiff1d(everywhere, trained)
    if not len(untrained):
        return untrained, ()
    names = [columns.names[k] for k in untrained]
    if len(trained) < 2:
        have, them = ("has", "it") if len(names) == 1 else ("have", "them")
        raise DataError(
            f"at least 2 classes need training images, but {_names(names)} {have} images only in the given "
            f"validation and test parts: add images or remove {them}"
        )
    lost = np.isin(columns.labels, untrained)
    parts[lost] = _CODES[LEFT_OUT]
    noun = "Class" if len(names) == 1 else "Classes"
    images = "1 image" if lost.sum() == 1 else f"{lost.sum():,} images"
    return untrained, (f"{noun} without a training image dropped, with {images}: {_names(names)}.",)


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
            # A group larger than the rest of the quota would distort the shares; a later one may fit.
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
    """Move groups from train to `into` by iterative stratification."""
    ordered = members.ordered(range(len(members.groups)), columns, into, seed)
    for name in draw_labels(_units(columns, members, ordered), fraction):
        parts[members.rows(int(name))] = _CODES[into]


def fold_numbers(
    columns: Columns, chosen: npt.NDArray[np.bool_], folds: int, *, seed: int, repeat: int = 0
) -> Numbers:
    """Return the fold (n,) of each chosen row, from 1; 0 for other rows, and for those that must always train.

    Groups stay together, and each label is spread evenly. Another `repeat` is another draw. Raises DataError if the
    groups are too few for so many folds.
    """
    members = Members(columns, np.where(chosen, _CODES[TRAIN], _CODES[LEFT_OUT]))
    name = f"folds {repeat}" if repeat else "folds"
    ordered = members.ordered(range(len(members.groups)), columns, name, seed)
    of_rows = np.zeros(len(columns), dtype=np.int64)
    for name, fold in draw_folds(_units(columns, members, ordered), folds).items():
        of_rows[members.rows(int(name))] = fold
    missing = folds - len(np.unique(of_rows[of_rows > 0]))
    if missing:
        raise DataError(
            f"cross-validation needs images for each of its {folds} folds, but there are none for {missing} of them: "
            f"{len(members.groups)} distinct images or groups are left besides the holdout; use fewer folds, such as "
            "--val cv:2, or add images"
        )
    return of_rows


def _units(columns: Columns, members: Members, places: Iterable[int]) -> list[Unit]:
    """Return groups with the labels of their rows; their names are their places."""
    return [
        Unit(
            str(place),
            int(members.sizes[place]),
            Counter(label for i in members.rows(place).tolist() for label in columns.counts(i)),
        )
        for place in places
    ]


def _draw_one(columns: Columns, parts: Numbers, members: Members, *, into: str, seed: int) -> None:
    """Move the smallest group that no label needs for training, if all shares were rounded to nothing."""
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
            f"the data must suffice for a {'validation' if into == VAL else into} part, but {len(columns)} "
            f"images with {len(members.groups)} distinct ones left to divide are too few: add images"
        )
    ordered = members.ordered(possible, columns, into, seed)
    chosen = min(ordered, key=lambda place: (members.sizes[place], -spares[place]))
    parts[members.rows(chosen)] = _CODES[into]


def _labels(columns: Columns, i: int) -> tuple[str, ...]:
    return columns.several[i] if columns.several else ()


def _quotas(sizes: Mapping[int, tuple[int, int]], fraction: float) -> dict[int, int]:
    """Return the rows to draw from each class (rows, groups): its rounded share, at least 1 of 4 groups."""
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
