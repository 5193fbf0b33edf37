"""The protocol of a source of labelled images, and functions that sources share."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.decoding.pixel_range import PixelRange
from automl.data.pixels import open_header, quiet_pillow
from automl.data.sources.files.base import Files
from automl.errors import DataError
from automl.records import LabelType, Task

# Joining all lines at once would take three times their memory.
_LINES_AT_ONCE = 4096

Targets = npt.NDArray[np.int64] | npt.NDArray[np.float32]


class Source(Protocol):
    """Labelled images. Row i is `files[i]`, `targets[i]`, `splits[i]`, `groups[i]`.

    `files` are unique, printable names. `targets` is what a model learns: for classification, indices into `classes`
    (int64, N); for the other tasks, float32 (N, len(classes)), 0 or 1 for each label of `classes` (multilabel) or the
    value of each column in `classes` (regression). `splits` holds "train", "val", "holdout" or "" for rows that the
    data do not assign. Rows of one group (not "") stay in one part. `notes` are sentences about what was left out or
    guessed. `label_type` is the type in which labels were given, and in which predictions return them.
    `pixel_range` is black and white of pixels with more than 8 bits, empty as long as it is unknown.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    files: Sequence[str]
    targets: Targets
    splits: Sequence[str]
    groups: Sequence[str]
    notes: tuple[str, ...]
    label_type: LabelType = "text"
    pixel_range: PixelRange = ()

    def read(self, i: int) -> bytes:
        """Return the bytes of row i; copies have the same bytes. Raises DataError with a short reason."""

    def state(self) -> str:
        """Return a quick hash that changes when the images do: of names, sizes and times, not of all bytes."""

    def decode(self, data: bytes) -> Image.Image:
        """Return the image in the bytes of a row, perhaps not decoded yet; errors as for `read`."""
        return open_header(data)

    def load(self, i: int) -> Image.Image:
        """Return the image of row i. Raises DataError ("FILE: reason")."""
        try:
            with quiet_pillow():
                return self.decode(self.read(i))
        except DataError as error:
            raise DataError(f"{self.files[i]}: {error}") from error

    def content(self, digests: Sequence[str]) -> str:
        """Return the fingerprint of the data: a hash of content and labels, independent of path and order.

        `digests` are the SHA-256 of every row, "" for unreadable ones.
        """
        rows = zip(self.files, digests, label_words(self), strict=True)
        return hash_lines("\0".join(row) for row in rows)

    def outline(self) -> str:
        """Return a hash of names and labels, which no image is read for: other outlines are other fingerprints."""
        return hash_pairs(self.files, label_words(self))

    def stored(self) -> tuple[Files, Sequence[str]] | None:
        """Return the files that hold the images and the path of each row; None if the images lie in no files."""
        return None

    def close(self) -> None:
        """Release open files; by default there are none."""
        return


def label_words(source: Source) -> list[str]:
    """Return the target of every row as text: the class, the labels with "|" between them, or the values."""
    classes = source.classes
    if source.task == "classification":
        return [classes[label] for label in source.targets.tolist()]
    rows = source.targets.tolist()
    if source.task == "multilabel":
        return ["|".join(name for name, on in zip(classes, row, strict=True) if on) for row in rows]
    return ["|".join(f"{value:.9g}" for value in row) for row in rows]


def hash_lines(lines: Iterable[str]) -> str:
    """Return the SHA-256 of a set of lines, independent of their order."""
    return _hash_sorted(sorted(lines))


def hash_pairs(names: Sequence[str], words: Iterable[str]) -> str:
    """Return `hash_lines` of "NAME<NUL>WORD" for each pair; names are unique, and sorted ones save memory."""
    if all(one < other for one, other in itertools.pairwise(names)):
        return _hash_sorted(f"{name}\0{word}" for name, word in zip(names, words, strict=True))
    return hash_lines(f"{name}\0{word}" for name, word in zip(names, words, strict=True))


def _hash_sorted(lines: Iterable[str]) -> str:
    digest, left = hashlib.sha256(), iter(lines)
    while part := list(itertools.islice(left, _LINES_AT_ONCE)):
        digest.update("".join(f"{line}\n" for line in part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def require_classification(task: str, target: Any, what: str) -> None:
    """Raise DataError unless `what` is asked for a classification of its own labels."""
    if task not in ("auto", "classification"):
        raise DataError(
            f"the task must be 'classification' for {what}, not {task!r}: its labels are class names; leave "
            "out the task"
        )
    refuse_target(target, what)


def refuse_target(target: Any, what: str) -> None:
    """Raise DataError if a column is named although `what` has none."""
    if target is not None:
        raise DataError(
            f"a target names the column of a table and must be left out for {what}, but {target!r} was given"
        )


def numbered(n: int) -> list[str]:
    """Return names for `n` rows without files: "00000", "00001" and so on."""
    width = max(5, len(str(n - 1)))
    return [f"{i:0{width}d}" for i in range(n)]


def counted(n: int, noun: str) -> str:
    """Return "1 file", "2 files" and so on."""
    return f"{n:,} {noun}{'s' if n != 1 else ''}"
