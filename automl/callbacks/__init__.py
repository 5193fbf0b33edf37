"""Callbacks of a study: your own (`Callback`), and those that write to an experiment tracker.

    automl.fit("photos/", time_limit="10m", callbacks=[automl.callbacks.TensorBoard()])

Importing this imports no tracker; each is loaded when its callback is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
    from automl.callbacks.mlflow import MLflow
    from automl.callbacks.tensorboard import TensorBoard
    from automl.callbacks.trackio import Trackio
    from automl.callbacks.wandb import WandB

__all__ = ["Callback", "MLflow", "StudyInfo", "TensorBoard", "Trackio", "TrialEnd", "TrialInfo", "WandB"]

_HOMES = {
    "Callback": "base",
    "MLflow": "mlflow",
    "StudyInfo": "base",
    "TensorBoard": "tensorboard",
    "Trackio": "trackio",
    "TrialEnd": "base",
    "TrialInfo": "base",
    "WandB": "wandb",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"automl.callbacks.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'automl.callbacks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
