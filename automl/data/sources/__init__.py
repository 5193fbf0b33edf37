"""Where images come from. To add a kind, write a class that satisfies `base.Source` and add a row to `SOURCES`."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.data.sources.arrays import NO_IMAGES, open_digits
from automl.data.sources.base import Source
from automl.data.sources.files.folder import open_folder
from automl.data.sources.files.manifest import is_manifest, open_frame, open_manifest
from automl.data.sources.files.tables.unread import OTHER_FILES
from automl.data.sources.files.tar_archive import is_tar, open_tar
from automl.data.sources.files.zip_archive import open_zip
from automl.data.sources.huggingface import is_hub, open_hub
from automl.data.sources.image_lists import open_pair
from automl.data.sources.torch_dataset import is_dataset, is_loader, open_dataset
from automl.data.sources.torchvision_sets import is_torchvision, open_torchvision
from automl.errors import DataError, unknown_name
from automl.machine import too_long
from automl.records import ReadOptions

Open = Callable[[Any, ReadOptions], Source]


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: `open` opens data for which `accepts(data)` is true.

    `has_columns`: the data may be a table or hold one, so that the columns of images and groups can be named.
    """

    name: str
    description: str
    accepts: Callable[[Any], bool]
    open: Open
    has_columns: bool = False


SOURCES: tuple[SourceKind, ...] = (
    SourceKind(
        "digits",
        "the built-in 'digits'",
        lambda data: isinstance(data, str) and data == "digits",
        open_digits,
    ),
    SourceKind("torchvision", "torchvision:NAME", is_torchvision, open_torchvision),
    SourceKind("hub", "hf:NAME", is_hub, open_hub),
    SourceKind(
        "folder",
        "a folder of class folders or with labels.csv",
        lambda data: _is_folder(data),
        open_folder,
        has_columns=True,
    ),
    SourceKind(
        "zip", "a .zip of such a folder", lambda data: _is_file(data, _is_zip), open_zip, has_columns=True
    ),
    SourceKind(
        "tar", "a .tar or .tar.gz of one", lambda data: _is_file(data, is_tar), open_tar, has_columns=True
    ),
    SourceKind(
        "manifest",
        "a table (.csv, .tsv, .json, .jsonl, .parquet) or a list of images (.txt)",
        lambda data: _is_file(data, is_manifest),
        open_manifest,
        has_columns=True,
    ),
    SourceKind("arrays", "a pair (images, labels)", lambda data: isinstance(data, (tuple, list)), open_pair),
    SourceKind(
        "frame",
        "a DataFrame",
        lambda data: hasattr(data, "iloc") and hasattr(data, "columns"),
        open_frame,
        has_columns=True,
    ),
    SourceKind("dataset", "a map-style torch Dataset", is_dataset, open_dataset),
)

_TASKS = ("auto", "classification", "multilabel", "regression")


def open_source(
    data: Any,
    *,
    target: str | None = None,
    task: str = "auto",
    image_column: str | None = None,
    group_column: str | None = None,
) -> Source:
    """Open labelled images of any kind in `SOURCES`; see `ReadOptions` for the others.

    Raises DataError if the data do not exist, are of no known kind or do not fit the task.
    """
    return open_data(data, ReadOptions(target, task, image_column, group_column))


def open_data(data: Any, options: ReadOptions) -> Source:
    """Open labelled images, as `open_source` does."""
    if options.task not in _TASKS:
        raise DataError(unknown_name("task", str(options.task), _TASKS))
    if isinstance(data, (tuple, list)) and not data:
        raise DataError(NO_IMAGES)
    if isinstance(data, (tuple, list)) and len(data) not in (2, 3):
        pairs = " (lists of pairs as fit(*zip(*pairs)))" if _are_pairs(data) else ""
        raise DataError(
            f"arrays must be given as (images, labels) or (images, labels, groups), not as {len(data)} values{pairs}"
        )
    kind = next((kind for kind in SOURCES if kind.accepts(data)), None)
    if kind is None:
        raise DataError(_unknown(data))
    column = options.image_column or options.group_column
    if column is not None and not kind.has_columns:
        what = "an image column" if options.image_column is not None else "a group column"
        raise DataError(
            f"{what} is one of a table and must be left out for {kind.description}, but {column!r} was given"
        )
    return kind.open(data, options)


def _are_pairs(data: Any) -> bool:
    return all(isinstance(item, (tuple, list)) and len(item) == 2 for item in data)


def _is_path(data: Any) -> bool:
    return isinstance(data, (str, Path))


def _is_folder(data: Any) -> bool:
    """Return whether it is the path of a folder. Raises DataError for one that no system takes."""
    if not _is_path(data):
        return False
    if str(data).strip() in ("", ".") and str(data) != ".":
        raise DataError(
            "the data must have a name, but an empty one was given: name a folder, an archive or a table"
        )
    try:
        return Path(data).is_dir()
    except OSError as error:
        text = str(data)
        if error.errno == errno.ENAMETOOLONG:
            raise DataError(too_long(text)) from error
        raise DataError(
            f"the data must be a path that can be opened, but {text!r} cannot ({error.strerror})"
        ) from error


def _is_file(data: Any, fits: Callable[[Path], bool]) -> bool:
    return _is_path(data) and fits(Path(data)) and Path(data).is_file()


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _unknown(data: Any) -> str:
    kinds = ", ".join(kind.description for kind in sorted(SOURCES, key=lambda kind: kind.name == "digits"))
    if is_loader(data):
        return "the data must be a Dataset, not the DataLoader of one: give its attribute dataset"
    if hasattr(data, "iloc"):
        return (
            f"the data must be images and labels, fit(images, labels), not one column ({type(data).__name__})"
        )
    if hasattr(data, "__iter__") and not _is_path(data):
        return (
            f"the data must have a length and items by number, but {type(data).__name__!r} can only be gone through: "
            "give a map-style Dataset, or lists, fit(images, labels)"
        )
    if not _is_path(data):
        return f"the data must be {kinds}, not {type(data).__name__!r}"
    if not Path(data).exists():
        return f"the data must exist, but there is no file or folder {str(data)!r}: check the path ({kinds})"
    hint = next((hint for end, hint in OTHER_FILES.items() if str(data).lower().endswith(end)), "")
    if hint:
        return f"the data cannot be read from {str(data)!r}: {hint}"
    if not Path(data).is_file():
        return (
            f"the data must be a folder or a file, but {str(data)!r} is a pipe, a device or a socket: save its "
            "content to a file"
        )
    return f"the data must be {kinds}, but {str(data)!r} is none of these"
