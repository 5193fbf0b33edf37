"""The one place where timm and torchvision are first imported, and where torch is told how many threads it
has.

Importing this module imports neither torch nor timm; calling its functions does.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import time
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

# The two operators whose fake versions torchvision's Python part registers on import.
_STAND_INS = ("torchvision::nms", "torchvision::qnms")
_took: dict[str, float] = {}
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def import_timm() -> ModuleType:
    """Import timm (with `optim` and `utils`) without chatter, also where torchvision's compiled part fails."""
    begun = time.perf_counter()
    _prepare_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = importlib.import_module("timm")
        for part in ("timm.optim", "timm.utils"):  # timm itself imports neither
            importlib.import_module(part)
    # timm tells on this logger about each missing weight or fallback; errors still come through.
    logging.getLogger("timm").setLevel(logging.ERROR)
    _took["timm"] = time.perf_counter() - begun
    return timm


def import_seconds() -> float:
    """How long this process took to import timm, 0 where it has not: what a new one will take is a multiple of it."""
    return _took.get("timm", 0.0)


def import_torchvision(part: str) -> ModuleType:
    """Import a part of torchvision ("datasets"), also where its compiled part fails."""
    _prepare_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"torchvision.{part}")


def uses_torchvision_stand_in() -> bool:
    """Whether stand-ins replace the compiled part of torchvision in this process."""
    return _prepare_torchvision()


def set_threads(n: int) -> None:
    """Let torch use `n` threads for one operator, and no more than one operator at a time.

    Raises ValueError for `n` below 1. Waiting threads that spin take the cores from their neighbours, so
    workers should also have OMP_WAIT_POLICY=PASSIVE in their environment before torch loads; that is the
    caller's part.
    """
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, not {n!r}")
    import torch

    torch.set_num_threads(n)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError as error:  # torch allows it only before the first parallel work of a process
            logging.getLogger(__name__).debug("inter-op threads stay as they are: %s", error)


def quiet_waiting() -> None:
    """Let idle threads of this process and of those it starts sleep instead of spin, unless the person decided.

    It works only before torch is first imported, so it is called first thing where a study begins.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # For the copy of OpenBLAS that scipy brings and loads later; see `search/engines/warmup.py` for why one thread.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@cache
def _prepare_torchvision() -> bool:
    """Make `import torchvision` possible; the library that holds the stand-ins, or None where none are
    needed.

    A torchvision built for another torch (PyPI's build beside a CPU-only torch) cannot load its compiled part
    and then fails on import, because it registers fakes for operators that nobody defined. Defining their
    schemas is enough for timm and the transforms; calling the operators still fails, as it should.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(torch, Path(spec.origin).parent):
        return False
    for name in _STAND_INS:
        torch.library.define(name, _SCHEMA)
    return True


def _loads(torch: ModuleType, folder: Path) -> bool:
    """Whether the compiled part of the torchvision in `folder` loads beside this torch."""
    candidates = sorted({*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dylib")})
    if not candidates:
        return False
    try:
        torch.ops.load_library(str(candidates[0]))
    except (OSError, ImportError):
        return False
    return hasattr(torch.ops.torchvision, "nms")
