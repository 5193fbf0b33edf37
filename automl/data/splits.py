"""Which row is for training, for validation and for the holdout: made once, from content and seed alone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from automl.errors import DataError

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
    """What a split is made from. Rows of one `group` (copies of one picture) never part."""

    label: str
    group: str
    given: str = ""


def split_rows(rows: Sequence[Row], *, val: float, holdout: float, seed: int) -> Split:
    """Divide rows: what the data give is kept, the rest is drawn by class; the same for any order of the
    rows.

    Of the rows that are free, first `holdout`, then `val` of what remains is taken of each class. A group's
    place follows from a hash of its name and the seed, so that adding pictures moves few others. Every class
    keeps a row for training. Copies of a picture of a given holdout (or validation) part are left out of the
    other parts, because they would leak. Raises DataError for fractions outside 0..1, fewer than two classes,
    or a class with one picture or none to train.
    """
    for name, fraction in (("holdout", holdout), ("val", val)):
        if not 0 < fraction < 1:
            raise DataError(f"{name} must be a fraction between 0 and 1, not {fraction!r}: give 0.2, say")
    require_classes(Counter(row.label for row in rows))
    parts, notes = _given(rows)
    labels = {row.label for row in rows}
    _require_train(rows, parts, labels)
    if HOLDOUT not in parts:
        _draw(rows, parts, into=HOLDOUT, fraction=holdout, seed=seed)
    if VAL not in parts:
        _draw(rows, parts, into=VAL, fraction=val, seed=seed)
    return Split(parts=tuple(parts), notes=notes)


def require_classes(counts: Mapping[str, int]) -> None:
    """Raise DataError unless there are two classes, each with two pictures."""
    if len(counts) < 2:
        names = ", ".join(repr(name) for name in counts) or "none"
        raise DataError(
            f"classification needs images of at least 2 classes, but {len(counts)} was found ({names}): "
            "put the images of each class into a folder of its own"
        )
    single = sorted(name for name, count in counts.items() if count < 2)
    if single:
        raise DataError(
            "every class needs at least 2 readable images, one to train and one to test, but "
            f"{_names(single)} {'has' if len(single) == 1 else 'have'} 1: add images or remove the class"
        )


def _given(rows: Sequence[Row]) -> tuple[list[str], tuple[str, ...]]:
    """The parts that the data give, "train" for all others, without copies across them."""
    parts = [row.given or TRAIN for row in rows]
    strongest: dict[str, str] = {}
    for part in (VAL, HOLDOUT):
        strongest.update({row.group: part for row in rows if row.given == part})
    leaks = [i for i, row in enumerate(rows) if strongest.get(row.group, parts[i]) != parts[i]]
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


def _draw(rows: Sequence[Row], parts: list[str], *, into: str, fraction: float, seed: int) -> None:
    """Move a share of the groups of every class from train to `into`."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        if parts[i] == TRAIN:
            members[row.group].append(i)
    by_class: dict[str, list[str]] = defaultdict(list)
    for group, indices in members.items():
        by_class[_majority(rows[i].label for i in indices)].append(group)
    left = Counter(rows[i].label for i in range(len(rows)) if parts[i] == TRAIN)
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
    if into not in parts:
        _draw_one(rows, parts, members, into=into, seed=seed)


def _draw_one(
    rows: Sequence[Row], parts: list[str], members: Mapping[str, list[int]], *, into: str, seed: int
) -> None:
    """Move the smallest group that no class needs for training, where the shares of all classes rounded to
    nothing.
    """
    left = Counter(row.label for row, part in zip(rows, parts, strict=True) if part == TRAIN)

    def spare(group: str) -> int:
        cost = Counter(rows[i].label for i in members[group])
        return min(left[label] - n for label, n in cost.items())

    possible = [group for group in members if spare(group) >= 1]
    if not possible:
        raise DataError(
            f"the data must be enough for a {'validation' if into == VAL else into} part, but {len(rows)} "
            f"images with {len(members)} distinct ones left to divide are too few: add images"
        )
    chosen = min(possible, key=lambda group: (len(members[group]), -spare(group), _rank(seed, into, group)))
    for i in members[chosen]:
        parts[i] = into


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
