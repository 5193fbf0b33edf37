"""Write a model folder beside the present one, and put it in its place."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_object
from automl.final.card import CARD_FILE, write_card
from automl.final.confidence.answers import KnownAnswers
from automl.final.confidence.folder import write_confidence
from automl.final.confidence.measure import confidence_of
from automl.final.evaluation.record import ANSWERS_FILE
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.gap import with_reads
from automl.final.loading.preprocess import read_preprocess
from automl.final.model_folder import weights_sha256, write_model_folder
from automl.pipeline.study_folder import Workspace, write_json
from automl.review.studies import HOLDOUT_FILE, REPORT_FILE, RESULT_FILE, TRIALS_FILE

DRAFT = ".delivering"  # in the study's folder; its folder `model` becomes the model
BESIDE = (ANSWERS_FILE, TRIALS_FILE, RESULT_FILE)  # files of a draft that take the place of the study's
DIGEST = "model_sha256"  # the entry of result.json that tells which weights it is about
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


def put_in_place(workspace: Workspace, folder: Path, result: dict[str, Any] | None = None) -> None:
    """Make a finished draft the model of the study, with the files beside it and its `result`, if that is known.

    A folder cannot be replaced by another in one step. So the former model is moved away first. If the process ends
    before the new one is there, `recover` moves it back; if it ends later, `recover` puts the other files in place.
    """
    before, draft = workspace.root / REPLACED, workspace.root / DRAFT
    if result is not None:
        write_json(draft / RESULT_FILE, result)
    shutil.rmtree(before, ignore_errors=True)
    if workspace.model_dir.exists():
        workspace.model_dir.rename(before)
    folder.rename(workspace.model_dir)
    _complete(workspace)


def recover(workspace: Workspace) -> None:
    """Bring the model and its result into agreement after a run that was killed, and remove what it left.

    A model that was moved away comes back unless the new one has taken its place. result.json then tells how often the
    holdout was read, where its digest shows that it is about this model. A damaged file is left for others to name.
    """
    before, draft = workspace.root / REPLACED, workspace.root / DRAFT
    if before.is_dir() and not workspace.model_dir.exists():
        before.rename(workspace.model_dir)
    elif (result := read_object(draft / RESULT_FILE)) and is_of_model(result, workspace.model_dir):
        _complete(workspace)
    _remove(workspace)
    _tell_reads(workspace)


def is_of_model(result: Mapping[str, Any], folder: Path) -> bool:
    """Return whether the digest in a result is that of the weights in a model folder; False without one."""
    return result.get(DIGEST) is not None and result[DIGEST] == weights_sha256(folder)


def _complete(workspace: Workspace) -> None:
    """Put the files beside a draft, whose model is in place, into the study's folder: result.json last."""
    draft = workspace.root / DRAFT
    if (draft / RESULT_FILE).is_file():
        (workspace.root / REPORT_FILE).unlink(missing_ok=True)  # of the former model
    for name in BESIDE:
        if (draft / name).is_file():
            (draft / name).replace(workspace.root / name)
    _remove(workspace)


def _remove(workspace: Workspace) -> None:
    for name in (REPLACED, DRAFT):
        shutil.rmtree(workspace.root / name, ignore_errors=True)


def _tell_reads(workspace: Workspace) -> None:
    """Write into result.json, and the model's card, how often the holdout was read, if that was more often."""
    result, counted = read_object(workspace.result_json), read_object(workspace.root / HOLDOUT_FILE)
    reads, told = counted.get("reads"), result.get("holdout_reads")
    if not isinstance(reads, int) or not isinstance(told, int) or reads <= told:
        return
    if is_of_model(result, workspace.model_dir):
        document = with_reads(result, reads)
        card = workspace.model_dir / CARD_FILE
        write_json(workspace.result_json, document)
        write_card(card, document, read_preprocess(workspace.model_dir))
