"""A study whose best trials left their scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from automl.records import Task
from automl.training.validation.scores_file import SCORES_FILE, ValidationScores, write_scores

CLASSES = ("ash", "birch", "oak")
ROWS = np.array([1, 4, 6, 9])  # the validation rows of the data
FILES = tuple(f"{row}.png" for row in ROWS.tolist())
TARGETS = np.array([0, 1, 2, 2])
# 4.png is answered wrongly with more confidence than 9.png.
SCORES = np.array([[0.8, 0.1, 0.1], [0.9, 0.05, 0.05], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]])


def write_index(root: Path) -> None:
    """Write row numbers and splits.csv of ten images, of which the fourth is left out."""
    (root / "index").mkdir(parents=True, exist_ok=True)
    parts = {"train": np.array([0, 2, 5, 7]), "val": ROWS, "holdout": np.array([8])}
    for part, rows in parts.items():
        np.save(root / "index" / f"{part}.npy", rows)
    of_row = {row: part for part, rows in parts.items() for row in rows.tolist()}
    lines = [f"{row}.png,some label,{of_row.get(row, '')},," for row in range(10)]
    (root / "splits.csv").write_text("\n".join(["file,label,split,group,sha256", *lines]), encoding="utf-8")


def scores_of(
    round: int = 2, value: float = 0.7, scores: np.ndarray = SCORES, task: Task = "classification"
) -> ValidationScores:
    """What a trial answered after a round."""
    targets = {
        "classification": TARGETS,
        "multilabel": np.eye(3)[TARGETS],
        "regression": np.stack([TARGETS + 0.5 * k for k in range(3)], axis=1),
    }[task]
    return ValidationScores(round, value, task, CLASSES, ROWS, targets, scores)


def write_trial(root: Path, trial: int, found: ValidationScores) -> Path:
    """Write the scores of a trial."""
    path = root / "trials" / f"t{trial:04d}" / SCORES_FILE
    write_scores(path, found)
    return path
