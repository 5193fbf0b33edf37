"""Finished and unfinished studies on disk as something to learn from."""

from __future__ import annotations

import json
from typing import Any

from automl.records import TrialState
from automl.review.studies import StudyFolder
from automl.review.trials import stored_trials
from automl.search.sampling.portfolio import PastStudy

PLAN_FILE = "plan.json"


def read_past(study: StudyFolder) -> PastStudy:
    """The curves of a study's trials; those of failed ones are left out.

    Raises StorageError where its database cannot be read.
    """
    _, mode, stored = stored_trials(study)
    trials = [
        (trial.config, {report.round: report.value for report in trial.reports})
        for trial in stored
        if trial.state is not TrialState.FAILED and trial.reports
    ]
    reached = max((max(values) for _, values in trials), default=1)
    planned = read_plan(study).get("epochs")
    epochs = planned if isinstance(planned, int) else reached
    return PastStudy(study.name, mode, max(epochs, reached), trials)


def read_plan(study: StudyFolder) -> dict[str, Any]:
    """What the study wrote down about its data and its plan; empty where it has not got that far."""
    try:
        content = json.loads((study.path / PLAN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
