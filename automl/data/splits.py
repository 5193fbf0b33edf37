"""Which row is for training, for validation and for the holdout: made once, from content and seed alone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from automl.data.stratify import Unit, draw_labels
from automl.errors import DataError
from automl.records import Task

TRAIN, VAL, HOLDOUT, LEFT_OUT = "train", "val", "holdout", ""


@dataclass(frozen=True)
class Split:
    """`parts[i]` is "train", "val", "holdout" or "" for a row that is left out; `notes` say why, for a
    person.
    """

    parts: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """What a split is made from. Rows of one `group` are drawn together.

    `label` is what shares are kept of: the class, or the bin of a regression's value; for several labels, `labels`.
    `copies` names the copies of one picture, which leave the other parts where a given part holds one of them;
    None: the same as `group`.
    """

    label: str
    group: str
    given: str = ""
    copies: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def picture(self) -> str:
        """The name of the copies of this row's picture."""
        return self.group if self.copies is None else self.copies

    @property
    def counts(self) -> tuple[str, ...]:
        """All that shares are kept of."""
        return self.labels or ((self.label,) if self.label else ())


def split_rows(
    rows: Sequence[Row], *, val: float, holdout: float, seed: int, task: Task = "classification"
) -> Split:
    """Divide rows: what the data give is kept, the rest is drawn by label; the same for any order of the rows.

    Of the rows that are free, first `holdout`, then `val` of what remains is taken of each class or bin, or, for
    several labels, by iterative stratification. A group's place follows from a hash of its name and the seed, so
    that adding pictures moves few others. Every label keeps a row for training. Copies of a picture of a given
    holdout (or validation) part are left out of the other parts, because they would leak. Raises DataError for
    fractions outside 0..1 and for too few rows; for a classification also for fewer than two classes with two
    pictures, and for a class with none to train.
    """
    _require_fractions(holdout=holdout, val=val)
    notes: tuple[str, ...] = ()
    if task == "classification":
        notes = require_classes(Counter(row.label for row in rows))
    parts, told = _given(rows)
    if task == "classification":
        _require_train(rows, parts, {row.label for row in rows})
    draw = _draw_several if task == "multilabel" else _draw
    for into, fraction in ((HOLDOUT, holdout), (VAL, val)):
        if into in parts:
            continue
        members = _members(rows, parts)
        draw(rows, parts, members, into, fraction, seed)
        if into not in parts:
            _draw_one(rows, parts, members, into=into, seed=seed)
    if TRAIN not in parts:
        raise DataError(
            "the data must leave images to train on, but all lie in the given validation and test parts"
        )
    return Split(parts=tuple(parts), notes=(*notes, *told))


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


def _members(rows: Sequence[Row], parts: Sequence[str]) -> dict[str, list[int]]:
    """The rows of each group that may still be drawn."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        if parts[i] == TRAIN:
            members[row.group].append(i)
    return members


def _given(rows: Sequence[Row]) -> tuple[list[str], tuple[str, ...]]:
    """The parts that the data give, "train" for all others, without copies across them."""
    parts = [row.given or TRAIN for row in rows]
    strongest: dict[str, str] = {}
    for part in (VAL, HOLDOUT):
        strongest.update({row.picture: part for row in rows if row.given == part})
    leaks = [i for i, row in enumerate(rows) if strongest.get(row.picture, parts[i]) != parts[i]]
    for i in leaks:
        parts[i] = LEFT_OUT
    if not leaks:
        return parts, ()
    noun = "image is a copy" if len(leaks) == 1 else "images are copies"
    return parts, (
        f"{len(leaks)} {noun} of validation or test images and left out, so that no answer leaks.",
    )


def _require_train(rows: Sequence[Row], parts: Sequence[str], labels: Iterable[str]) -> None:
    trained = {row.label for row, part in zip(rows, parts, strict=True) if part == TRAIN}
    untrained = sorted(set(labels) - trained)
    if untrained:
        raise DataError(
            f"every class needs images to train on, but {_names(untrained)} has none outside of the given "
            "validation and test parts: add images or remove the class"
        )


def _draw(
    rows: Sequence[Row],
    parts: list[str],
    members: Mapping[str, list[int]],
    into: str,
    fraction: float,
    seed: int,
) -> None:
    """Move a share of the groups of every class from train to `into`."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for group, indices in members.items():
        by_class[_majority(rows[i].label for i in indices)].append(group)
    left = _left(rows, parts)
    quotas = _quotas({name: (left[name], len(groups)) for name, groups in by_class.items()}, fraction)
    for name in sorted(by_class):
        taken = 0
        for group in sorted(by_class[name], key=lambda group: _rank(seed, into, group)):
            indices = members[group]
            cost = Counter(rows[i].label for i in indices)
            # A group too large for what is still wanted would distort the shares; a later one may fit.
            if taken + len(indices) > quotas[name] or any(left[label] - n < 1 for label, n in cost.items()):
                continue
            left.subtract(cost)
            taken += len(indices)
            for i in indices:
                parts[i] = into


def _draw_several(
    rows: Sequence[Row],
    parts: list[str],
    members: Mapping[str, list[int]],
    into: str,
    fraction: float,
    seed: int,
) -> None:
    """Move groups from train to `into` such that every label's share is kept, as far as that goes."""
    ordered = sorted(members, key=lambda group: _rank(seed, into, group))
    units = [
        Unit(group, len(members[group]), Counter(label for i in members[group] for label in rows[i].labels))
        for group in ordered
    ]
    for group in draw_labels(units, fraction):
        for i in members[group]:
            parts[i] = into


def _draw_one(
    rows: Sequence[Row], parts: list[str], members: Mapping[str, list[int]], *, into: str, seed: int
) -> None:
    """Move the smallest group that no label needs for training, where the shares of all rounded to nothing."""
    left = _left(rows, parts)
    total = sum(len(indices) for indices in members.values())

    def spare(group: str) -> int:
        cost = Counter(label for i in members[group] for label in rows[i].counts)
        rest = [left[label] - n for label, n in cost.items()]
        return min([total - len(members[group]), *rest])

    possible = [group for group in members if spare(group) >= 1]
    if not possible:
        raise DataError(
            f"the data must be enough for a {'validation' if into == VAL else into} part, but {len(rows)} "
            f"images with {len(members)} distinct ones left to divide are too few: add images"
        )
    chosen = min(possible, key=lambda group: (len(members[group]), -spare(group), _rank(seed, into, group)))
    for i in members[chosen]:
        parts[i] = into


def _left(rows: Sequence[Row], parts: Sequence[str]) -> Counter[str]:
    """How many rows for training have which label."""
    taken = zip(rows, parts, strict=True)
    return Counter(label for row, part in taken if part == TRAIN for label in row.counts)


def _quotas(sizes: Mapping[str, tuple[int, int]], fraction: float) -> dict[str, int]:
    """Rows to take of each class (rows, groups): its share, rounded, but at least 1 of 4 groups."""
    return {
        name: min(max(round(fraction * n), 1 if groups >= 4 else 0), max(n - 1, 0))
        for name, (n, groups) in sizes.items()
    }


def _majority(labels: Iterable[str]) -> str:
    counts = Counter(labels)
    return min(counts, key=lambda name: (-counts[name], name))


def _rank(seed: int, into: str, group: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{into}\0{group}".encode()).digest()


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
