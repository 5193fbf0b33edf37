"""The precision that was faster, remembered for this machine.

A gain near the threshold is measured as above it once and as below it the next time. The values of a study depend on
the precision, so that the same command would give other results. The first measurement decides once and for all.
"""

from __future__ import annotations

import json
import logging
import platform
from pathlib import Path
from typing import get_args

import torch

from automl.documents.json_file import read_object
from automl.machine import cache_folder
from automl.training.plan import Precision

FILE = "precision.json"
MOST = 500  # entries, the oldest of which are dropped


def work_key(device: str, model: str, *, size: int, batch_size: int, threads: int) -> str:
    """Return what the speed depends on: processor or GPU, torch, network, side of the images, batch and threads."""
    kind = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else _processor()
    return f"{kind}, torch {torch.__version__}, {model}, {size} px, {batch_size} rows, {threads} threads"


def recall(key: str, folder: Path | None = None) -> Precision | None:
    """Return the precision that was faster for this work, None if it was never measured here."""
    found = read_object((folder or cache_folder()) / FILE).get(key)
    return found if found in get_args(Precision) else None


def remember(key: str, precision: Precision, folder: Path | None = None) -> None:
    """Keep the precision for later studies. A folder that cannot be written to only costs that memory."""
    path = (folder or cache_folder()) / FILE
    known = {**read_object(path), key: precision}
    draft = path.with_suffix(f".{id(known)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(dict(list(known.items())[-MOST:]), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        logging.getLogger(__name__).info("the measured precision was not kept: %s", error)


def _processor() -> str:
    """Return the name of the processor, and the widest instructions that torch uses on it."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{(named or [name])[0]}, {torch.backends.cpu.get_cpu_capability()}"
