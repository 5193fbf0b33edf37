"""Give images the parts in which files beside them list them: meta/train.txt of Food-101, CelebA's list, split.json."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files
from automl.data.sources.files.folder_kinds import listed
from automl.data.sources.files.image_files import IMAGE_SUFFIXES
from automl.data.sources.files.layout import Layout, printable
from automl.data.sources.files.listed_split.find_lists import PARTS, PartList, lists_of_parts
from automl.data.sources.files.manifest import ManifestSource
from automl.data.sources.files.split_names import TRAIN, splits_among

_SHARE = 0.9  # of the lines that must name images, and of the images that must be in a list
_SEVERAL = -1  # a name of several images


class _Found(NamedTuple):
    """The part of each image, none if the lists do not fit; notes; and the files with the lists."""

    splits: list[str]
    notes: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()


def with_listed_split(files: Files, layout: Layout) -> tuple[Layout, frozenset[str]]:
    """Return images with the parts in which files list them, and a note; and these files. Unchanged where none fit.

    `lists_of_parts` says which files these are. An image is named with its class folder or alone, and perhaps without
    extension. 90 % of the names or more must be those of images, and as many images must be listed, none in two parts;
    images in no list are for training. Of lists of different parts, the first that fit are used, and the others are
    told, as are lists that do not fit if no others do.
    """
    if any(layout.splits):
        return layout, frozenset()
    found = _listed_parts(files, [files.paths[i] for i in layout.kept.tolist()], layout.labels)
    splits = found.splits or layout.splits
    return replace(layout, splits=splits, notes=(*layout.notes, *found.notes)), found.files


def give_listed_split(files: Files, source: ManifestSource, tables: Collection[str]) -> frozenset[str]:
    """Give the images of a table that assigns no parts those in which other files list them, as above.

    `tables` are those that are learned. Without other files, they are those of train/, val/ and test/ in which all
    images lie. Returns the files that were read for parts.
    """
    stored = source.stored()
    if any(source.splits) or stored is None:
        return frozenset()
    found = _listed_parts(files, stored[1], source.targets, tables)
    if not found.notes:
        found = _parts_of_folders(stored[1])
    source.splits = found.splits or source.splits
    source.notes += found.notes
    return found.files


def _listed_parts(
    files: Files, paths: Sequence[str], labels: np.ndarray, learned: Collection[str] = ()
) -> _Found:
    of_parts = lists_of_parts(files, learned)
    rows = _rows_by_name(paths) if of_parts else {}
    used, unfit, others = _Found([]), _Found([]), set[str]()
    for lists in of_parts:
        found = [_rows_in(one, rows) for one in lists]
        if not any(found):
            continue  # they are no lists of images
        parts, problem = _parts(lists, found, len(paths))
        of_lists = frozenset(one.path for one in lists)
        if problem:
            said = f"Not used as parts of a split, as {problem}: {listed(map(printable, of_lists))}."
            unfit = unfit if unfit.notes else _Found([], (said,))
            continue
        splits = [parts.get(row, TRAIN) for row in range(len(paths))]
        if lists[0].how and _are_labels(splits, labels):
            continue
        if not used.splits:
            used = _Found(splits, _said(of_lists, lists[0].how, splits, len(parts)), of_lists)
        elif splits != used.splits:
            others |= of_lists
    if not others:
        return used if used.splits else unfit
    told = (
        f"The same images are in other parts in {listed(map(printable, others))}, not used: to use them, take away "
        f"{listed(map(printable, used.files))}."
    )
    return _Found(used.splits, (*used.notes, told), used.files | others)


def _said(lists: Collection[str], how: str, splits: Sequence[str], n_listed: int) -> tuple[str, ...]:
    counts = Counter(splits)
    shares = ", ".join(f"{part} {counts[part]:,}" for part in PARTS if counts[part])
    said = f"Parts of the split as in {listed(map(printable, lists))}{how}: {shares}."
    unlisted = len(splits) - n_listed
    if not unlisted:
        return (said,)
    return said, f"{counted(unlisted, 'image')} in none of these lists used for training."


def _are_labels(splits: Sequence[str], labels: np.ndarray) -> bool:
    """Return whether 90 % of the images of each part have a label of their own, so numbers are those of labels."""
    counts: dict[str, Counter[bytes]] = defaultdict(Counter)
    for split, label in zip(splits, labels, strict=True):
        counts[split][label.tobytes()] += 1
    most = [of.most_common(1)[0] for of in counts.values()]
    return len({label for label, _ in most}) == len(counts) and all(
        n >= _SHARE * of.total() for (_, n), of in zip(most, counts.values(), strict=True)
    )


def _parts_of_folders(paths: Sequence[str]) -> _Found:
    """Return the parts of images that all lie in folders of parts beside each other, of which one is for training."""
    folders = [posixpath.dirname(path).split("/") for path in paths]
    names = set(map(tuple, folders))
    around = len(posixpath.commonprefix([*names]))
    if any(len(path) <= around for path in names):
        return _Found([])
    named = splits_among({path[around] for path in names})
    parts = [named.get(folder[around], "") for folder in folders]
    if not set(PARTS) >= set(parts) or TRAIN not in parts or len(set(parts)) < 2:
        return _Found([])
    told = ", ".join(f"{name}/ as {part}" for name, part in sorted(named.items()))
    return _Found(parts, (f"Folders taken for parts of a split: {told}.",))


def _rows_by_name(paths: Sequence[str]) -> dict[str, int]:
    """Return the row of each image by its name without extension, with and without its folder."""
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        parts = posixpath.splitext(path)[0].split("/")
        for key in {parts[-1], "/".join(parts[-2:])}:
            rows[key] = _SEVERAL if key in rows else row
    return rows


def _rows_in(one: PartList, rows: Mapping[str, int]) -> list[int]:
    """Return the rows that a list names; nothing if less than 90 % of its lines name an image."""
    found = [row for line in one.lines if (row := _row(line, rows)) is not None]
    return found if len(found) >= _SHARE * len(one.lines) else []


def _row(line: str, rows: Mapping[str, int]) -> int | None:
    """Return the row of the image with which a line begins; None if there is none, or are several."""
    for cell in (line, line.split()[0], line.split(",")[0]):
        stem, suffix = posixpath.splitext(cell.replace("\\", "/"))
        name = stem if suffix.lower() in IMAGE_SUFFIXES else cell
        row = rows.get("/".join(name.split("/")[-2:]))
        if row is not None and row != _SEVERAL:
            return row
    return None


def _parts(lists: Sequence[PartList], found: Sequence[list[int]], n: int) -> tuple[dict[int, str], str]:
    """Return the part of each row in a list, and why these are not used ("" if they are)."""
    parts: dict[int, str] = {}
    for one, rows in zip(lists, found, strict=True):
        if not rows:
            return {}, f"most lines of {printable(one.path)} name no image that is there"
        for row in rows:
            if parts.setdefault(row, one.part) != one.part:
                return {}, "images are in several of them"
    if len(parts) < _SHARE * n:
        return {}, f"only {len(parts):,} of {counted(n, 'image')} are in them"
    return parts, ""
