"""Check that a folder can be written, without loss, before the work for its files is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from automl.errors import UsageError


def require_folder(
    option: str, path: str | Path, kind: str, is_one: Callable[[Path], bool], *, needed: int
) -> Path:
    """Return the folder at `path`, named with `option`, for an output that needs so many bytes while it is written.

    Raises UsageError unless it is new, empty or an earlier output of this `kind` (`is_one` tells), can be written, and
    lies on a disk with enough space. Nothing is created.
    """
    if "://" in str(path):
        raise UsageError(
            f"{option} must be a folder on this machine, got {str(path)!r}: copy it there afterwards"
        )
    folder = Path(path)
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not there.is_dir():
            raise UsageError(
                f"{option} must be a folder, got {str(path)!r}, but {str(there)!r} is a file: name another folder"
            )
        if there is folder and any(folder.iterdir()) and not is_one(folder):
            raise UsageError(
                f"{option} must be a new or empty folder or an earlier {kind}, but {str(path)!r} holds something else: "
                "name another folder"
            )
    except OSError as error:
        raise _unwritable(option, path, error.strerror) from error
    # The files are written beside the folder, and moved into it at the end.
    for place in {there, there.parent} if there is folder else {there}:
        if not os.access(place, os.W_OK | os.X_OK):
            raise _unwritable(option, path, f"no permission to write in {str(place)!r}")
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UsageError(
            f"{option} must lie on a disk with {needed / 1e6:,.0f} MB of free space, but {str(path)!r} has "
            f"{free / 1e6:,.0f} MB: free some, or name a folder on another disk"
        )
    return folder


def _unwritable(option: str, path: str | Path, why: str | None) -> UsageError:
    return UsageError(f"{option} must be a folder that can be written, got {str(path)!r} ({why})")
