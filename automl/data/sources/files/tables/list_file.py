"""Read lists of images in text files, as ImageNet and Caffe have them: `cat/1.jpg 0` on each line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from automl.data.sources.files.image_files import IMAGE_SUFFIXES

_LOOKED_AT = 20  # lines
_FEWEST_NUMBERED = 3  # rows that have numbers before their images
_ENDS = "|".join(re.escape(end[1:]) for end in sorted(IMAGE_SUFFIXES, key=len, reverse=True))
_PATH_FIRST = re.compile(rf"(.*?\.(?:{_ENDS}))\s+(\S.*)", re.IGNORECASE)


class ImageList(NamedTuple):
    """The rows of a list and the names of their cells; `separator` is in words."""

    columns: list[str]
    rows: list[list[str]]
    separator: str


def read_list(text: str) -> ImageList | None:
    """Return the rows of a list of images; None if the lines are anything else.

    Cells are separated by tabs, commas, semicolons or spaces. The cell with an image file may be any of them; where
    spaces separate, it comes first and may hold some, or it comes last after numbers. The only other cell is the label;
    numbers of the rows before the image are no label. The first line may name the columns, also below a line with the
    count of rows, as in CelebA. Lines that begin with # are comments.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for header in range(min(3, len(lines))):
        found = _cells(lines[header:])
        if found is None:
            continue
        separator, rows, place = found
        if not header:
            return ImageList(_named(rows, place), rows, separator)
        names = _MARKS.get(separator, str.split)(lines[header - 1])
        names = ["image", *names] if len(names) == len(rows[0]) - 1 else names
        fits = len(names) == len(rows[0]) and not any(map(_is_image, names))
        return ImageList(names, rows, separator) if fits and (header == 1 or lines[0].isdecimal()) else None
    return None


def is_list(text: str, *, labelled: bool) -> bool:
    """Return whether the first lines of a text are a list of images; `labelled`: with something beside the images."""
    head = [line for line in text.splitlines()[: 4 * _LOOKED_AT] if line.strip() and not line.startswith("#")]
    found = read_list("\n".join(head[:_LOOKED_AT]))
    return found is not None and (not labelled or bool(set(found.columns) - {"image", "index"}))


def _cells(lines: Sequence[str]) -> tuple[str, list[list[str]], int] | None:
    """Return the separator, the cells of each line, and which of them is the image."""
    for separator, cut in (*_MARKS.items(), *_WITH_SPACES, ("lines", _whole)):
        first = [cut(line) for line in lines[:_LOOKED_AT]]
        width = len(first[0])
        place = _place_of_image(first) if {len(row) for row in first} == {width} else None
        if place is None or (width == 1 and cut is not _whole):
            continue
        rows = [cut(line) for line in lines]
        if all(len(row) == width for row in rows):
            return separator, rows, place
    return None


def _place_of_image(rows: Sequence[Sequence[str]]) -> int | None:
    """Return the first place at which all rows have the name of an image file."""
    return next((k for k in range(len(rows[0])) if all(_is_image(row[k]) for row in rows)), None)


def _named(rows: Sequence[Sequence[str]], place: int) -> list[str]:
    """Return names for the cells of rows without a header."""
    width = len(rows[0])
    numbers = next((k for k in range(place) if _counts_up([row[k] for row in rows])), None)
    others = [k for k in range(width) if k not in (place, numbers)]
    names = {k: f"column {k + 1}" for k in others} if len(others) > 1 else dict.fromkeys(others, "label")
    return ["image" if k == place else "index" if k == numbers else names[k] for k in range(width)]


def _counts_up(cells: Sequence[str]) -> bool:
    """Return whether cells are the numbers of their rows, from 0 or 1."""
    if len(cells) < _FEWEST_NUMBERED or cells[0] not in ("0", "1"):
        return False
    return all(cell == str(k) for k, cell in enumerate(cells, int(cells[0])))


def _is_image(cell: str) -> bool:
    return PurePosixPath(cell.replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES


def _at(mark: str) -> Callable[[str], list[str]]:
    return lambda line: [cell.strip() for cell in line.split(mark)]


def _after_path(line: str) -> list[str]:
    """Return an image whose name may hold spaces, and the words after it."""
    found = _PATH_FIRST.fullmatch(line)
    return [found[1], *found[2].split()] if found else [line]


def _path_and_rest(line: str) -> list[str]:
    """Return an image and one label, both of which may hold spaces."""
    found = _PATH_FIRST.fullmatch(line)
    return [found[1], found[2]] if found else [line]


def _after_number(line: str) -> list[str]:
    """Return the words of a line that begins with a number; a word may be the begin of a file's name."""
    words = line.split()
    return words if words[0].isdecimal() else [line]


def _whole(line: str) -> list[str]:
    return [line]


_MARKS = {"tabs": _at("\t"), "commas": _at(","), "semicolons": _at(";")}
_WITH_SPACES = (("spaces", _after_path), ("spaces", _path_and_rest), ("spaces", _after_number))
