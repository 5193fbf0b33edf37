"""What was found out about the files of an entry: written beside its pixels, and checked when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.hashes import Digests
from automl.data.decoding.convert import DIGEST
from automl.data.decoding.decode import Decoded
from automl.documents.array_file import read_array
from automl.documents.json_file import read_json

# Pillow's modes by number, and why rows cannot be used.
_WORDS = "words.json"
_MOST_BYTES = 2**30  # of many million images that cannot be read
# Types and shapes of a row of what is known of the files.
_FINDINGS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "digests": (np.uint8, (DIGEST,)),
    "sizes": (np.int32, (2,)),
    "pairs": (np.int64, (2,)),
    "modes": (np.uint8, ()),
}


def write_findings(folder: Path, digests: Digests, decoded: Decoded) -> None:
    """Write what was found out while decoding, except the pairs of nearly equal images."""
    (folder / "thumbs.npy").unlink(missing_ok=True)
    names = sorted(set(decoded.modes))
    number = {name: k for k, name in enumerate(names)}
    np.save(folder / "modes.npy", np.array([number[mode] for mode in decoded.modes], dtype=np.uint8))
    if not isinstance(decoded.findings.sizes, np.memmap):  # otherwise the worker processes have written them
        np.save(folder / "digests.npy", digests.octets)
        np.save(folder / "sizes.npy", decoded.findings.sizes)
    words = {"modes": names, "reasons": decoded.reasons}
    (folder / _WORDS).write_text(json.dumps(words), encoding="utf-8")


def read_words(folder: Path) -> dict[str, Any]:
    """Return Pillow's modes, a list, and reasons by row. Raises ValueError for anything else."""
    found = read_json(folder / _WORDS, most=_MOST_BYTES)
    modes, reasons = found["modes"], found["reasons"]
    if not isinstance(modes, list) or not isinstance(reasons, dict):
        raise ValueError(f"{_WORDS} holds no modes and reasons")
    if not all(isinstance(word, str) for word in (*modes, *reasons.values())):
        raise ValueError(f"{_WORDS} holds something else than words")
    return {"modes": modes, "reasons": reasons}


def read_findings(folder: Path, n: int) -> dict[str, npt.NDArray[Any]]:
    """Return what was found out about `n` rows. Raises ValueError for arrays of other sizes or types."""
    found = {name: read_array(folder / f"{name}.npy") for name in _FINDINGS}
    for name, (kind, row) in _FINDINGS.items():
        rows = (len(found[name]) if name == "pairs" else n,)
        if found[name].shape != (*rows, *row) or found[name].dtype != kind:
            raise ValueError(f"{name}.npy holds {found[name].dtype} {found[name].shape}")
    if ((found["pairs"] < 0) | (found["pairs"] >= n)).any():
        raise ValueError("pairs.npy names rows that are not there")
    return found
