"""Import timm and torchvision for the first time, and set torch's threads.

Importing this module imports neither torch nor timm; its functions do.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import threading
import time
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

# The two operators for which torchvision's Python part registers fakes on import.
_STAND_INS = ("torchvision::nms", "torchvision::qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_import_seconds: dict[str, float] = {}
# Operators can be defined once a process, and several threads may begin together.
_preparing = threading.RLock()
_forked: list[int] = []  # the process that was forked after torch had been loaded


def import_timm() -> ModuleType:
    """Import timm (with `optim` and `utils`) quietly, even if torchvision's compiled part fails."""
    with _preparing:
        return _import_timm()


@cache
def _import_timm() -> ModuleType:
    start = time.perf_counter()
    _prepare_torchvision()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = importlib.import_module("timm")
        for part in ("timm.optim", "timm.utils"):  # timm itself imports neither
            importlib.import_module(part)
    # timm logs each missing weight and fallback here; errors are still shown.
    logging.getLogger("timm").setLevel(logging.ERROR)
    _import_seconds["timm"] = time.perf_counter() - start
    return timm


def import_seconds() -> float:
    """Return how long this process took to import timm, 0 if it has not; used to estimate other processes."""
    return _import_seconds.get("timm", 0.0)


def import_torchvision(part: str) -> ModuleType:
    """Import a part of torchvision ("datasets"), even if its compiled part fails."""
    _prepare_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"torchvision.{part}")


def uses_torchvision_stand_in() -> bool:
    """Return whether stand-ins replace the compiled part of torchvision in this process."""
    return _prepare_torchvision()


def set_threads(n: int) -> None:
    """Let torch use `n` threads for one operator, and run one operator at a time. Raises ValueError for `n` below 1.

    Idle threads that spin take cores from other processes, so the caller should also set OMP_WAIT_POLICY=PASSIVE in the
    environment of workers before torch loads. A fork of a process that had loaded torch keeps to one thread.
    """
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, not {n!r}")
    import torch

    torch.set_num_threads(1 if os.getpid() in _forked else n)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError as error:  # torch allows it only before the first parallel work of a process
            logging.getLogger(__name__).debug("the number of inter-op threads cannot be changed: %s", error)


def quiet_waiting() -> None:
    """Let idle threads of this process and its children sleep instead of spin, unless the environment says otherwise.

    This works only before torch is first imported, so a study calls it first.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # For the OpenBLAS of scipy, which loads later; `search/engines/warmup.py` says why one thread.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _after_fork() -> None:
    """Let torch use one thread in a fork: OpenMP's other threads are not there, and it would wait for them for ever."""
    import torch

    _forked[:] = [os.getpid()]
    torch.set_num_threads(1)


def _prepare_torchvision() -> bool:
    with _preparing:
        return _prepared_torchvision()


@cache
def _prepared_torchvision() -> bool:
    """Make `import torchvision` possible; return whether that needed stand-ins.

    A torchvision built for another torch (PyPI's build beside a CPU-only torch) cannot load its compiled part. It then
    fails on import, because it registers fakes for undefined operators. Defining their schemas is enough for timm and
    the transforms; calling the operators still fails.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(torch, Path(spec.origin).parent):
        return False
    for name in _STAND_INS:
        torch.library.define(name, _SCHEMA)
    return True


def _loads(torch: ModuleType, folder: Path) -> bool:
    """Return whether the compiled part of the torchvision in `folder` loads with this torch."""
    candidates = sorted({*folder.glob("_C*.so"), *folder.glob("_C*.pyd"), *folder.glob("_C*.dylib")})
    if not candidates:
        return False
    try:
        torch.ops.load_library(str(candidates[0]))
    except (OSError, ImportError):
        return False
    return hasattr(torch.ops.torchvision, "nms")
