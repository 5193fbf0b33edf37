"""What every stage of a run needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from automl.config import StudyConfig
from automl.pipeline.clock import Clock
from automl.pipeline.costs.ledger import Ledger, costs_of_result
from automl.pipeline.study_folder import Workspace
from automl.records import Observer
from automl.remote import is_remote
from automl.search.storage.sql.study_owner import Owner, claim


@dataclass(frozen=True)
class Context:
    """The configuration of a run, the folder of its study, its clock, and its observer.

    `asked` is the configuration that the user gave, if the run changes it: a short one does without Ray.
    `shortened` collects what the time limit made shorter, as sentences. `ledger` counts the costs.
    """

    config: StudyConfig
    workspace: Workspace
    clock: Clock
    observer: Observer
    asked: StudyConfig | None = None
    shortened: list[str] = field(default_factory=list)
    ledger: Ledger | None = None

    def shorten(self, what: str) -> None:
        """Record, and show, that the time limit made something shorter."""
        self.shortened.append(what)
        self.observer.note(what)


def ledger_of(context: Context) -> Ledger:
    """Return the ledger of a run, or a new one."""
    if context.ledger is not None:
        return context.ledger
    workspace = context.workspace
    before = costs_of_result(workspace.read_result(), workspace.read_plan())
    return Ledger(workspace.root, context.clock, before=before)


def owner_of(context: Context) -> Owner | None:
    """Return whose study this is in the database of --storage; None for the study's own file."""
    config, workspace = context.config, context.workspace
    if config.storage is None:
        return None
    place = str(config.directory) if is_remote(config.directory) else str(workspace.root)
    return claim(
        config.storage,
        config.study,
        place,
        known=workspace.owner(),
        existed=workspace.existed or workspace.replaced is not None,
    )
