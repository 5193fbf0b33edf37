"""What every stage of a run needs."""

from __future__ import annotations

from dataclasses import dataclass

from automl.config import StudyConfig
from automl.pipeline.clock import Clock
from automl.pipeline.study_folder import Workspace
from automl.records import Observer


@dataclass(frozen=True)
class Context:
    """The configuration of a run, the folder of its study, its clock, and its observer."""

    config: StudyConfig
    workspace: Workspace
    clock: Clock
    observer: Observer
