"""What the paths of a folder (or of an archive of one) say: which files are pictures, their classes and
splits.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from automl.errors import DataError

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif"]
    + [".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"]
)
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "holdout"}


@dataclass(frozen=True)
class Layout:
    """The pictures of a folder. `kept[i]` is the position of row i in the list of paths that was given."""

    kept: tuple[int, ...]
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """What is gathered on the way from paths to a layout."""

    kept: list[int] = field(default_factory=list)
    parts: list[tuple[str, ...]] = field(default_factory=list)
    others: int = 0
    strays: list[str] = field(default_factory=list)


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
    depth = _wrapper_depth(found.parts)
    is_split, ignored = _split_folders([parts[depth:] for parts in found.parts], where)
    rows: list[tuple[int, str, str]] = []
    for position, parts in zip(found.kept, found.parts, strict=True):
        inner = parts[depth:]
        split = SPLIT_FOLDERS.get(inner[0].lower(), "") if is_split else ""
        inner = inner[1:] if is_split else inner
        if is_split and not split:
            continue
        if len(inner) < 2:
            found.strays.append(parts[-1])
            continue
        rows.append((position, unicodedata.normalize("NFC", inner[0]), split))
    if not rows:
        raise DataError(
            f"the images must lie in one folder a class, but those in {where!r} lie in no class folder: "
            "move them to CLASS/NAME.jpg"
        )
    classes = tuple(sorted({name for _, name, _ in rows}))
    number = {name: i for i, name in enumerate(classes)}
    return Layout(
        kept=tuple(position for position, _, _ in rows),
        classes=classes,
        labels=tuple(number[name] for _, name, _ in rows),
        splits=tuple(split for _, _, split in rows),
        notes=_notes(found, ignored),
    )


def printable(path: str) -> str:
    """The path as text that can be written anywhere: bytes that are no UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _pictures(paths: Sequence[str]) -> _Found:
    found = _Found()
    for position, path in enumerate(paths):
        # Not pathlib, which takes a second for 60,000 paths.
        parts = tuple(part for part in path.split("/") if part not in ("", "."))
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if posixpath.splitext(parts[-1])[1].lower() in IMAGE_SUFFIXES:
            found.kept.append(position)
            found.parts.append(parts)
        else:
            found.others += 1
    return found


def _wrapper_depth(rows: Sequence[tuple[str, ...]]) -> int:
    """How many folders lie around everything and tell nothing: 0 unless class or split folders lie in the
    last.
    """
    depth = 0
    while True:
        tops = {parts[depth] for parts in rows if len(parts) > depth + 1}
        direct = any(len(parts) == depth + 1 for parts in rows)
        if len(tops) > 1 or any(top.lower() in SPLIT_FOLDERS for top in tops):
            return depth
        if not tops or direct:
            return 0
        depth += 1


def _split_folders(rows: Sequence[tuple[str, ...]], where: str) -> tuple[bool, tuple[str, ...]]:
    """Whether the top folders are splits, and which top folders are then left out.

    A class may be called "train" (beside "car" and "plane"), so other folders beside it are classes unless a
    second split lies beside it and class folders lie in it.
    """
    tops = {parts[0] for parts in rows if len(parts) > 1}
    splits = {top for top in tops if top.lower() in SPLIT_FOLDERS}
    nested = {parts[1] for parts in rows if len(parts) > 2 and parts[0].lower() == "train"}
    whole = bool(splits) and splits == tops
    if not whole and not (len(splits) > 1 and len(nested) > 1):
        return False, ()
    if not any(SPLIT_FOLDERS[top.lower()] == "train" for top in splits):
        names = ", ".join(sorted(splits))
        raise DataError(
            f"a folder with {names} must have a train folder beside it, but {where!r} has none: add it"
        )
    return True, tuple(sorted(tops - splits))


def _notes(found: _Found, ignored: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    if found.others:
        notes.append(f"{_counted(found.others, 'file')} without the ending of an image ignored.")
    if found.strays:
        notes.append(f"{_counted(len(found.strays), 'image')} outside of the class folders ignored.")
    if ignored:
        notes.append(
            f"Folders beside train and test ignored: {', '.join(printable(name) for name in ignored)}."
        )
    return tuple(notes)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"
