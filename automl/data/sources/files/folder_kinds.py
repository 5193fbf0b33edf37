"""Look through folders that are no classes or parts: labelled/ beside unlabelled/, images/ beside masks/, folds."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from automl.data.sources.files.split_names import (
    HOLDOUT,
    TRAIN,
    UNLABELLED,
    VAL,
    plain_word,
    split_of,
    splits_among,
)

Folder = tuple[str, ...]
_LABELLED = frozenset(("labelled", "labeled", "annotated", "etiquetado", "etiquetadas", "etiquete"))
_IMAGES = frozenset(
    (
        "images",
        "image",
        "imgs",
        "img",
        "jpegimages",
        "photos",
        "pictures",
        "pics",
        "imagenes",
        "bilder",
        "rgb",
    )
)
# What lies beside images and describes them.
_SIDES = frozenset(
    (
        "masks",
        "mask",
        "annotations",
        "annotation",
        "annots",
        "labels",
        "label",
        "segmentation",
        "segmentations",
    )
    + (
        "groundtruth",
        "gt",
        "bboxes",
        "boxes",
        "depth",
        "edges",
        "thumbnails",
        "thumbs",
        "previews",
        "heatmaps",
    )
    + ("trimaps", "contours", "segmentationclass", "segmentationobject", "maskimages", "segmentationmasks")
)
_FOLD = re.compile(
    r"(fold|folds|cv|split|part|batch|chunk|shard|session|round|teil|parte|partie)[\W_]*\d{1,4}"
)
_MASK_WORDS = "mask seg gt groundtruth annotat pixels depth overlay heatmap contour edges"
_MASK = re.compile(
    r"[ _.-](masks?|seg|segmentation|gt|groundtruth|annotation|annotated|superpixels|depth|overlay|heatmap|contours?"
    r"|edges)([ _-]?\d{1,3})?\.\w+$",
    re.IGNORECASE,
)
_MASK_BEFORE = re.compile(r"(?:^|(?<=/))(?:masks?|seg|gt)[ _.-]+(?=[^/]+$)", re.IGNORECASE)
# Folders in which people put aside what is of no class.
_PUT_ASIDE = """
backup backups old trash tmp temp unsorted tosort ignore ignored newfolder deleted rejected duplicates excluded todo bin
"""
_ASIDE = frozenset(_PUT_ASIDE.split())
SHOWN = 5
_DEEPEST = 4  # folders around images beside masks


@dataclass(frozen=True)
class Unwrapped:
    """The folders without what lies around class folders and parts, None for those left out; `notes` tell."""

    folders: list[Folder | None]
    notes: tuple[str, ...] = ()


def unwrap(folders: Sequence[Folder]) -> Unwrapped:
    """Look through folders at the top, and in those of a split, that hold all images of one kind."""
    found: list[Folder | None] = list(folders)
    notes: list[str] = []
    for step in (_split_inside, _labelled_beside_unlabelled, _images_beside_others, _folds, _same_again):
        notes += step(found)
    return Unwrapped(found, tuple(notes))


def is_image_folder(name: str) -> bool:
    """Return whether a name says only that images are in the folder."""
    return _bare(name) in _IMAGES


def describes_others(name: str) -> bool:
    """Return whether a name is one of what lies beside images: masks, ground truth."""
    return _bare(name) in _SIDES


def lies_aside(name: str) -> bool:
    """Return whether a name is one of folders in which people put aside what is of no class: backup, unsorted."""
    return _bare(name) in _ASIDE


def says_nothing(names: Iterable[str]) -> bool:
    """Return whether names differ in numbers alone and mean no classes: images_001, images_002; part1, part2."""
    found = list(names)
    stems = {re.sub(r"\d+", " ", plain_word(name)) for name in found}
    if len(found) < 2 or len(stems) > 1:
        return False
    words = re.split(r"[\W_]+", stems.pop())
    return any(word in _IMAGES or _FOLD.fullmatch(f"{word} 1") is not None for word in words)


def masks_among(paths: Sequence[str]) -> frozenset[str]:
    """Return the paths of images that are masks of others beside them by their names: a/1_mask.png beside a/1.png."""
    together = "\n".join(paths).lower()  # most data have none, and there are many paths
    if not any(word in together for word in _MASK_WORDS.split()):
        return frozenset()
    found = {path: path[: match.start()] for path in paths if (match := _MASK.search(path))}
    found |= {
        path: (path[: match.start()] + path[match.end() :]).rpartition(".")[0]
        for path in paths
        if (match := _MASK_BEFORE.search(path))
    }
    if not found:
        return frozenset()
    stems = {path.rpartition(".")[0] for path in paths}
    return frozenset(path for path, image in found.items() if image in stems)


def describes_images(path: str) -> bool:
    """Return whether a file looks like boxes or masks of an image: labels/1.txt, Annotations/1.xml."""
    folders, _, name = path.rpartition("/")
    return name.lower().endswith((".txt", ".xml", ".json", ".png")) and any(
        _bare(folder) in _SIDES for folder in folders.split("/")
    )


def in_letters_of_training(meanings: list[tuple[str, str] | None]) -> tuple[str, ...]:
    """Replace classes of other parts by those of training that differ in case or punctuation alone; return notes."""
    trained = {found[0] for found in meanings if found and found[1] == TRAIN}
    by_letters: dict[str, set[str]] = defaultdict(set)
    for name in trained:
        by_letters[_letters(name)].add(name)
    changed: dict[str, str] = {}
    for k, found in enumerate(meanings):
        if found is None or found[0] in trained:
            continue
        alike = by_letters.get(_letters(found[0]), set())
        if len(alike) == 1:
            changed[found[0]] = next(iter(alike))
            meanings[k] = (changed[found[0]], found[1])
    if not changed:
        return ()
    shown = ", ".join(f"{name} as {changed[name]}" for name in sorted(changed)[:SHOWN])
    return (f"Class folders taken for those of train with the same letters: {shown}.",)


def _labelled_beside_unlabelled(folders: list[Folder | None]) -> list[str]:
    tops = _tops(folders, 0)
    labelled = {name for name in tops if _bare(name) in _LABELLED and tops[name]}
    parts = {name: split_of(name) for name in tops if name not in labelled}
    if not labelled or not parts or not all(parts.values()):
        return []
    left = sorted(name for name, part in parts.items() if part == UNLABELLED)
    alone = len(left) == len(parts)
    for k, folder in enumerate(folders):
        if folder and folder[0] in labelled:
            folders[k] = folder[1:] if alone else (TRAIN, *folder[1:])
        elif folder and folder[0] in left:
            folders[k] = None
    said = f"The images with labels are those in {listed(labelled)}"
    return [said + (f"; without labels, and left out: {listed(left)}." if left else ".")]


def _split_inside(folders: list[Folder | None]) -> list[str]:
    """Look through the one folder that holds train and the like, where all folders beside it are parts, too."""
    tops = _tops(folders, 0)
    around = [name for name in tops if not split_of(name)]
    if len(tops) < 2 or len(around) != 1 or TRAIN in map(split_of, tops):
        return []
    depth, top = 1, around[0]
    inside = [folder for folder in folders if folder and folder[0] == top]
    while len(
        names := {folder[depth] if len(folder) > depth else "" for folder in inside}
    ) == 1 and names != {""}:
        depth += 1
    if TRAIN not in map(split_of, names):
        return []
    left = sorted(name for name in tops if name != top and split_of(name) in map(split_of, names))
    for k, folder in enumerate(folders):
        if folder and folder[0] == top:
            folders[k] = folder[depth:]
        elif folder and folder[0] in left:
            folders[k] = None
    said = f"The parts of a split are those in {'/'.join(inside[0][:depth])}/"
    return [said + (f"; left out beside it: {listed(left)}." if left else ".")]


def _images_beside_others(folders: list[Folder | None]) -> list[str]:
    """Look through images/ beside masks/ and the like: at the top, and in the folders of parts and classes."""
    found: dict[Folder, dict[str, None]] = defaultdict(dict)
    for folder in folders:
        for depth in range(min(len(folder or ()), _DEEPEST)):
            found[(folder or ())[:depth]][(folder or ())[depth]] = None
    chosen: dict[Folder, str] = {}
    left: list[str] = []
    for place, names in found.items():
        images = [name for name in names if is_image_folder(name)]
        others = [name for name in names if _bare(name) in _SIDES]
        if len(images) == 1 and others and len(names) == 1 + len(others):
            chosen[place] = images[0]
            left += ["/".join((*place, name)) for name in others]
    for k, folder in enumerate(folders if chosen else ()):
        for depth in range(min(len(folder or ()), _DEEPEST) - 1, -1, -1):
            if folder and (image := chosen.get(folder[:depth])) is not None:
                same = folders[k] is not None and folder[depth] == image
                folders[k] = (*folder[:depth], *(folders[k] or ())[depth + 1 :]) if same else None
    seen = ["/".join((*place, image, "")) for place, image in chosen.items()]
    if not seen:
        return []
    beside = "it" if len(seen) == 1 else "them"
    return [f"The images are those in {listed(seen)}; left out beside {beside}: {listed(left)}."]


def _folds(folders: list[Folder | None]) -> list[str]:
    """Look through fold_1/, fold_2/ and so on, which hold the same classes, or the same parts of a split."""
    tops = _tops(folders, 0)
    kinds = {found[1] for name in tops if (found := _FOLD.fullmatch(plain_word(name)))}
    if len(tops) < 2 or len(kinds) != 1 or not all(map(_FOLD.fullmatch, map(plain_word, tops))):
        return []
    if any(folder is not None and len(folder) == 1 for folder in folders):
        return []
    names = sorted(tops, key=lambda name: int(re.findall(r"\d+", name)[-1]))
    if all(TRAIN in splits_among(below).values() for below in tops.values()):
        for k, folder in enumerate(folders):
            if folder:
                folders[k] = folder[1:] if folder[0] == names[0] else None
        return [
            f"Folds of a cross-validation, of which {names[0]}/ is used and the others, with the same images in other "
            f"parts, are left out: {listed(names[1:])}."
        ]
    if len(set.intersection(*tops.values())) < 2:
        return []
    folders[:] = [folder[1:] if folder else folder for folder in folders]
    return [
        f"Folders with the same classes put together: {listed(names)}; the split is drawn from all of them."
    ]


def _same_again(folders: list[Folder | None]) -> list[str]:
    """Leave out folders that hold the class folders beside them again; train/val/ is a part if it does.

    Archives of Kaggle often hold a copy of everything: cat/, dog/ and animals/cat/, animals/dog/.
    """
    left: list[str] = []
    parts: list[str] = []
    for place in [(), *((top,) for top in _tops(folders, 0) if split_of(top))]:
        for name in _with_those_beside(folders, place):
            around = (*place, name)
            is_part = bool(place) and split_of(name) in (VAL, HOLDOUT)
            (parts if is_part else left).append("/".join(around))
            for k, folder in enumerate(folders):
                if folder and folder[: len(around)] == around:
                    folders[k] = folder[len(place) :] if is_part else None
    notes = []
    if parts:
        notes.append(
            f"Taken for parts of a split, as they hold the class folders beside them: {listed(parts)}."
        )
    if left:
        notes.append(
            f"Left out, as the folders beside it are in it again: {listed(left)}; to use its images, move them into "
            "those."
        )
    return notes


def _with_those_beside(folders: Sequence[Folder | None], place: Folder) -> list[str]:
    """Return the folders in a place that hold two or more of the class folders beside them."""
    inside = [folder[len(place) :] for folder in folders if folder and folder[: len(place)] == place]
    names = [name for name in _tops(inside, 0) if place or not split_of(name)]
    classes = {name for name in names if not split_of(name)}
    return [name for name in names if len(_behind_single(inside, name) & (classes - {name})) > 1]


def _behind_single(folders: Sequence[Folder], top: str) -> set[str]:
    """Return the folders in one at the top, or in the only folder that is in it."""
    inside, depth = [folder for folder in folders if folder[:1] == (top,)], 1
    while True:
        found = {folder[depth] if len(folder) > depth else "" for folder in inside}
        if len(found) != 1 or "" in found:
            return found
        depth += 1


def _tops(folders: Sequence[Folder | None], depth: int) -> dict[str, set[str]]:
    """Return the folders at a depth with the names of those in them."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        if folder is not None and len(folder) > depth:
            found[folder[depth]].update(folder[depth + 1 : depth + 2])
    return dict(found)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", plain_word(name))


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def listed(names: Iterable[str]) -> str:
    """Return the first names with commas between them, as text that can be written anywhere."""
    found = sorted(names)
    shown = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in found[:SHOWN])
    return shown + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
