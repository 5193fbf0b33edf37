"""Everything that a report is made from: the files of a study and its database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from automl.documents.json_file import read_object
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.words import of_document
from automl.records import Task
from automl.review.report.answers import (
    Answer,
    LabelError,
    read_answers,
    read_label_errors,
    read_parts,
)
from automl.review.report.history import History, read_history
from automl.review.studies import StudyFolder


@dataclass(frozen=True)
class Facts:
    """What is known about a study. `result` is result.json, empty while it is unfinished.

    `data` is data_report.json or empty, `parts` the rows of splits.csv.
    """

    study: StudyFolder
    history: History
    result: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    answers: tuple[Answer, ...] = field(default=(), repr=False)
    label_errors: tuple[LabelError, ...] = field(default=(), repr=False)
    parts: tuple[Mapping[str, str], ...] = field(default=(), repr=False)

    @property
    def task(self) -> Task:
        """The task; classification as long as the study has not said another."""
        found: Task = (self.result or self.study.plan).get("task") or self.data.get("task", "classification")
        return found

    @property
    def metric(self) -> str:
        """The metric's name."""
        return str(self.result.get("metric") or self.history.metric)

    @property
    def sign(self) -> float:
        """1 if more is better by the metric, else -1."""
        return self.history.sign

    @property
    def held(self) -> dict[str, float] | None:
        """The holdout's value, low and high by the study's metric; None without a result."""
        found: dict[str, float] | None = self.result.get("holdout", {}).get(self.metric)
        return found


def read_facts(study: StudyFolder, result: Mapping[str, Any] | None = None) -> Facts:
    """Return the facts of a study; `result` is that of a study that is about to write its own, {} while it searches.

    Raises StudyError, or one of `WRONG_VALUES`, for damaged files.
    """
    document: Mapping[str, Any] = (result if result is not None else study.result) or {}
    if result is not None:
        study = replace(study, result=dict(result) or None)
    evaluation = of_document(document) if document else None
    facts = Facts(
        study, read_history(study), document, read_object(study.path / "data_report.json"), evaluation
    )
    targets = () if evaluation is None else evaluation.classes
    return replace(
        facts,
        answers=read_answers(study.path, facts.task, targets) if document else (),
        label_errors=read_label_errors(study.path),
        parts=read_parts(study.path),
    )
