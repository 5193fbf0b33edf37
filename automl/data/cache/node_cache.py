"""Find the decoded images on another machine: in its own cache, or decode them there from the same data."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from automl.data.cache.cache import Cached, open_or_build
from automl.data.decoding.image_format import Target
from automl.data.decoding.pixel_range import PixelRange
from automl.data.sources import open_data
from automl.errors import AutomlError, DataError
from automl.machine import cache_folder
from automl.records import Fold, ReadOptions, Resize, SearchSplits


@dataclass(frozen=True)
class DataOrigin:
    """How to decode the images of a study again; `data` is None if they were passed in memory."""

    data: str | None
    options: ReadOptions
    img_size: int
    in_chans: int
    max_disk: int | None
    large_size: int = 0
    resize: Resize = "crop"
    pixel_range: PixelRange = ()


def splits_on_this_node(splits: SearchSplits, origin: DataOrigin) -> SearchSplits:
    """Return the splits with paths that this machine can read; it decodes the images once if it lacks them.

    Raises DataError, naming the machine, if it can read neither the decoded images nor the data, if the data are not
    those of the study, or if the study's folder is not shared.
    """
    for path in (splits.train.index, splits.train.targets):
        if not path.is_file():
            raise DataError(
                f"the study's folder must be on storage that all nodes share, but {platform.node()!r} has no "
                f"{str(path)!r}: choose another --directory"
            )
    there = splits.train
    images, large_images = there.images, there.large
    # The larger size first: the smaller one may be scaled down from it.
    if there.large is not None and not there.large.exists():
        large = replace(origin, img_size=origin.large_size)
        large_images = _decoded_here(large, there.large).images_path
    if not there.images.exists():
        images = _decoded_here(origin, there.images).images_path
    if (images, large_images) == (there.images, there.large):
        return splits
    return replace(
        splits,
        train=replace(there, images=images, large=large_images),
        val=replace(splits.val, images=images, large=large_images),
        folds=tuple(
            Fold(*(replace(rows, images=images, large=large_images) for rows in (fold.train, fold.val)))
            for fold in splits.folds
        ),
    )


@lru_cache(maxsize=2)  # its hold marks the images as used while the process lives
def _decoded_here(origin: DataOrigin, images: Path) -> Cached:
    node = platform.node()
    if origin.data is None:
        raise DataError(
            f"images that were passed in memory must be cached on storage that all nodes share, but {node!r} has "
            f"no {str(images)!r}: set AUTOML_CACHE_DIR to a shared folder"
        )
    try:
        source = open_data(origin.data, origin.options)
        try:
            cached = open_or_build(
                source,
                Target(origin.img_size, origin.in_chans, origin.resize, origin.pixel_range),
                cache_dir=cache_folder(),
                check=lambda cached: None,  # checked where the study started
                progress=lambda done, total: None,
                max_disk=origin.max_disk,
            )
        finally:
            source.close()
    except AutomlError as error:
        raise DataError(
            f"the node {node!r} has no decoded images and cannot make them: {error}; put the data on shared storage"
        ) from error
    if cached.folder.name != images.parent.name:
        raise DataError(
            f"the data {origin.data!r} on the node {node!r} must be those of the study, but they differ: "
            "put them on shared storage, or copy them with their times (rsync -a)"
        )
    return cached
