"""Read arrays of NumPy from files that may be damaged."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def read_array(path: Path, *, mapped: bool = False) -> Array:
    """Return the array in a .npy file, mapped into memory or read.

    Raises OSError if it cannot be read, and ValueError for anything that is no array of numbers.
    """
    try:
        found = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # of its header, NumPy raises nearly anything
        raise ValueError(f"{path.name} holds no array ({type(error).__name__}: {error!s:.100})") from error
    return _checked(found, path.name)


def read_arrays(path: Path, names: Collection[str]) -> dict[str, Array]:
    """Return the arrays of these names in a .npz file; others are not read. Raises as `read_array` does."""
    try:
        # np.load would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as inside:
            found = {name: inside[name] for name in names}
    except (OSError, ValueError):
        raise
    except Exception as error:  # so do zipfile and zlib
        raise ValueError(f"{path.name} holds no arrays ({type(error).__name__}: {error!s:.100})") from error
    return {name: _checked(array, name) for name, array in found.items()}


def _checked(found: Any, name: str) -> Array:
    """Return an array; a file may hold a zip in its place, and a member other bytes."""
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{name} holds no array")
    return found
