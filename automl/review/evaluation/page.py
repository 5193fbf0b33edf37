"""Write an evaluation as one self-contained page, with the worst errors as images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import DataError, UsageError
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.score_data import DataEvaluation
from automl.review.evaluation.diagrams import reliability_diagram, risk_diagram
from automl.review.evaluation.matrix import LARGEST_MATRIX, matrix_of
from automl.review.evaluation.text import Table, sentences, tables
from automl.review.page.render import render
from automl.review.page.thumbnails import data_url, small

MOST_ERRORS = 60
_MOST_ROWS = 100  # of a table of pairs, which many classes would make fill the page


def write_page(
    evaluation: Evaluation, path: Path, *, title: str, answers: DataEvaluation | None = None
) -> None:
    """Write the page: notes, metrics, classes, confusions, diagrams and, from `answers`, the worst errors as images.

    Names of files and classes are escaped, and nothing on the page comes from elsewhere. Raises UsageError if `path`
    cannot be written.
    """
    page = render("evaluation.html", **_content(evaluation, title, answers))
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"--html must be a file that can be written, got {str(path)!r} ({error.strerror or error})"
        ) from error


def _content(evaluation: Evaluation, title: str, answers: DataEvaluation | None) -> dict[str, Any]:
    shown = [
        table for table in tables(evaluation, everything=True) if not table.title.startswith("Confusion")
    ]
    matrix = evaluation.confusion and len(evaluation.classes) <= LARGEST_MATRIX
    calibration = evaluation.calibration
    return {
        "title": title,
        "evaluation": evaluation,
        "texts": sentences(evaluation),
        "first": shown[:2],
        "matrix": matrix_of(evaluation) if matrix else None,
        "tables": [_shortened(table) for table in shown[2:]],
        "reliability": None if calibration is None else reliability_diagram(calibration.bins),
        "risk": risk_diagram(evaluation.risk_coverage) if evaluation.risk_coverage else None,
        "errors": None if answers is None else _errors(answers),
        "order": "largest" if evaluation.task == "regression" else "most confident",
    }


def _shortened(table: Table) -> Table:
    return Table(table.title, table.columns, table.rows[:_MOST_ROWS], table.right)


def _errors(answers: DataEvaluation) -> list[dict[str, str]]:
    """Return the worst errors as thumbnails."""
    positions, captions = worst_errors(answers)
    return [
        _shot(answers, i, answers.scored.files[i], caption)
        for i, caption in zip(positions, captions, strict=True)
    ]


def _shot(answers: DataEvaluation, position: int, file: str, caption: str) -> dict[str, str]:
    try:
        url = data_url(small(answers.load(position)))
    except DataError:
        url = ""
    return {"file": file, "caption": f"{file}: {caption}", "alt": caption, "url": url, "heat": ""}


def worst_errors(answers: DataEvaluation, most: int = MOST_ERRORS) -> tuple[list[int], list[str]]:
    """Return the positions of the worst errors among the answers, and what is wrong with each."""
    scored, info = answers.scored, answers.info
    targets, scores = scored.targets, scored.scores
    if info.task == "classification":
        said = scores.argmax(axis=1)
        places = _first(np.where(said != targets, scores.max(axis=1), -np.inf), most)
        return places, [
            f"{info.classes[targets[i]]}, taken for {info.classes[said[i]]} ({scores[i, said[i]]:.3f})"
            for i in places
        ]
    if info.task == "multilabel":
        gaps = np.abs(scores - targets)
        which = gaps.argmax(axis=1)
        worst = gaps[np.arange(len(gaps)), which]
        places = _first(np.where(worst > 0.5, worst, -np.inf), most)
        return places, [
            f"{'missed' if targets[i, k] > 0 else 'wrongly'} {info.classes[k]} ({scores[i, k]:.3f})"
            for i, k in zip(places, which[places].tolist(), strict=True)
        ]
    scale = np.array(info.target_std or (1.0,) * len(info.classes))
    errors = np.abs(scores - targets) / scale
    which = errors.argmax(axis=1)
    places = _first(errors[np.arange(len(errors)), which], most)
    return places, [
        f"{info.classes[which[i]]} {targets[i, which[i]]:.4g}, predicted {scores[i, which[i]]:.4g}"
        for i in places
    ]


def _first(values: npt.NDArray[Any], most: int) -> list[int]:
    """Return the places of the largest finite values, at most `most` of them."""
    order = np.argsort(-values, kind="stable")[:most]
    return [int(i) for i in order if np.isfinite(values[i])]
