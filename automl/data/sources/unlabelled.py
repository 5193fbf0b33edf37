"""Images without labels, for predictions: all that `fit` takes, and single images."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automl.data.pixels import open_header, quiet_pillow
from automl.data.readers import FolderReader
from automl.data.sources.arrays import tensor_values, to_images
from automl.data.sources.dataset_labels import image_in
from automl.data.sources.files.base import Files, FolderFiles, LooseFiles
from automl.data.sources.files.image_files import IMAGE_SUFFIXES, is_hidden
from automl.data.sources.files.layout import printable
from automl.data.sources.files.manifest import is_manifest, require_images, table_cells
from automl.data.sources.files.tables.lookup import Lookup
from automl.data.sources.files.tables.read_table import most_bytes, read_table
from automl.data.sources.files.tar_archive import TarFiles, is_tar
from automl.data.sources.files.zip_archive import ZipFiles
from automl.data.sources.torch_dataset import is_dataset, is_loader
from automl.errors import DataError
from automl.records import DatasetInfo

# Pixels in a row of an image; the last of three dimensions must be meant as channels if it is smaller.
_NARROWEST = 8
_BASE64 = re.compile(r"(data:[\w/+.-]+;base64,)?[A-Za-z0-9+/\s]{300,}=*$")
_ADDRESS = re.compile(r"(https?|s3|gs|ftp|file):/", re.IGNORECASE)  # a path has one of the two strokes


@dataclass(frozen=True)
class NamedImage:
    """An image to predict. `load` opens it, and raises DataError with a short reason."""

    name: str
    load: Callable[[], Image.Image]


def images_of(data: Any, info: DatasetInfo, *, image_column: str | None = None) -> Iterator[NamedImage]:
    """Yield the images in `data`, for a model of the data set `info`.

    `data`: a path of an image, of a folder (all images in it and below), of a zip or tar, or of a table; a DataFrame,
    of which `image_column` may name the column; bytes or an open file of an image; a PIL image; an array or a tensor; a
    Dataset; or several of these but tables. An array (H, W), (H, W, C) or (C, H, W) is one image, (N, H, W), (N, H, W,
    C) or (N, C, H, W) are several. Three dimensions are one image if the last has 1, 3 or 4 entries, or, for colour
    models, the first has 3 or 4. Raises DataError for anything else, also for less than 8 entries in the last of three
    dimensions, which are neither channels nor the pixels of a row. An array or a DataFrame without rows has no images,
    as an empty list has none.
    """
    if hasattr(data, "shape") and len(data.shape) and not data.shape[0]:
        return
    if isinstance(data, (str, os.PathLike)):
        yield from _at_path(Path(data), image_column, named=bool(str(data).strip()))
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        yield from _in_frame(data, info, image_column)
    elif (one := _single(data)) is not None:
        yield NamedImage("image", one)
    elif hasattr(data, "detach") or isinstance(data, np.ndarray):
        yield from _in_array(data, info)
    elif is_dataset(data) and not hasattr(data, "iloc"):
        for i in range(len(data)):
            yield NamedImage(str(i), partial(_item, data, i, info))
    elif isinstance(data, Iterable):
        yield from _several(data, info)
    else:
        raise DataError(
            "images must be paths, files, bytes, PIL images, arrays, a table or several of these, not "
            f"{type(data).__name__}"
        )


def _at_path(path: Path, image_column: str | None, *, named: bool = True) -> Iterator[NamedImage]:
    if (encoded := _BASE64.match(str(path))) is not None:
        raise DataError(
            f"images must be paths or bytes, but a text of {len(str(path)):,} characters of base64 was given: decode "
            "it with base64.b64decode" + (", without what is before the comma" if encoded[1] else "")
        )
    if str(path) == "." and not named:
        raise DataError("images must have a name, but an empty one was given: name a file or a folder")
    try:
        folder = path.is_dir()
    except OSError as error:  # a name that no system takes
        raise DataError(f"{str(path)[:60]!r}... cannot be opened: {error.strerror}") from error
    if folder:
        yield from _in_files(FolderFiles(path), path)
    elif path.suffix.lower() == ".zip" and path.is_file():
        yield from _in_files(ZipFiles(path), path)
    elif is_tar(path) and path.is_file():
        yield from _in_files(TarFiles(path), path)
    elif is_manifest(path) and path.is_file():
        try:
            content = LooseFiles(path.parent, name="").read(path.name, most=most_bytes(path.name))
        except DataError as error:
            raise DataError(f"the table {str(path)!r} {error}") from error
        files = LooseFiles(path.parent, name=path.stem)
        frame = read_table(path.name, content, Lookup(files, "").paths)
        yield from _in_table(frame, files, str(path), image_column)
    else:
        yield NamedImage(printable(str(path)), partial(_opened, path))


class _Opened:
    """Files that are closed when none of their images is left."""

    def __init__(self, files: Files) -> None:
        self._files = files
        weakref.finalize(self, files.close)

    def load(self, path: str) -> Image.Image:
        return _header(self._files.read(path))


def _in_files(files: Files, where: Path) -> Iterator[NamedImage]:
    """Yield all images in a folder or an archive, hidden ones aside. Raises DataError if there are none."""
    opened, n = _Opened(files), 0
    for path in files.paths:
        parts = path.split("/")
        hidden = any(map(is_hidden, parts))
        if not hidden and os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122  # there are many
            n += 1
            yield NamedImage(printable(str(where / path)), partial(opened.load, path))
    if not n:
        raise DataError(f"no images found in {str(where)!r}: give files or folders of images")


def _in_frame(data: Any, info: DatasetInfo, image_column: str | None) -> Iterator[NamedImage]:
    """Yield the images of a DataFrame, of which one column may hold them in memory."""
    for name in data.columns:
        if image_column in (None, str(name)):
            cells = data[name].tolist()
            if all(isinstance(cell, (Image.Image, np.ndarray)) or hasattr(cell, "detach") for cell in cells):
                yield from _several(cells, info)
                return
    yield from _in_table(data, LooseFiles(Path(), name="table"), "the DataFrame", image_column)


def _in_table(frame: Any, files: Files, where: str, image_column: str | None) -> Iterator[NamedImage]:
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    table = require_images(frame, files, where=where, image=image_column)
    opened = _Opened(files)
    for i, cell in enumerate(table_cells(files, table)[0]):
        if isinstance(cell, bytes):
            yield NamedImage(str(i), partial(_header, cell))
        else:
            yield NamedImage(printable(str(Path(files.where) / cell)), partial(opened.load, cell))


def _in_array(data: Any, info: DatasetInfo) -> Iterator[NamedImage]:
    array = tensor_values(data) if hasattr(data, "detach") else data
    if array.dtype.kind not in "buif":
        yield from _several(array.reshape(-1).tolist(), info)
        return
    one = array.ndim == 2 or (array.ndim == 3 and _is_one(array.shape, info))
    if array.ndim == 3 and not one and 0 < array.shape[2] < _NARROWEST:
        raise DataError(
            f"an image must have 1, 3 or 4 channels, and one in an array {_NARROWEST} or more pixels in a row, but "
            f"the array has the shape {array.shape}: give (H, W), (H, W, C) or (N, H, W, C)"
        )
    batch = data[None] if one else data
    for i, image in enumerate(to_images(batch, info.pixel_range)):
        yield NamedImage("image" if one else str(i), partial(_itself, image))


def _is_one(shape: tuple[int, ...], info: DatasetInfo) -> bool:
    """Return whether three dimensions are one image with channels, not several grey ones."""
    return shape[2] in (1, 3, 4) or (info.in_chans > 1 and shape[0] in (3, 4))


def _several(data: Iterable[Any], info: DatasetInfo) -> Iterator[NamedImage]:
    if is_loader(data):
        raise DataError("images must be a Dataset, not the DataLoader of one: give its attribute dataset")
    items = iter(data)
    try:
        first = next(items)
    except StopIteration:
        return
    if isinstance(first, (int, float, list, tuple)):  # nested lists of numbers are an array
        try:
            array = np.asarray([first, *items])
        except ValueError as error:
            raise DataError(f"images must form one array, but they do not ({error})") from error
        yield from _in_array(array, info)
        return
    for i, item in enumerate(chain((first,), items)):
        for image in images_of(image_in(item) if isinstance(item, Mapping) else item, info):
            yield NamedImage(str(i), image.load) if image.name == "image" else image


def _single(data: Any) -> Callable[[], Image.Image] | None:
    """Return how to open one image in memory; None for anything else."""
    if isinstance(data, Image.Image):
        return partial(_itself, data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return partial(_header, bytes(data))
    if hasattr(data, "read") and hasattr(data, "seek"):
        return partial(_read, data)
    return None


def _item(dataset: Any, i: int, info: DatasetInfo) -> Image.Image:
    """Return the image of an item of a Dataset, which may be a pair with a label, or a dict."""
    try:
        item = dataset[i]
    except Exception as error:  # somebody else's code
        raise DataError(f"the Dataset raised {type(error).__name__}: {error}") from error
    return next(images_of(image_in(item), info)).load()


def _itself(image: Image.Image) -> Image.Image:
    return image


def _opened(path: Path) -> Image.Image:
    if _ADDRESS.match(str(path)):
        raise DataError("is an address, and must be a file on this machine: download it")
    return _header(FolderReader(Path()).read(str(path)))


def _read(file: Any) -> Image.Image:
    try:
        file.seek(0)
        return _header(bytes(file.read()))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"cannot be read ({error})") from error


def _header(data: bytes) -> Image.Image:
    with quiet_pillow():
        return open_header(data)
