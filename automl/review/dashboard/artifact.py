"""An artifact of the dashboard: a file of a study, or what is drawn from its files when somebody opens it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from automl.review.dashboard.snapshot import Snapshot

_SPACE = uuid.UUID("0e1d1f3c-7a52-4d4e-9a8e-2f6a3f0d6d11")  # of the ids below


@dataclass(frozen=True)
class Artifact:
    """A file of a study, or of its `trial`. `make` reads or draws its content."""

    id: str
    filename: str
    mimetype: str
    trial: int | None
    make: Callable[[], bytes]

    @property
    def meta(self) -> dict[str, str | None]:
        """What optuna-dashboard keeps of an artifact."""
        return {
            "artifact_id": self.id,
            "filename": self.filename,
            "mimetype": self.mimetype,
            "encoding": None,
        }


def artifact(
    snapshot: Snapshot, trial: int | None, name: str, mimetype: str, make: Callable[[], bytes]
) -> Artifact:
    """Return an artifact whose id is the same whenever the study is read."""
    key = uuid.uuid5(_SPACE, f"{snapshot.study_id}/{snapshot.name}/{trial}/{name}")
    return Artifact(str(key), name, mimetype, trial, make)
