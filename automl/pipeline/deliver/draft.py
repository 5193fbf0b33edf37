"""Write a model folder beside the present one, and put it in its place."""

from __future__ import annotations

import shutil
from pathlib import Path

from automl.final.confidence.answers import KnownAnswers
from automl.final.confidence.folder import write_confidence
from automl.final.confidence.measure import confidence_of
from automl.final.evidence.candidates import Alternative
from automl.final.model_folder import write_model_folder
from automl.pipeline.study_folder import Workspace

DRAFT = ".delivering"  # in the study's folder; its folder `model` becomes the model
REPLACED = ".model-before"  # the former model while the new one takes its place


def write_draft(workspace: Workspace, model: Alternative, answers: KnownAnswers | None, *, seed: int) -> Path:
    """Write the folder of a model that is not delivered yet, and return it.

    `answers` are what the model, or another of its configuration, says about rows that it did not train on: they give
    the temperature of its probabilities and the table of its errors.
    """
    trained = model.whole or model.trained
    confidence = confidence_of(answers, trained.info, seed=seed)
    folder = empty_draft(workspace)
    write_model_folder(
        folder,
        trained.model,
        model.config,
        trained.info,
        size=trained.size,
        weights=trained.weights,
        temperature=confidence.temperature,
        mirrored=model.is_mirrored,
    )
    write_confidence(folder, confidence.table)
    return folder


def empty_draft(workspace: Workspace) -> Path:
    """Return the folder of a draft, which does not exist, after removing one that a killed run left."""
    shutil.rmtree(workspace.root / DRAFT, ignore_errors=True)
    (workspace.root / DRAFT).mkdir()
    return draft_folder(workspace)


def draft_folder(workspace: Workspace) -> Path:
    """Return the folder of a draft."""
    return workspace.root / DRAFT / workspace.model_dir.name


def put_in_place(workspace: Workspace, folder: Path) -> None:
    """Make a finished draft the model of the study.

    A folder cannot be replaced by another in one step. So the former model is moved away first, and moved back by
    `recover` if the process ends before the new one is there.
    """
    before = workspace.root / REPLACED
    shutil.rmtree(before, ignore_errors=True)
    if workspace.model_dir.exists():
        workspace.model_dir.rename(before)
    folder.rename(workspace.model_dir)
    shutil.rmtree(before, ignore_errors=True)
    shutil.rmtree(workspace.root / DRAFT, ignore_errors=True)


def recover(workspace: Workspace) -> None:
    """Restore the model that a killed run had moved away to replace it."""
    before = workspace.root / REPLACED
    if before.is_dir() and not workspace.model_dir.exists():
        before.rename(workspace.model_dir)
