"""The answers of a model on labelled images, as a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from automl.errors import UsageError
from automl.final.evaluation.compute import Scored
from automl.records import DatasetInfo
from automl.training.steps.metrics import to_labels

if TYPE_CHECKING:
    import pandas as pd

MOST_SCORES = 250_000  # written in a second; the table then still has the confidence of each answer
_DIGITS = 6


def answers_table(scored: Scored, info: DatasetInfo) -> pd.DataFrame:
    """Return a row for each image: `file`, `label` (the true one), `predicted`, and what it was decided by.

    That is the `confidence` and a column `proba_CLASS` for each class or label, unless these would be more than 250,000
    numbers. Several labels have "|" between them. A regression has the numbers themselves, with a column `label_NAME`
    and one `predicted_NAME` for each if there are several.
    """
    import pandas as pd

    columns: dict[str, Any] = {"file": list(scored.files)}
    if info.task == "regression":
        for k, name in enumerate(info.classes):
            end = f"_{name}" if len(info.classes) > 1 else ""
            columns[f"label{end}"] = scored.targets[:, k].astype(np.float64).tolist()
            columns[f"predicted{end}"] = _rounded(scored.scores[:, k])
        return pd.DataFrame(columns)
    said = to_labels(scored.scores, info.task)
    if info.task == "classification":
        columns["label"] = [info.classes[k] for k in scored.targets.tolist()]
        columns["predicted"] = [info.classes[k] for k in said.tolist()]
        columns["confidence"] = _rounded(scored.scores.max(axis=1))
    else:
        columns["label"] = _joined(scored.targets > 0, info)
        columns["predicted"] = _joined(said > 0, info)
    if scored.scores.size <= MOST_SCORES:
        columns |= {f"proba_{name}": _rounded(scored.scores[:, k]) for k, name in enumerate(info.classes)}
    return pd.DataFrame(columns)


def write_answers(path: Path, scored: Scored, info: DatasetInfo) -> None:
    """Write `answers_table` as CSV, at once: after a crash there is the whole file or none. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        table = answers_table(scored, info)
        table.to_csv(temporary, index=False, encoding="utf-8", errors="backslashreplace")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_asked_answers(path: Path, scored: Scored, info: DatasetInfo) -> None:
    """Write the table where a user wants it. Raises UsageError if that cannot be written."""
    try:
        write_answers(path, scored, info)
    except OSError as error:
        raise UsageError(
            f"--out must be a file that can be written, got {str(path)!r} ({error.strerror or error})"
        ) from error


def _joined(given: npt.NDArray[np.bool_], info: DatasetInfo) -> list[str]:
    return [
        "|".join(name for name, on in zip(info.classes, row, strict=True) if on) for row in given.tolist()
    ]


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    found: list[float] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return found
