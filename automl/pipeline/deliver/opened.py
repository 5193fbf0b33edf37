"""A finished study with its data, opened to deliver another of its models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from automl.config import StudyConfig, load
from automl.config.names import directory_flag
from automl.data import PreparedData, open_data
from automl.errors import DataError, StudyError
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.deliver.draft import DIGEST, is_of_model, recover
from automl.pipeline.plan.hardware import Device, choose_device
from automl.pipeline.setup import decoded
from automl.pipeline.study_folder import Workspace, open_workspace
from automl.records import DatasetInfo, Observer
from automl.review.front.networks import StudyNetworks
from automl.review.studies import STUDY_FILE, StudyFolder, find_study, read_study, require_own_name


@dataclass(frozen=True)
class Opened:
    """A finished study: its folder, its plan.json and result.json, and the lock on it (`workspace`)."""

    study: StudyFolder
    config: StudyConfig
    workspace: Workspace
    plan: dict[str, Any]
    result: dict[str, Any]
    device: Device
    observer: Observer

    @property
    def metric(self) -> str:
        """The metric of the study."""
        return str(self.plan["metric"])

    def data(self) -> PreparedData:
        """Return the data of the study, decoded or from the cache. Raises StudyError if they are others now."""
        config = self.config
        try:
            source = open_data(config.data, config.read_options)
        except DataError as error:
            raise DataError(
                f"{error}; if the data have moved, --data (in Python data) names their place"
            ) from error
        try:
            self.workspace.check_same_data(source.outline(), source.name, self.config)
        except StudyError as error:
            source.close()
            raise StudyError(
                f"the data must be those of the study {self.study.name!r}, but {source.name!r} holds others: --data "
                "(in Python data) names their place"
            ) from error
        context = Context(config, self.workspace, Clock(None), self.observer)
        found = decoded(context, source, self.device, None, {})
        if found.splits.info.fingerprint != self.plan["data"]:
            raise StudyError(
                f"the data of the study {self.study.name!r} have changed since it was searched, so its models cannot "
                "be scored on its holdout: put them back"
            )
        return found


@contextmanager
def opened_study(study: str, directory: str | Path, data: Any, observer: Observer) -> Iterator[Opened]:
    """Open a finished study, and lock it. `data`: if they have moved, or were in memory.

    Raises StudyError if there is no such study, if it has no result yet, or while another process runs it.
    """
    found = find_study(study, directory)
    require_own_name(found)
    resume = f"automl resume {found.name}{directory_flag(found.directory)}"
    changes = {} if data is None else {"data": data}
    config = load(
        found.path / STUDY_FILE, study=found.name, directory=str(found.directory), time_limit=None, **changes
    )
    workspace = open_workspace(str(config.directory), config.study, overwrite=False)
    try:
        recover(workspace)
        workspace.check_whole()
        plan, result = workspace.read_plan(), workspace.read_result()
        if plan is None or result is None:
            raise StudyError(
                f"the study {found.name!r} must be finished before another of its models can be delivered; "
                f"resume with `{resume}`"
            )
        if result.get(DIGEST) is not None and not is_of_model(result, workspace.model_dir):
            raise StudyError(
                f"the model of the study {found.name!r} is not the one that its result.json tells, as after a run that "
                f"was killed: `{resume}` makes a model with its result"
            )
        inside = replace(read_study(workspace.root), home=found.home)
        yield Opened(inside, config, workspace, plan, result, choose_device(config), observer)
    except BaseException:  # Ctrl-C as well
        recover(workspace)
        raise
    finally:
        workspace.close()


def networks_of(opened: Opened, info: DatasetInfo) -> StudyNetworks:
    """Return the networks of a study for its own data, whose classes and statistics `info` knows."""
    return replace(StudyNetworks.of(opened.study), info=info)


def targets_at(data: PreparedData) -> np.ndarray:
    """Return the targets of all validation rows."""
    val = data.splits.val
    return np.asarray(np.load(val.targets, mmap_mode="r")[np.load(val.index)])
