"""Data: sources, a memory-mapped cache of decoded images, splits with a sealed holdout, batches and augmentation.

The names below load on first use, so importing this package imports neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.data.holdout import Holdout
    from automl.data.loading.augment import Augment
    from automl.data.loading.batches import Batches
    from automl.data.pixels import load_pixels
    from automl.data.prepare import PreparedData, prepare_data
    from automl.data.quality.report import DataReport
    from automl.data.sources import open_data, open_source
    from automl.data.sources.base import Source

_MODULES = {
    "Augment": "loading.augment",
    "Batches": "loading.batches",
    "DataReport": "quality.report",
    "Holdout": "holdout",
    "PreparedData": "prepare",
    "Source": "sources.base",
    "load_pixels": "pixels",
    "open_data": "sources",
    "open_source": "sources",
    "prepare_data": "prepare",
}

__all__ = [
    "Augment",
    "Batches",
    "DataReport",
    "Holdout",
    "PreparedData",
    "Source",
    "load_pixels",
    "open_data",
    "open_source",
    "prepare_data",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
