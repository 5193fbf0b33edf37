"""How far a study is that has no result yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.records import TrialRow
from automl.review.describe import counts_words
from automl.review.studies import DATABASE_FILE, StudyFolder
from automl.review.tables import ranked
from automl.review.trials import study_trials
from automl.search.storage.kinds import HEADS

if TYPE_CHECKING:
    from automl.search.storage.sql.study_counts import StudyCounts


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


class Counted:
    """How far studies without a result are, for a list: a database is read once for all studies in it."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, StudyCounts] | None] = {}

    def of(self, study: StudyFolder) -> dict[str, Any]:
        """Return `metric`, `trials` and `best` as `progress_of` does it, `best` with its value alone.

        Raises StorageError if the database cannot be read.
        """
        if not study.config.get("storage") and not (study.path / DATABASE_FILE).is_file():
            return progress_of(study)
        url = study.storage_url()
        if url not in self._known:
            self._known[url] = _counts_at(url)
        known = self._known[url]
        found = None if known is None else known.get(study.name)
        if found is None:
            return progress_of(study)
        best = None if found.best is None else {"val_score": found.best}
        return {"metric": found.metric or study.metric, "trials": found.words, "best": best}


def _counts_at(url: str) -> dict[str, StudyCounts] | None:
    from automl.search.storage.sql.study_counts import read_counts
    from automl.search.storage.sql.urls import connected
    from automl.search.storage.summary import NOT_OURS

    try:
        with connected(url) as connection:
            return read_counts(connection)
    except NOT_OURS:  # `progress_of` knows earlier versions, and says what is wrong
        return None


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
