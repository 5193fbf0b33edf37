"""What the paths of a folder (or of an archive of one) say: which files are pictures, their classes and
splits.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif"]
    + [".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"]
)
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "holdout"}

# What stands for a class and a split where pictures lie outside of the classes, or of the splits.
_STRAY, _BESIDE = ("", "outside"), ("", "")


@dataclass(frozen=True)
class Layout:
    """The pictures of a folder. `kept[i]` is the position of row i in the list of paths that was given."""

    kept: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    splits: list[str]
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """The pictures of the paths: position and number of the folder of each, and these folders in parts.

    Folders are few and pictures many: what a folder says is found out once.
    """

    kept: array[int] = field(default_factory=lambda: array("q"))
    folder_of: array[int] = field(default_factory=lambda: array("q"))
    folders: list[tuple[str, ...]] = field(default_factory=list)
    others: int = 0


def read_layout(paths: Sequence[str], *, where: str) -> Layout:
    """Find classes and splits in relative paths with "/" between their parts.

    With folders train/ (and val/, valid/, validation/, test/) at the top, the folder below names the class,
    else the top folder does; deeper folders do not count. A single folder around everything is looked
    through. Hidden files and folders and files without the ending of an image are ignored. Raises DataError,
    which names `where`, if no class is found.
    """
    found = _pictures(paths)
    if not found.kept:
        raise DataError(
            "the data must be a folder of class folders with images, but no image file was found in "
            f"{where!r}: put each class into a folder of its own (CLASS/NAME.jpg)"
        )
    depth = _wrapper_depth(found.folders)
    inner = [folder[depth:] for folder in found.folders]
    is_split, ignored = _split_folders(inner, where)
    meanings = [_meaning(parts, is_split=is_split) for parts in inner]
    folders = np.asarray(found.folder_of)
    strays = int(np.isin(folders, [k for k, meaning in enumerate(meanings) if meaning == _STRAY]).sum())
    classes = tuple(sorted({name for name, _ in meanings if name}))
    if not classes:
        raise DataError(
            f"the images must lie in one folder a class, but those in {where!r} lie in no class folder: "
            "move them to CLASS/NAME.jpg"
        )
    number = {name: i for i, name in enumerate(classes)}
    label_of = np.array([number.get(name, -1) for name, _ in meanings])
    kept = np.flatnonzero(label_of[folders] >= 0)
    split_of = [split for _, split in meanings]
    return Layout(
        kept=np.asarray(found.kept)[kept],
        classes=classes,
        labels=label_of[folders[kept]],
        splits=[split_of[k] for k in folders[kept].tolist()],
        notes=_notes(found.others, strays, ignored),
    )


def _meaning(parts: tuple[str, ...], *, is_split: bool) -> tuple[str, str]:
    """(class, split) of the pictures in a folder; `_STRAY` or `_BESIDE` for those that are left out."""
    split = SPLIT_FOLDERS.get(parts[0].lower(), "") if is_split and parts else ""
    if is_split and not split:
        return _BESIDE
    inner = parts[1:] if is_split else parts
    return (unicodedata.normalize("NFC", inner[0]), split) if inner else _STRAY


def printable(path: str) -> str:
    """The path as text that can be written anywhere: bytes that are no UTF-8 become escapes."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return path  # the same object: there are many


def _pictures(paths: Sequence[str]) -> _Found:
    found = _Found()
    known: dict[str, int] = {}  # a folder's number; -1 for a hidden one
    images: dict[str, bool] = {}  # whether an ending is that of an image
    for position, path in enumerate(paths):
        # Not pathlib, which takes a second for 60,000 paths.
        folder, _, name = path.rpartition("/")
        number = known.get(folder)
        if number is None:
            number = known[folder] = _add_folder(found, folder)
        if number < 0 or name.startswith(".") or name == "__MACOSX":
            continue
        stem, dot, ending = name.rpartition(".")
        is_image = images.get(ending)
        if is_image is None:
            is_image = images[ending] = f".{ending.lower()}" in IMAGE_SUFFIXES
        if is_image and dot and stem:
            found.kept.append(position)
            found.folder_of.append(number)
        else:
            found.others += 1
    return found


def _add_folder(found: _Found, folder: str) -> int:
    """Its number, new or that of another spelling; -1 where it, or one around it, is hidden."""
    parts = tuple(part for part in folder.split("/") if part not in ("", "."))
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return -1
    found.folders.append(parts)
    return len(found.folders) - 1


def _wrapper_depth(folders: Sequence[tuple[str, ...]]) -> int:
    """How many folders lie around everything and tell nothing: 0 unless class or split folders lie in the
    last.
    """
    depth = 0
    while True:
        tops = {parts[depth] for parts in folders if len(parts) > depth}
        direct = any(len(parts) == depth for parts in folders)
        if len(tops) > 1 or any(top.lower() in SPLIT_FOLDERS for top in tops):
            return depth
        if not tops or direct:
            return 0
        depth += 1


def _split_folders(folders: Sequence[tuple[str, ...]], where: str) -> tuple[bool, tuple[str, ...]]:
    """Whether the top folders are splits, and which top folders are then left out.

    A class may be called "train" (beside "car" and "plane"), so other folders beside it are classes unless a
    second split lies beside it and class folders lie in it.
    """
    tops = {parts[0] for parts in folders if parts}
    splits = {top for top in tops if top.lower() in SPLIT_FOLDERS}
    nested = {parts[1] for parts in folders if len(parts) > 1 and parts[0].lower() == "train"}
    whole = bool(splits) and splits == tops
    if not whole and not (len(splits) > 1 and len(nested) > 1):
        return False, ()
    if not any(SPLIT_FOLDERS[top.lower()] == "train" for top in splits):
        names = ", ".join(sorted(splits))
        raise DataError(
            f"a folder with {names} must have a train folder beside it, but {where!r} has none: add it"
        )
    return True, tuple(sorted(tops - splits))


def _notes(others: int, strays: int, ignored: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(f"{_counted(others, 'file')} without the ending of an image ignored.")
    if strays:
        notes.append(f"{_counted(strays, 'image')} outside of the class folders ignored.")
    if ignored:
        notes.append(
            f"Folders beside train and test ignored: {', '.join(printable(name) for name in ignored)}."
        )
    return tuple(notes)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"
