"""Find images, classes and splits in the paths of a folder or an archive."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import counted
from automl.errors import DataError

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif"]
    + [".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"]
)
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "holdout"}

# In place of (class, split) for images outside of the class folders, or outside of the splits.
_STRAY, _BESIDE = ("", "outside"), ("", "")


@dataclass(frozen=True)
class Layout:
    """The images of a folder. `kept[i]` is the position of row i in the given list of paths."""

    kept: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    splits: list[str]
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """Position and folder number of each image, and the parts of each folder's path.

    Folders are few and images are many, so each folder is interpreted once.
    """

    kept: array[int] = field(default_factory=lambda: array("q"))
    folder_of: array[int] = field(default_factory=lambda: array("q"))
    folders: list[tuple[str, ...]] = field(default_factory=list)
    others: int = 0


def read_layout(paths: Sequence[str], *, where: str) -> Layout:
    """Find classes and splits in relative paths with "/" between their parts.

    With folders train/ (and val/, valid/, validation/, test/) at the top, the folder below names the class.
    Otherwise the top folder does. Deeper folders do not count. A single folder around everything is skipped.
    Hidden files and folders and files without the extension of an image are ignored. Raises DataError, which
    names `where`, if no class is found.
    """
    found = _image_files(paths)
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
            f"each class must have a folder of images, but those in {where!r} lie in no class folder: "
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
    """Return (class, split) of the images in a folder; `_STRAY` or `_BESIDE` for those that are left out."""
    split = SPLIT_FOLDERS.get(parts[0].lower(), "") if is_split and parts else ""
    if is_split and not split:
        return _BESIDE
    inner = parts[1:] if is_split else parts
    return (unicodedata.normalize("NFC", inner[0]), split) if inner else _STRAY


def printable(path: str) -> str:
    """Return the path as text that can be written anywhere: bytes that are not UTF-8 become escapes."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return path  # the same object: there are many


def _image_files(paths: Sequence[str]) -> _Found:
    found = _Found()
    known: dict[str, int] = {}  # a folder's number; -1 for a hidden one
    images: dict[str, bool] = {}  # whether an extension is that of an image
    for position, path in enumerate(paths):
        # pathlib takes a second for 60,000 paths.
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
    """Return the number of a new folder; -1 where it, or a folder around it, is hidden."""
    parts = tuple(part for part in folder.split("/") if part not in ("", "."))
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return -1
    found.folders.append(parts)
    return len(found.folders) - 1


def _wrapper_depth(folders: Sequence[tuple[str, ...]]) -> int:
    """Return how many folders lie around everything: 0 unless class or split folders lie in the last one."""
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
    """Return whether the top folders are splits, and the top folders that are then left out.

    A class may be called "train" (beside "car" and "plane"). The top folders are splits only if all have names of
    splits, or if several do and train/ holds class folders.
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
        notes.append(f"{counted(others, 'file')} without the extension of an image ignored.")
    if strays:
        notes.append(f"{counted(strays, 'image')} outside of the class folders ignored.")
    if ignored:
        notes.append(
            f"Folders beside train and test ignored: {', '.join(printable(name) for name in ignored)}."
        )
    return tuple(notes)
