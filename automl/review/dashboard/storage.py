"""Optuna's storage as optuna-dashboard should see it: the study of the database, in words that its pages can show.

Nothing is written: states, times and names are translated while they are read. optuna-dashboard keeps notes and lists
of artifacts in system attributes of a study, where these are added.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from automl.errors import AutomlError
from automl.review.dashboard.artifact import Artifact
from automl.review.dashboard.artifacts import REPORT_FILE, artifacts_of
from automl.review.dashboard.note import counted_facts, study_facts, study_note, trial_note
from automl.review.dashboard.snapshot import Snapshot, read_snapshot
from automl.review.dashboard.trials import shown_trial
from automl.review.studies import WRONG_VALUES, StudyFolder
from automl.search.storage.sql.dashboard_storage import BulkStorage
from automl.search.storage.sql.study_counts import StudyCounts, read_counts
from automl.search.storage.summary import NOT_OURS

FindFolder = Callable[[str], StudyFolder | None]

# As optuna-dashboard reads them (`_note.py`, `artifact/_backend.py`); tests/test_private_names.py.
_PIECE = 2045
_VERSION, _TEXT = "note_ver", "note_str"
_FEW, _MANY = 100, 500  # trials: with more, what was read is used for longer, as optuna-dashboard does
_LIFETIME = {_FEW: 1.0, _MANY: 4.0}
_LONGEST = 9.0
_LOOKED_S = 30.0  # after its last request, a study counts as looked at: an open page asks every few seconds


@dataclass(frozen=True)
class _Read:
    """A study as it was read at a `moment`: its trials as they are shown, and the `attributes` that are added to the
    system attributes, the `facts` to the user attributes.

    Without a snapshot it is a study of Optuna alone, and shown as it is.
    """

    moment: float
    trials: tuple[FrozenTrial, ...]
    snapshot: Snapshot | None = None
    artifacts: tuple[Artifact, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


class DashboardStorage(BulkStorage):
    """The storage of all studies of a database. `find_folder` returns the folder of a study, None if unknown."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what RDBStorage takes. `find_folder` knows no folder until it is set."""
        super().__init__(*arguments, **options)
        self.find_folder: FindFolder = lambda _: None
        self._reads: dict[int, _Read] = {}
        self._looked: dict[int, float] = {}
        self._counted: tuple[float, dict[str, dict[str, str]]] | None = None
        self._reading = threading.Lock()

    def snapshot(self, study_id: int) -> Snapshot | None:
        """Return the study as of a few seconds ago at most; None if it is not of automl or of another version."""
        self._looked[study_id] = time.monotonic()
        return self._read(study_id).snapshot

    def artifact(self, artifact_id: str) -> Artifact | None:
        """Return the artifact with this id, of any study that was looked at."""
        found = [each for read in list(self._reads.values()) for each in read.artifacts]
        return next((each for each in found if each.id == artifact_id), None)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return the studies with their facts; of those that somebody looks at with notes and artifacts as well.

        The others are counted in the database, all at once: to read their trials would take as long for each of
        hundreds of studies as to open it.
        """
        studies = super().get_all_studies()
        opened = self._opened([study._study_id for study in studies])
        for study in studies:
            if study._study_id in opened:
                study.system_attrs = self._with_ours(study._study_id, study.system_attrs)
                study.user_attrs = {**self._read(study._study_id).facts, **study.user_attrs}
            else:
                study.user_attrs = {**self._counted_facts(study.study_name), **study.user_attrs}
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study with its notes and artifacts."""
        return self._with_ours(study_id, super().get_study_system_attrs(study_id))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the first trial of the leaderboard, whatever its state. Raises ValueError if no trial has a value."""
        read = self._read(study_id)
        if read.snapshot is None:
            return super().get_best_trial(study_id)
        best = read.snapshot.best
        found = next(
            (trial for trial in read.trials if best is not None and trial.number == best.trial), None
        )
        if found is None:
            raise ValueError("no trial has a value yet")
        return found

    def has_complete(self, study_id: int) -> bool:
        """Return whether any trial is shown as Complete."""
        return any(trial.state is TrialState.COMPLETE for trial in self._read(study_id).trials)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        self._looked[study_id] = time.monotonic()
        return [
            trial
            for trial in self._read(study_id).trials
            if (states is None or trial.state in states)
            and (trial._trial_id > trial_id_greater_than or trial._trial_id in included_trial_ids)
        ]

    # ------------------------------------------------------------------------------------------------------

    def _read(self, study_id: int) -> _Read:
        with self._reading:
            known, now = self._reads.get(study_id), time.monotonic()
            if known is None or now - known.moment > _lifetime(known):
                known = self._reads[study_id] = self._read_now(study_id, now)
            return known

    def _opened(self, known: list[int]) -> set[int]:
        """Return the studies that somebody looks at: the only one, or those that were asked for just now."""
        now = time.monotonic()
        looked = {study_id for study_id, at in list(self._looked.items()) if now - at < _LOOKED_S}
        return set(known) if len(known) == 1 else looked & set(known)

    def _counted_facts(self, name: str) -> dict[str, str]:
        """Return the facts of a study that nobody looks at, as of a few seconds ago."""
        now = time.monotonic()
        with self._reading:
            if self._counted is None or now - self._counted[0] > _LONGEST:
                self._counted = (now, self._facts_now())
            return self._counted[1].get(name, {})

    def _facts_now(self) -> dict[str, dict[str, str]]:
        try:
            with self.engine.connect() as connection:
                counts = read_counts(connection)
        except NOT_OURS:
            return {}
        return {name: self._facts_of(name, found) for name, found in counts.items()}

    def _facts_of(self, name: str, found: StudyCounts) -> dict[str, str]:
        try:
            return {key: text for key, text in counted_facts(found, self.find_folder(name)) if text}
        except (*WRONG_VALUES, AutomlError, OSError):
            return {}  # its folder is damaged: opening it says so

    def _read_now(self, study_id: int, now: float) -> _Read:
        name = self.get_study_name_from_id(study_id)
        trials = tuple(super()._get_trials(study_id, None, set(), -1))
        try:
            with self.engine.connect() as connection:
                snapshot = read_snapshot(connection, study_id, name, self.find_folder(name))
            if snapshot is None:
                return _Read(now, trials)
            shown = tuple(shown_trial(trial, snapshot) for trial in trials)
            artifacts = artifacts_of(snapshot)
            attributes = _attributes(snapshot, artifacts)
            facts = {name: text for name, text in study_facts(snapshot) if text}
            return _Read(now, shown, snapshot, tuple(artifacts), attributes, facts)
        except (*NOT_OURS, *WRONG_VALUES, AutomlError, OSError):
            return _Read(now, trials)  # Optuna's own view is still right

    def _with_ours(self, study_id: int, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return system attributes with ours. A note that a person wrote stands in place of ours."""
        ours = self._read(study_id).attributes
        written = {key.split("note_", 1)[0] for key, value in found.items() if _TEXT in key and value}
        kept = {
            key: value
            for key, value in ours.items()
            if "note_" not in key or key.split("note_", 1)[0] not in written
        }
        versions = {key: found[key] for key in kept if key.endswith(_VERSION) and key in found}
        return {**found, **kept, **versions}


def _lifetime(read: _Read) -> float:
    return next((seconds for most, seconds in _LIFETIME.items() if len(read.trials) < most), _LONGEST)


def _attributes(snapshot: Snapshot, artifacts: list[Artifact]) -> dict[str, Any]:
    """Return the system attributes that hold the notes and the lists of artifacts."""
    report = next((each.id for each in artifacts if each.filename == REPORT_FILE), None)
    address = None if report is None else f"/artifacts/{snapshot.study_id}/{report}"
    found = _note("dashboard:", study_note(snapshot, address))
    for number in snapshot.noted:
        found |= _note(f"dashboard:{snapshot.ids[number]}:", trial_note(snapshot, number))
    for artifact in artifacts:
        place = (
            "artifacts:" if artifact.trial is None else f"dashboard:artifacts:{snapshot.ids[artifact.trial]}:"
        )
        found[f"{place}{artifact.id}"] = json.dumps(artifact.meta)
    return found


def _note(place: str, text: str) -> dict[str, Any]:
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return {
        f"{place}{_VERSION}": 1,
        **{f"{place}{_TEXT}:{index}": piece for index, piece in enumerate(pieces)},
    }
