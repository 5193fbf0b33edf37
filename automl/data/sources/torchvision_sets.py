"""`torchvision:NAME`: a data set that torchvision downloads, or that lies where torchvision looks for it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

from automl.data.sources.base import Source, refuse_target
from automl.data.sources.torch_dataset import JoinedSource
from automl.errors import DataError, unknown_name
from automl.machine import user_cache
from automl.records import ReadOptions
from automl.torch_setup import import_torchvision

PREFIX = "torchvision:"
_TIMEOUT = 10.0  # seconds without an answer after which a download fails

_FLAG = {"train": {"train": True}, "holdout": {"train": False}}
_TWO = {"train": {"split": "train"}, "holdout": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "val": {"split": "val"}, "holdout": {"split": "test"}}
_NONE: dict[str, dict[str, Any]] = {"": {}}
# The sets with one label per image, and the arguments of each of their parts.
SETS: dict[str, dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "FashionMNIST", "KMNIST", "MNIST", "USPS"), _FLAG),
    **dict.fromkeys(("Food101", "GTSRB", "STL10", "SVHN", "StanfordCars"), _TWO),
    **dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102", "PCAM", "RenderedSST2"), _THREE),
    **dict.fromkeys(("Caltech101", "Caltech256", "EuroSAT", "SEMEION", "SUN397"), _NONE),
    "Country211": {**_THREE, "val": {"split": "valid"}},
    "Imagenette": {"train": {"split": "train"}, "holdout": {"split": "val"}},
    "OxfordIIITPet": {"train": {"split": "trainval"}, "holdout": {"split": "test"}},
}


def is_torchvision(data: Any) -> bool:
    """Return whether it is a text torchvision:NAME."""
    return isinstance(data, str) and data.startswith(PREFIX)


def torchvision_folder(name: str) -> Path:
    """Return the folder where torchvision keeps the files of a set: $TORCH_HOME/datasets/NAME."""
    home = os.environ.get("TORCH_HOME")
    base = Path(home) if home else user_cache() / "torch"
    return base / "datasets" / name


def open_torchvision(data: Any, options: ReadOptions) -> Source:
    """Open torchvision:NAME with its parts, downloaded if necessary.

    Raises DataError for an unknown name, and if the files are missing and cannot be downloaded.
    """
    asked = str(data).removeprefix(PREFIX)
    name = next((known for known in SETS if known.lower() == asked.lower()), None)
    if name is None:
        raise DataError(unknown_name("torchvision data set", asked, SETS))
    refuse_target(options.target, str(data))
    folder = torchvision_folder(name)
    make = getattr(import_torchvision("datasets"), name)
    parts = {part: _open(make, name, folder, arguments) for part, arguments in SETS[name].items()}
    return JoinedSource(parts, name=name, folder=folder, task=options.task)


def _open(make: Any, name: str, folder: Path, options: dict[str, Any]) -> Any:
    """Open one part of a set, and download only what is missing."""
    with contextlib.suppress(RuntimeError, OSError):  # not found: download it
        if folder.is_dir():
            return make(str(folder), **options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(), contextlib.redirect_stdout(sys.stderr):
            return make(str(folder), **options, download=True)
    except (RuntimeError, OSError, TypeError, ImportError) as error:
        for empty in sorted((folder, *(path for path in folder.rglob("*") if path.is_dir())), reverse=True):
            with contextlib.suppress(OSError):  # not empty: it holds files
                empty.rmdir()
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{PREFIX}{name} must be downloaded or lie in {str(folder)!r}, but neither is so ({reason[:120]}): put its "
            "files there as torchvision does (TORCH_HOME moves the folder), or give a folder of images"
        ) from error


@contextlib.contextmanager
def _socket_timeout() -> Any:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
