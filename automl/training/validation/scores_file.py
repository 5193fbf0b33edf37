"""The file of a model's scores on the validation rows. Imports neither torch nor scikit-learn: pages read it, too."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from automl.errors import StorageError
from automl.records import Task

SCORES_FILE = "validation.safetensors"  # in the folder of a trial
MOST_BYTES = 4 * 2**20  # of a file; decision 171
_MOST_FILE = 2 * MOST_BYTES  # with names of classes, whatever wrote it
_TARGETS = {"classification": np.int32, "multilabel": np.uint8, "regression": np.float32}


@dataclass(frozen=True)
class ScoresFacts:
    """What scores are of: a model after a `round`, in which its metric had the `value`. `classes` name the outputs."""

    round: int
    value: float
    task: Task
    classes: tuple[str, ...]


@dataclass(frozen=True)
class ValidationScores(ScoresFacts):
    """A model's scores on validation rows.

    `rows` (n,) are the rows of the data. `targets` and `scores` (n, n_outputs) are as in
    `training.steps.metrics.compute`: probabilities, or values in the units of the targets.
    """

    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[Any]
    scores: npt.NDArray[Any]


def scores_of_head(file: Path) -> Path:
    """Return where the scores of the linear head in this file are."""
    return file.with_suffix(f".{SCORES_FILE}")


def can_be_kept(task: Task, rows: int, outputs: int) -> bool:
    """Return whether the scores of so many rows and outputs are small enough to be kept, perhaps as float16."""
    return rows * _bytes_of_row(task, outputs, half=task != "regression") <= MOST_BYTES


def _bytes_of_row(task: Task, outputs: int, *, half: bool) -> int:
    """Return the bytes of a row: its number, its target and its scores."""
    target = {"classification": 4, "multilabel": outputs, "regression": 4 * outputs}[task]
    return 4 + target + (2 if half else 4) * outputs


def write_scores(path: Path, found: ValidationScores) -> None:
    """Write the file, at once: after a crash there is the whole one or the one before. Raises OSError.

    Probabilities are float32, or float16 if the file would have more than `MOST_BYTES`.
    """
    from safetensors.numpy import save

    half = found.task != "regression"
    half &= len(found.rows) * _bytes_of_row(found.task, len(found.classes), half=False) > MOST_BYTES
    tensors = {
        "rows": found.rows.astype(np.int32),
        "targets": np.ascontiguousarray(found.targets, dtype=_TARGETS[found.task]),
        "scores": np.ascontiguousarray(found.scores, dtype=np.float16 if half else np.float32),
    }
    facts = {
        "round": str(found.round),
        "value": repr(float(found.value)),
        "task": found.task,
        "classes": json.dumps(list(found.classes)),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(save(tensors, facts))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_scores(path: Path) -> ValidationScores | None:
    """Return what is in the file, None if there is none. Raises StorageError if it is damaged."""
    found: ValidationScores | None = _read(path, _scores)
    return found


def read_facts(path: Path) -> ScoresFacts | None:
    """Return what the scores in the file are of, without reading these; None and errors as `read_scores`."""
    found: ScoresFacts | None = _read(path, _facts)
    return found


def _read(path: Path, content: Callable[[Any], Any]) -> Any:
    if not path.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _MOST_FILE:
            raise ValueError(f"it has more than {_MOST_FILE:,} bytes")
        with safe_open(path, "numpy") as file:
            return content(file)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError) as error:
        raise StorageError(f"the validation scores {str(path)!r} cannot be read ({error})") from error


def _scores(file: Any) -> ValidationScores:
    facts = _facts(file)
    arrays = (file.get_tensor(name) for name in ("rows", "targets", "scores"))
    found = ValidationScores(facts.round, facts.value, facts.task, facts.classes, *arrays)
    _check(found)
    return found


def _facts(file: Any) -> ScoresFacts:
    said = file.metadata() or {}
    classes = tuple(map(str, json.loads(said["classes"])))
    return ScoresFacts(int(said["round"]), float(said["value"]), _task(said["task"]), classes)


def _task(said: str) -> Task:
    known: dict[str, Task] = {name: name for name in get_args(Task)}
    return known[said]


def _check(found: ValidationScores) -> None:
    """Raise ValueError if the arrays do not belong together."""
    n, k = len(found.rows), len(found.classes)
    single = found.task == "classification"
    if found.scores.shape != (n, k) or found.targets.shape != ((n,) if single else (n, k)) or not n:
        raise ValueError(
            f"{found.scores.shape} scores and {found.targets.shape} targets of {n} rows, {k} classes"
        )
    if found.rows.dtype.kind not in "iu" or found.rows.min() < 0:
        raise ValueError("its row numbers are none")
    if single and (
        found.targets.dtype.kind not in "iu" or not 0 <= found.targets.min() <= found.targets.max() < k
    ):
        raise ValueError("a target is no class")
