"""Add the images of test/ and val/ without class folders, if a table says their classes: GTSRB, Tiny ImageNet."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files
from automl.data.sources.files.folder_roles import bare_note, flat_note
from automl.data.sources.files.layout import Layout, outside_note, printable
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, VAL, split_of, words_in
from automl.data.sources.files.tables.columns import make_table
from automl.data.sources.files.tables.find_tables import NO_LABELS
from automl.data.sources.files.tables.lookup import Lookup, part_in_name
from automl.data.sources.files.tables.read_table import SUFFIXES, most_bytes, read_table
from automl.data.sources.files.tables.split_columns import texts
from automl.errors import DataError

_SHARE = 0.9  # of the images in a folder that a table must name
_MOST_TABLES = 20  # of a folder; more are those of single images
# Words in names of columns and tables with answers of a model.
_ANSWERS = frozenset(("pred", "preds", "predict", "predicted", "prediction", "predictions", "yhat"))


def with_labelled_parts(files: Files, layout: Layout) -> tuple[Layout, frozenset[str]]:
    """Return class folders with the images of parts whose classes a table says, and these tables.

    A part is a folder such as test/ or val/ of which no image is used. Its table lies in it (val/val_annotations.txt)
    or beside it (Test.csv), names 90 % of its images, and has one column whose cells are all names of class folders,
    two of them or more: the same in all rows are predictions to be made. Tables and columns called predictions do not
    count. Numbers must be in a column called label.
    """
    used, tables = layout, set[str]()
    images = files.paths.images
    taken = set(np.asarray(images.folder_of)[np.isin(images.kept, layout.kept)].tolist())
    number = {name: k for k, name in enumerate(layout.classes)}
    bare = _bare_parts(files, images.folders, taken)
    read: dict[str, str] = {}
    for folder, part in bare.items():
        inside = {files.paths[i] for i in images.kept if files.paths[i].startswith(f"{folder}/")}
        for path in _tables_of(files, folder, part):
            said = _classes(files, path, inside, number)
            if len(said) >= _SHARE * len(inside):
                used = _added(files, used, said, part)
                read[folder] = (
                    f"{counted(len(said), 'image')} of {printable(folder)}/ as {part}, as in {printable(path)}"
                )
                tables.add(path)
                break
    if not read:
        return layout, frozenset()
    left, more = len(images.kept) - len(layout.kept), len(used.kept) - len(layout.kept)
    changed = {outside_note(left): outside_note(left - more) if left > more else ""}
    before, after = (
        [posixpath.basename(folder) for folder in bare],
        [*map(posixpath.basename, bare.keys() - read)],
    )
    for note_on in (bare_note, flat_note):
        changed[note_on(before)] = note_on(after) if after else ""
    notes = [changed.get(note, note) for note in layout.notes]
    told = [f"Classes from a table: {said}." for said in read.values()]
    return replace(used, notes=(*filter(None, notes), *told)), frozenset(tables)


def _bare_parts(files: Files, folders: Sequence[tuple[str, ...]], taken: set[int]) -> dict[str, str]:
    """Return the folders of parts without any image that is used, and what they are."""
    around = files.paths.around
    depth = len(around.split("/")) if around else 0
    tops: dict[str, list[bool]] = defaultdict(list)
    for k, folder in enumerate(folders):
        if len(folder) > depth:
            tops["/".join(folder[: depth + 1])].append(k in taken)
    parts = {top: split_of(posixpath.basename(top)) for top, of in tops.items() if not any(of)}
    return {top: part for top, part in parts.items() if part in (VAL, HOLDOUT)}


def _tables_of(files: Files, folder: str, part: str) -> list[str]:
    """Return the tables in a folder, and those of its part beside it."""
    found = []
    for path in files.paths.ending(SUFFIXES):
        name = posixpath.basename(path)
        if NO_LABELS not in path.lower() and not _are_answers(name):
            beside = posixpath.dirname(path) == posixpath.dirname(folder) and part_in_name(path) == part
            if beside or posixpath.dirname(path) == folder:
                found.append(path)
    return found if len(found) <= _MOST_TABLES else []


def _are_answers(name: str) -> bool:
    return bool(_ANSWERS & set(words_in(name)))


def _classes(files: Files, path: str, inside: set[str], number: Mapping[str, int]) -> dict[str, int]:
    """Return the number of the class of each image in a table; nothing if it does not say them."""
    lookup = Lookup(files, posixpath.dirname(path), prefer=part_in_name(path))
    try:
        frame = read_table(path, files.read(path, most=most_bytes(path)), lookup.paths)
        table = make_table(frame, where=path, find=lookup.find)
    except DataError:  # then it is no table of images
        return {}
    if table is None:
        return {}
    named = [name for name in frame.columns if name != table.image and not _are_answers(name)]
    columns = {name: texts(frame, name) for name in named}
    fits = [name for name, cells in columns.items() if len(set(cells)) > 1 and number.keys() >= set(cells)]
    if len(fits) != 1 or (fits[0] != table.label and all(map(str.isdecimal, columns[fits[0]]))):
        return {}
    found = {}
    for cell, said in zip(texts(frame, table.image), columns[fits[0]], strict=True):
        place = lookup.find(cell.replace("\\", "/"))
        if place in inside:
            found[str(place)] = number[said]
    return found


def _added(files: Files, layout: Layout, said: Mapping[str, int], part: str) -> Layout:
    more = [i for i, path in enumerate(files.paths) if path in said]
    return replace(
        layout,
        kept=np.concatenate([layout.kept, np.array(more, dtype=np.int64)]),
        labels=np.concatenate([layout.labels, np.array([said[files.paths[i]] for i in more])]),
        splits=[*(split or TRAIN for split in layout.splits), *[part] * len(more)],
    )
