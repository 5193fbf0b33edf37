"""Read earlier studies to learn from them."""

from __future__ import annotations

from automl.records import TrialState
from automl.review.studies import StudyFolder, damage_told
from automl.review.trials import stored_trials
from automl.search.sampling.portfolio import PastStudy

PLAN_FILE = "plan.json"


def read_past(study: StudyFolder) -> PastStudy:
    """Return the learning curves of a study's trainings, without failed ones.

    Raises StorageError if its database cannot be read, and StudyError if its files hold other values than a study's.
    """
    with damage_told(study.name):
        _, mode, stored = stored_trials(study)
        trials = [
            (trial.config, {report.round: report.value for report in trial.reports})
            for trial in stored
            if trial.state is not TrialState.FAILED and trial.reports and not trial.is_head
        ]
        reached = max((max(values) for _, values in trials), default=1)
        planned = study.plan.get("epochs")  # in rounds
        epochs = planned if isinstance(planned, int) else reached
        return PastStudy(study.name, mode, max(epochs, reached), trials)
