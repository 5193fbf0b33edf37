"""Find the images among the paths of a folder or an archive."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif"]
    + [".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"]
)
# macOS, Synology, Windows.
_OF_SYSTEMS = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
MOST_NAMED = 3  # files without the extension of an image that a note names


@dataclass
class ImageFiles:
    """Position and folder number of each image, and the parts of each folder's path.

    Folders are few and images are many, so each folder is interpreted once.
    """

    kept: array[int] = field(default_factory=lambda: array("q"))
    folder_of: array[int] = field(default_factory=lambda: array("q"))
    folders: list[tuple[str, ...]] = field(default_factory=list)
    others: int = 0
    named: list[str] = field(default_factory=list)


def image_files(paths: Sequence[str]) -> ImageFiles:
    """Return the images among paths, without hidden ones and those in hidden folders."""
    found = ImageFiles()
    known: dict[str, int] = {}  # a folder's number; -1 for a hidden one
    images: dict[str, bool] = {}  # whether an extension is that of an image
    for position, path in enumerate(paths):
        # pathlib takes a second for 60,000 paths.
        folder, _, name = path.rpartition("/")
        number = known.get(folder)
        if number is None:
            number = known[folder] = _add_folder(found, folder)
        if number < 0 or is_hidden(name):
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
            found.named += [path] if found.others <= MOST_NAMED else []
    return found


def _add_folder(found: ImageFiles, folder: str) -> int:
    """Return the number of a new folder; -1 where it, or a folder around it, is hidden."""
    parts = tuple(part for part in folder.split("/") if part not in ("", "."))
    if any(map(is_hidden, parts)):
        return -1
    found.folders.append(parts)
    return len(found.folders) - 1


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that a system makes for itself, such as for thumbnails."""
    return name.startswith(".") or name in _OF_SYSTEMS
