"""The artifacts of a trial that was the best: what it answers wrong on the validation rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from automl.errors import StorageError
from automl.records import TrialRow
from automl.review.dashboard.artifact import Artifact, artifact
from automl.review.dashboard.diagrams import LARGEST_MATRIX, matrix_svg
from automl.review.dashboard.snapshot import Snapshot
from automl.review.incumbents.answers import TrialAnswers, scores_path, trial_answers
from automl.review.report.answers import Answer
from automl.review.studies import StudyFolder
from automl.training.validation.scores_file import read_facts


def validation_artifacts(snapshot: Snapshot, number: int) -> Iterator[Artifact]:
    """Return confusion matrix and errors of a trial whose scores are there. They are read when somebody opens them."""
    folder, row = snapshot.folder, snapshot.trials[number]
    if folder is None:
        return
    try:
        facts = read_facts(scores_path(folder.path, row))
    except StorageError:
        return
    if facts is None or facts.round > row.rounds:
        return
    if facts.task == "classification" and len(facts.classes) <= LARGEST_MATRIX:

        def matrix() -> bytes:
            said = _answers(folder, row, snapshot.metric)
            return matrix_svg(said.evaluation, _title(said, snapshot.metric)).encode()

        yield artifact(snapshot, number, "confusion on validation.svg", "image/svg+xml", matrix)

    def errors() -> bytes:
        return errors_csv(_answers(folder, row, snapshot.metric))

    yield artifact(snapshot, number, "errors on validation.csv", "text/csv", errors)


def errors_csv(said: TrialAnswers) -> bytes:
    """Return the wrong answers as CSV, the most confident first; of a regression the largest errors."""
    from automl.review.report.shots import worst

    task = said.evaluation.task
    answers = worst(said.answers, task, len(said.answers))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    if task == "regression":
        ends = [f"_{name}" for name in said.evaluation.classes] if len(said.evaluation.classes) > 1 else [""]
        writer.writerow(["file", *(f"{word}{end}" for end in ends for word in ("label", "predicted"))])
        writer.writerows(_values(answers))
        return out.getvalue().encode()
    sure = task == "classification"
    writer.writerow(["file", "label", "predicted", *(["confidence"] if sure else [])])
    for each in answers:
        confidence = [f"{each.confidence:.6g}"] if sure else []
        writer.writerow([each.file, each.label, each.predicted, *confidence])
    return out.getvalue().encode()


def _values(answers: Sequence[Answer]) -> Iterator[list[str]]:
    for each in answers:
        yield [each.file, *(f"{number:.6g}" for pair in each.values for number in pair)]


def _answers(folder: StudyFolder, row: TrialRow, metric: str) -> TrialAnswers:
    """Return the answers. Raises StorageError if they are gone since, or damaged."""
    found = trial_answers(folder, row, metric)
    if found is None:
        raise StorageError(f"the validation scores of trial {row.trial} are not there any more")
    return found


def _title(said: TrialAnswers, metric: str) -> str:
    after = f" after round {said.round}" if said.round else ""
    return f"{said.evaluation.n:,} validation images{after}, {metric} {said.value:.4f}"
