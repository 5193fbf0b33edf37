"""Find images that are augmented copies of others by their names: 1_flip.jpg, IMG_1_jpg.rf.HASH.jpg."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from automl.data.sources.base import counted
from automl.data.sources.files.split_names import split_of, words_in

# Most data have none of them. Looking for one after the other takes a tenth of the time of an expression.
_HINTS = (
    *(
        ".rf.",
        "deg",
        "aug",
        "flip",
        "mirror",
        "rot",
        "bright",
        "dark",
        "contrast",
        "nois",
        "blur",
        "zoom",
        "shear",
    ),
    *("shift", "translat", "crop", "jitter", "elastic", "cutout"),
)
_WORD = (
    r"(?:new)?(?:aug(?:mented|mentation)?|[hv]?flip(?:ped)?(?:lr|tb|ud|h|v)?|mirror(?:ed)?|rot(?:ate|ated|ation)?"
    r"|\d{1,3} ?deg(?:rees?)?|(?:bright|dark)(?:ness|er|ened)?|contrast|noisy?|noise|blur(?:red|ry)?|zoom(?:ed)?"
    r"|shear(?:ed)?|shift(?:ed)?|translated?|translate|crop(?:ped)?|jitter(?:ed)?|elastic|cutout)"
)
# Pairs of words may be joined: new30degFlipLR.
_ENDING = re.compile(rf"[ _.(-]+(?:{_WORD}){{1,3}}([ _-]{{0,2}}-?\d{{1,4}})?\)?$", re.IGNORECASE)
_BEGINNING = re.compile(rf"^{_WORD}(?:[ _-]?\d{{1,3}})?[ _.-]+(?=.)", re.IGNORECASE)
_ROBOFLOW = re.compile(r"\.rf\.[0-9A-Za-z]{16,40}$")


class _Copy(NamedTuple):
    """The original that a name says; `certain` if other copies of it suffice, without the original itself."""

    source: str
    certain: bool


def augmented_groups(files: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return a group for each file, "" for none, and a note: an image and its augmented copies are one group.

    Copies are known by words at the ends of their names (`1_flip.jpg`, `1_90deg.jpg`, `aug_1.jpg`) beside the original
    (`1.jpg`) or each other, and by Roboflow's names (`1_jpg.rf.HASH.jpg`). Words with a number need the original, as
    `wheat_crop_1.jpg` and `wheat_crop_2.jpg` may be two fields. They lie in the same folder as their
    original, apart from folders of parts (`train/cat` and `valid/cat`) and of augmented images.
    """
    if not _may_say_so("\n".join(files)):
        return [""] * len(files), ()
    stems = [posixpath.splitext(file)[0] for file in files]
    copies = {
        row: found for row, file in enumerate(files) if _may_say_so(file) and (found := _copy_of(stems[row]))
    }
    if not copies:
        return [""] * len(files), ()
    plain = [_placed(stem) for stem in stems]
    originals = {name for row, name in enumerate(plain) if row not in copies or not copies[row].certain}
    certain = Counter(copy.source for copy in copies.values() if copy.certain)
    known = {
        copy.source
        for copy in copies.values()
        if copy.source in originals or (copy.certain and certain[copy.source] > 1)
    }
    groups = [""] * len(files)
    members: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(plain):
        copy = copies.get(row)
        source = name if copy is None or (name in known and copy.source not in known) else copy.source
        alone = copy is not None and not copy.certain and source not in originals
        if source in known and not alone:
            groups[row] = source
            members[source].append(row)
    if not members:
        return groups, ()
    first = next(iter(members.values()))
    example = " and ".join(files[row] for row in first[:2])
    n = sum(map(len, members.values()))
    return groups, (
        f"{counted(n, 'image')} are augmented copies of {len(members):,} by their names, such as {example}: the "
        "copies of one image are a group, which a drawn split keeps in one part.",
    )


def _may_say_so(names: str) -> bool:
    names = names.lower()
    return any(hint in names for hint in _HINTS)


def _copy_of(path: str) -> _Copy | None:
    """Return which original the path of a copy, without extension, names; None if it names none."""
    folder, name = posixpath.split(path)
    stem, certain = _ROBOFLOW.sub("", name), True
    if stem == name:
        while (found := _ENDING.search(stem)) is not None and found.start():
            stem, certain = stem[: found.start()], certain and found[1] is None
    if stem == name:
        stem, certain = _BEGINNING.sub("", name), False
    return None if stem == name else _Copy(_placed(posixpath.join(folder, stem)), certain)


def _placed(path: str) -> str:
    """Return a path without folders of parts and of augmented images."""
    folders = path.split("/")
    return "/".join([*(name for name in folders[:-1] if not _is_passed(name)), folders[-1]])


def _is_passed(folder: str) -> bool:
    return bool(split_of(folder)) or any(word.startswith(("aug", "orig")) for word in words_in(folder))
