"""The checks of `automl doctor`, one function each; none of them raises."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from automl.config.sizes import format_size
from automl.machine import (
    cache_folder,
    cores,
    cpu_quota,
    free_memory,
    hub_address,
    hub_answers,
    hub_is_off,
    memory_limit,
    total_memory,
)
from automl.terminal.masking import mask_passwords

_NEEDED = (
    "torch",
    "torchvision",
    "timm",
    "optuna",
    "ray",
    "scikit-learn",
    "pandas",
    "pydantic",
    "sqlalchemy",
)
_EXTRAS = {"optuna-dashboard": "optuna-dashboard", "psycopg": "psycopg[binary]", "pymysql": "pymysql"}
_MIN_MEMORY = 2 * 1024**3
_MIN_SHARED = 512 * 1024**2
_MIN_DISK = 1024**3


@dataclass(frozen=True)
class Check:
    """One finding: with `bad`, `fit` cannot work; `note` is worth knowing. Passwords of URLs in the text are masked."""

    name: str
    level: Literal["ok", "note", "bad"]
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", mask_passwords(self.text))


def check_all(directory: str) -> Iterator[Check]:
    """Yield all checks in the order of the report; `directory` is where studies would be written."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    for check in (_torch_pair, _devices, _cores, _memory, _shared_memory, _hub):
        yield _guarded(check)
    yield _folder("studies", Path(directory))
    for check in (_cache, _temporary):
        yield _guarded(check)


def _guarded(check: Callable[[], Check]) -> Check:
    """Return the check, or its exception as a finding: doctor must finish on a broken machine."""
    try:
        return check()
    except Exception as error:
        return Check(check.__name__.strip("_").replace("_", " "), "bad", f"{type(error).__name__}: {error}")


def _packages() -> Iterator[Check]:
    for name in _NEEDED:
        version = _version(name)
        yield (
            Check(name, "ok", version)
            if version
            else Check(name, "bad", f"missing; run `pip install {name}`")
        )
    for name, wanted in _EXTRAS.items():
        version = _version(name)
        missing = f"not installed; `pip install {wanted!r}` adds it"
        yield Check(name, "ok" if version else "note", version or missing)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _torch_pair() -> Check:
    from automl.torch_setup import import_timm, uses_torchvision_stand_in

    stand_in = uses_torchvision_stand_in()
    import_timm()
    if stand_in:
        return Check(
            "torch pair", "ok", "torchvision's compiled part does not match this torch; automl replaces it"
        )
    return Check("torch pair", "ok", "torch and torchvision match")


def _devices() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", "note", "torch finds none: models train on the CPU, with the small search space")
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return Check(
        "GPU", "ok", ", ".join(f"{device.name} ({format_size(device.total_memory)})" for device in found)
    )


def _cores() -> Check:
    quota = cpu_quota()
    why = "" if quota is None else f" (a quota of {quota:g} by the container or batch system)"
    return Check("cores", "ok", f"{cores()} usable of {os.cpu_count() or cores()}{why}")


def _memory() -> Check:
    total, limit = total_memory(), memory_limit()
    enough = total >= _MIN_MEMORY
    text = f"{format_size(total)}, {format_size(free_memory())} free"
    text += "" if limit is None else " (the limit of the container or batch system)"
    return Check(
        "memory", "ok" if enough else "note", text if enough else f"{text}; 2G or more is recommended"
    )


def _shared_memory() -> Check:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Check("/dev/shm", "note", "missing; Ray uses the temporary folder, which is slower")
    free = shutil.disk_usage(folder).free
    if free < _MIN_SHARED:
        return Check("/dev/shm", "note", f"{format_size(free)} free; start the container with --shm-size=2g")
    return Check("/dev/shm", "ok", f"{format_size(free)} free")


def _hub() -> Check:
    """Report weights in the caches, and whether others can be downloaded."""
    from automl.spaces.architectures.families import table
    from automl.training.models.weight_sources import in_caches

    known = [model for model, row in table().items() if row.weights]
    cached = len(in_caches(known))
    text = f"weights of {cached} of {len(known)} architectures are cached"
    if hub_is_off():
        where = "HF_HUB_OFFLINE switches the hub off"
    elif hub_answers():
        return Check("weights", "ok", f"{text}, {hub_address()} can be reached")
    else:
        where = f"{hub_address()} cannot be reached"
    otherwise = "" if cached else ": models start from scratch, or from a folder (--pretrained DIR)"
    return Check("weights", "ok" if cached else "note", f"{text}, {where}{otherwise}")


def _cache() -> Check:
    """Report whether the cache can be written, and what is in it."""
    folder = cache_folder()
    check = _folder("cache", folder)
    if check.level == "bad":
        return replace(check, text=f"{check.text}; set AUTOML_CACHE_DIR to another folder")
    return _with_content(check, folder)


def _temporary() -> Check:
    """Report whether temporary files can be written. Raises FileNotFoundError if there is no place for them."""
    return _folder("temporary", Path(tempfile.gettempdir()))


def _with_content(check: Check, folder: Path) -> Check:
    """Add the content of the cache folder to its check."""
    from automl.data.cache.eviction import entries

    found = entries(folder)
    if not found:
        return replace(check, text=f"{check.text}; no decoded images in it")
    sets = "1 set of decoded images uses" if len(found) == 1 else f"{len(found)} sets of decoded images use"
    total = format_size(sum(entry.size for entry in found))
    return replace(check, text=f"{check.text}; {sets} {total}")


def _folder(name: str, path: Path) -> Check:
    """Check whether a folder is writable; if it does not exist, check its nearest parent."""
    nearest = path.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Check(name, "bad", f"{path} cannot be written")
    free = shutil.disk_usage(nearest).free
    level: Literal["ok", "note"] = "ok" if free >= _MIN_DISK else "note"
    return Check(name, level, f"{path} can be written, {format_size(free)} free")
