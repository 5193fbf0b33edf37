"""The artifacts of the dashboard: files of the study, and diagrams that are drawn when somebody looks at them."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from automl.documents.bounded_file import read_bounded
from automl.errors import StorageError
from automl.final.evaluation.record import ANSWERS_FILE, Evaluation
from automl.final.evaluation.words import of_document
from automl.review.dashboard.artifact import Artifact, artifact
from automl.review.dashboard.diagrams import LARGEST_MATRIX, curves_svg, matrix_svg
from automl.review.dashboard.snapshot import Snapshot
from automl.review.dashboard.validation import validation_artifacts
from automl.review.evaluation.page import write_page
from automl.review.studies import TRIALS_FILE

REPORT_FILE = "report.html"
MOST_CURVES = 60
_MOST_BYTES = 64 * 2**20
# Small files of a study that a person may want, and their types.
_FILES = {
    REPORT_FILE: "text/html",
    TRIALS_FILE: "text/csv",
    "label_errors.csv": "text/csv",
    "data_report.json": "application/json",
}


def artifacts_of(snapshot: Snapshot) -> list[Artifact]:
    """Return the artifacts of a study and of the trials that were the best."""
    return [
        *_of_study(snapshot),
        *(each for number in snapshot.noted for each in _of_trial(snapshot, number)),
    ]


class GeneratedArtifacts:
    """An artifact store of optuna-dashboard over artifacts that are made when they are opened; nothing is written."""

    def __init__(self, find: Callable[[str], Artifact | None]) -> None:
        """`find` returns the artifact with an id."""
        self._find = find

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return the content. Raises ArtifactNotFound if there is none any more."""
        found = self._find(artifact_id)
        if found is None:
            raise ArtifactNotFound(f"no artifact {artifact_id}")
        try:
            return io.BytesIO(found.make())
        except (OSError, ValueError, KeyError, StorageError) as error:
            raise ArtifactNotFound(f"{found.filename} cannot be read: {error}") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Raises OSError: a study's files are those that it wrote itself."""
        raise OSError("the files of a study cannot be added to")

    def remove(self, artifact_id: str) -> None:
        """Do nothing: the study's files are no copies, and its diagrams are no files."""


def _of_study(snapshot: Snapshot) -> Iterator[Artifact]:
    if snapshot.folder is None:
        return
    for name, mimetype in _FILES.items():
        path = snapshot.folder.path / name
        if path.is_file():
            yield artifact(snapshot, None, name, mimetype, _reader(path))


def _of_trial(snapshot: Snapshot, number: int) -> Iterator[Artifact]:
    if snapshot.trials[number].rounds:

        def curves() -> bytes:
            near = sorted(snapshot.trials, key=lambda other: abs(other - number))[:MOST_CURVES]
            return curves_svg(
                {other: snapshot.curve(other) for other in near}, number, snapshot.metric
            ).encode()

        yield artifact(snapshot, number, "curves.svg", "image/svg+xml", curves)
    folder = snapshot.folder
    if folder is None:
        return
    log = folder.path / "trials" / f"t{number:04d}" / "log.csv"
    if log.is_file():
        yield artifact(snapshot, number, "log.csv", "text/csv", _reader(log))
    yield from validation_artifacts(snapshot, number)
    evaluation = None if folder.result is None or snapshot.delivered != number else of_document(folder.result)
    if evaluation is not None:
        yield from _of_delivered(snapshot, number, evaluation, folder.path / ANSWERS_FILE)


def _of_delivered(
    snapshot: Snapshot, number: int, evaluation: Evaluation, answers: Path
) -> Iterator[Artifact]:
    """Return how good the delivered model is on the holdout."""
    if evaluation.confusion and len(evaluation.classes) <= LARGEST_MATRIX:
        name = "confusion on the holdout.svg"
        yield artifact(snapshot, number, name, "image/svg+xml", lambda: matrix_svg(evaluation).encode())
    yield artifact(
        snapshot,
        number,
        "evaluation on the holdout.html",
        "text/html",
        lambda: _page(evaluation, f"{snapshot.name} on the holdout"),
    )
    if answers.is_file() and evaluation.task != "regression":
        name = "errors on the holdout.csv"
        yield artifact(snapshot, number, name, "text/csv", lambda: wrong_answers(answers))


def wrong_answers(path: Path) -> bytes:
    """Return the rows of a table of answers that are wrong, the most confident first, without probabilities."""
    text = read_bounded(path, _MOST_BYTES).decode("utf-8", errors="replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = [name for name in reader.fieldnames or () if not name.startswith("proba_")]
    rows = [row for row in reader if row["label"] != row["predicted"]]
    rows.sort(key=lambda row: -float(row.get("confidence") or 0.0))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _page(evaluation: Evaluation, title: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="automl-") as folder:
        path = Path(folder) / "evaluation.html"
        write_page(evaluation, path, title=title)
        return path.read_bytes()


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_bounded(path, _MOST_BYTES)
