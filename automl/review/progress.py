"""How far a study is that has no result yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from automl.records import TrialRow
from automl.review.describe import counts_words
from automl.review.studies import StudyFolder
from automl.review.tables import ranked
from automl.review.trials import study_trials
from automl.search.storage.kinds import HEADS


def progress_of(study: StudyFolder) -> dict[str, Any]:
    """Return the progress as `automl show --json` prints it. Raises StorageError if the database cannot be read."""
    metric, mode, trials = study_trials(study)
    best = next((row for row in ranked(trials, mode) if row.value is not None), None)
    trained = [row for row in trials if row.kind not in HEADS]
    counts = Counter(str(row.state) for row in trained)
    return {
        "study": study.name,
        "state": "unfinished",
        "running": bool(study.runner),
        "metric": metric,
        "mode": mode,
        "trials": {"total": len(trained), **counts, "heads": len(trials) - len(trained)},
        "best": None if best is None else _best(best),
    }


def trials_words(counts: Mapping[str, int], *, running: bool) -> str:
    """Return `counts_words` of a study without a result; where no process runs it, no trial runs either."""
    said = counts_words(counts)
    count = counts.get("running")
    return (
        said if running or not count else said.replace(f"{count} running", f"{count} running when it ended")
    )


def _best(row: TrialRow) -> dict[str, Any]:
    return {
        "trial": row.trial,
        "val_score": row.value,
        "rounds": row.rounds,
        "epochs": row.epochs,
        "config": row.config,
        "kind": row.kind,
    }
