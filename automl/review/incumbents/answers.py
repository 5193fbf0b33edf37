"""The answers of a trial on the validation rows, from the scores of its best round: nothing is scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl.errors import StorageError
from automl.final.evaluation.confusion import confusion_of
from automl.final.evaluation.record import Evaluation
from automl.records import TrialRow
from automl.review.front.kept import head_file
from automl.review.report.answers import Answer, read_parts
from automl.review.studies import StudyFolder
from automl.search.storage.checkpoints import TrialFiles
from automl.search.storage.kinds import HEADS
from automl.training.steps.metrics import to_labels
from automl.training.validation.scores_file import SCORES_FILE, ValidationScores, read_scores, scores_of_head

INDEX, PARTS = "index", ("train", "val", "holdout")
MOST_ERRORS = 1_000  # of a regression, whose answers are all wrong


@dataclass(frozen=True)
class TrialAnswers:
    """What a trial answered in its best `round` on the validation rows; `value` is the metric then.

    `answers` are the wrong ones that have a file name, in no particular order; of a regression those with the largest
    errors. `wrong` counts all wrong ones (of several labels, images with a wrong one; of a regression 0). `evaluation`
    has task, classes and confusions, and no metrics.
    """

    trial: int
    round: int
    value: float
    evaluation: Evaluation
    answers: tuple[Answer, ...]
    wrong: int = 0


def scores_path(study: Path, row: TrialRow) -> Path:
    """Return the file of a trial's validation scores, which need not exist."""
    if row.kind in HEADS:
        return scores_of_head(head_file(study, row.config))
    return TrialFiles(study, logs=False).folder(row.trial) / SCORES_FILE


def trial_answers(
    study: StudyFolder, row: TrialRow, metric: str, names: Mapping[int, str] | None = None
) -> TrialAnswers | None:
    """Return the answers of a trial; None without scores, or with those of a round that the search has not taken in.

    `names` are those of `file_names`, which are read if they are not given. Rows that have none are left out of the
    `answers`. Raises StorageError if the file is damaged.
    """
    path = scores_path(study.path, row)
    found = read_scores(path)
    if found is None or found.round > row.rounds:
        return None
    if not np.isfinite(found.scores).all():
        raise StorageError(f"the validation scores {str(path)!r} hold a value that is not finite")
    names = file_names(study.path) if names is None else names
    evaluation = Evaluation(
        found.task, metric, len(found.rows), found.classes, {}, confusion=_confusion(found)
    )
    places, wrong = _worst_places(found)
    answers = _answers(found, names, places)
    return TrialAnswers(row.trial, found.round, found.value, evaluation, answers, wrong)


def file_names(study: Path, parts: Sequence[Mapping[str, str]] | None = None) -> dict[int, str]:
    """Return the name of the file of each row of the data; {} where the files of the study do not say.

    splits.csv has the rows of all parts in the order of their numbers; `parts` are its rows, which are read if they are
    not given.
    """
    try:
        index = [np.load(study / INDEX / f"{part}.npy") for part in PARTS]
    except (OSError, ValueError):
        return {}
    numbers = np.sort(np.concatenate(index)).tolist()
    files = [
        row["file"]
        for row in (read_parts(study) if parts is None else parts)
        if row.get("split") and row.get("file")
    ]
    return dict(zip(numbers, files, strict=True)) if len(numbers) == len(files) else {}


def _confusion(found: ValidationScores) -> dict[str, dict[str, int]]:
    if found.task != "classification":
        return {}
    return confusion_of(found.targets, to_labels(found.scores, found.task), found.classes)


def _worst_places(found: ValidationScores) -> tuple[list[int], int]:
    """Return the places of wrong answers and their number; of a regression those of the largest errors, and 0."""
    if found.task == "regression":
        errors = np.abs(found.scores - found.targets)
        scaled = (errors / np.maximum(errors.mean(axis=0), 1e-30)).max(axis=1)
        return np.argsort(-scaled, kind="stable")[:MOST_ERRORS].tolist(), 0
    said = to_labels(found.scores, found.task)
    apart = said != found.targets if found.task == "classification" else (said != found.targets).any(axis=1)
    places: list[int] = np.flatnonzero(apart).tolist()
    return places, len(places)


def _answers(found: ValidationScores, names: Mapping[int, str], places: Sequence[int]) -> tuple[Answer, ...]:
    known = ((place, int(found.rows[place])) for place in places)
    rows = [(place, names[row]) for place, row in known if row in names]
    if found.task == "regression":
        return tuple(_values(file, found.targets[place], found.scores[place]) for place, file in rows)
    said = to_labels(found.scores, found.task)
    if found.task == "multilabel":
        return tuple(
            Answer(file, _words(found.targets[place], found.classes), _words(said[place], found.classes))
            for place, file in rows
        )
    sure = found.scores.max(axis=1)
    return tuple(
        Answer(
            file,
            found.classes[int(found.targets[place])],
            found.classes[int(said[place])],
            float(sure[place]),
        )
        for place, file in rows
    )


def _values(file: str, true: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> Answer:
    values = tuple(zip(map(float, true), map(float, said), strict=True))
    words = ["|".join(f"{pair[k]:.4g}" for pair in values) for k in (0, 1)]
    return Answer(file, words[0], words[1], values=values)


def _words(given: npt.NDArray[np.int64], classes: tuple[str, ...]) -> str:
    return "|".join(name for name, on in zip(classes, given.tolist(), strict=True) if on > 0)
