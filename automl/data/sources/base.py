"""What a source of labelled pictures is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.pixels import quiet_pillow
from automl.errors import DataError
from automl.records import Task

Labels = npt.NDArray[np.int64]
Targets = npt.NDArray[np.int64] | npt.NDArray[np.float32]


class Source(Protocol):
    """Labelled pictures, wherever they come from. Row i is `files[i]`, `labels[i]` and `splits[i]`.

    `files` are unique, printable names; `labels` index into `classes` (int64, N); `targets` is what a model
    learns (the labels for classification, float32 (N, outputs) for other tasks); `splits` holds "train",
    "val", "holdout" or "" where the data do not say. `notes` are sentences for a person about what was left
    out.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    files: Sequence[str]
    labels: Labels
    splits: Sequence[str]
    notes: tuple[str, ...]

    @property
    def targets(self) -> Targets:
        """What a model learns, a row each."""

    def read(self, i: int) -> bytes:
        """The bytes of row i, whose SHA-256 tells copies apart. Raises DataError with a short reason."""

    def decode(self, data: bytes) -> Image.Image:
        """The picture in the bytes of a row, perhaps not decoded yet; errors as for `read`."""

    def load(self, i: int) -> Image.Image:
        """The picture of row i. Raises DataError ("FILE: reason")."""

    def state(self) -> str:
        """A quick hash that changes when the data do: of names, sizes and times, not of all bytes."""

    def fingerprint(self) -> str:
        """A hash of content and labels, the same wherever and in whatever order the data lie; reads
        everything.
        """

    def content(self, digests: Sequence[str]) -> str:
        """The fingerprint, where the SHA-256 of every row ("" for unreadable ones) is known already."""

    def close(self) -> None:
        """Release open files."""


def load_row(source: Source, i: int) -> Image.Image:
    """`Source.load` for every source that has `read` and `decode`."""
    try:
        with quiet_pillow():
            return source.decode(source.read(i))
    except DataError as error:
        raise DataError(f"{source.files[i]}: {error}") from error


def digests_of(source: Source) -> list[str]:
    """The SHA-256 of every row, "" for rows that cannot be read."""
    return [_digest(source, i) for i in range(len(source.files))]


def hash_lines(lines: Iterable[str]) -> str:
    """SHA-256 of a set of lines, whatever their order."""
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def require_classification(task: str, target: Any, what: str) -> None:
    """Raise DataError unless `what` is asked for a classification of its own labels."""
    if task not in ("auto", "classification"):
        raise DataError(
            f"the task must be 'classification' for {what}, not {task!r}: its labels are class names; leave "
            "out the task"
        )
    if target is not None:
        raise DataError(
            f"a target names the column of a table and must be left out for {what}, but {target!r} was given"
        )


def _digest(source: Source, i: int) -> str:
    try:
        return hashlib.sha256(source.read(i)).hexdigest()
    except DataError:
        return ""
