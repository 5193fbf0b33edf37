"""The decoded pictures on another machine: found in its own cache, or decoded there from the same data."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from automl.data.cache.cache import Cached, open_or_build
from automl.data.decoding.image_format import Target
from automl.data.sources import open_source
from automl.errors import AutomlError, DataError
from automl.machine import cache_folder
from automl.records import SearchSplits


@dataclass(frozen=True)
class Origin:
    """Where the pictures of a study come from; `data` is None where they were handed over in memory."""

    data: str | None
    target: str | None
    task: str
    img_size: int
    in_chans: int
    max_disk: int | None


def at_hand(splits: SearchSplits, origin: Origin) -> SearchSplits:
    """The splits as this machine can read them; a machine without the decoded pictures makes its own, once.

    Raises DataError, in one sentence that names the machine, where neither they nor the data can be read here, where
    the data are not those that the study began with, and where the study's own folder is not shared.
    """
    for path in (splits.train.index, splits.train.targets):
        if not path.is_file():
            raise DataError(
                f"the study's folder must be on storage that all nodes share, but {platform.node()!r} has no "
                f"{str(path)!r}: choose another --directory"
            )
    if splits.train.images.exists():
        return splits
    cached = _decoded_here(origin, splits.train.images)
    return replace(
        splits,
        train=replace(splits.train, images=cached.images_path),
        val=replace(splits.val, images=cached.images_path),
    )


@lru_cache(maxsize=1)
def _decoded_here(origin: Origin, images: Path) -> Cached:
    """Kept as long as the process lives, and with it the mark that the pictures are in use."""
    here = platform.node()
    if origin.data is None:
        raise DataError(
            f"data that were handed over in memory must be decoded on storage that all nodes share, but {here!r} has "
            f"no {str(images)!r}: set AUTOML_CACHE_DIR to a shared folder"
        )
    try:
        source = open_source(origin.data, target=origin.target, task=origin.task)
        try:
            cached = open_or_build(
                source,
                Target(origin.img_size, origin.in_chans),
                cache_dir=cache_folder(),
                check=_accept,
                progress=_silent,
                max_disk=origin.max_disk,
            )
        finally:
            source.close()
    except AutomlError as error:
        raise DataError(
            f"the node {here!r} has no decoded images and cannot make them: {error}; put the data on shared storage"
        ) from error
    if cached.folder.name != images.parent.name:
        raise DataError(
            f"the data {origin.data!r} on the node {here!r} must be those that the study began with, and differ: "
            "put them on shared storage, or copy them with their times (rsync -a)"
        )
    return cached


def _accept(cached: Cached) -> None:
    """They were looked at where the study began."""


def _silent(done: int, total: int) -> None:
    """Nobody watches on this machine."""
