"""Which trials of a study still have weights, so that they can become the model."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.final.evidence.delivery import COMBINED
from automl.records import TrialRow
from automl.review.studies import MODEL_FOLDER, RESULT_FILE, WEIGHTS_FILE, StudyFolder
from automl.review.tables import delivered_of
from automl.search.storage.checkpoints import TrialFiles, checkpoint_round
from automl.search.storage.kinds import HEADS
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS

HEADS_FOLDER = "heads"  # the linear heads, by the name of their network
PIXELS = "pixels"  # the name of the head on pixels
MODELS_FOLDER = "models"  # models that were delivered before, each with the result that it had


class Where(StrEnum):
    """Where the weights of a trial are."""

    MODEL = "model"
    BEFORE = "models"
    CHECKPOINT = "checkpoint"
    HEAD = "head"


@dataclass(frozen=True)
class Kept:
    """The weights of a trial: `where` they are, and their file or folder."""

    where: Where
    path: Path


@dataclass(frozen=True)
class Former:
    """A model that was delivered before: its folder in `models`, and the result that it had."""

    folder: Path
    result: Mapping[str, Any]


def kept_weights(study: StudyFolder, trials: list[TrialRow]) -> dict[int, Kept]:
    """Return the weights that are kept, by trial: of the delivered model, of earlier ones, of checkpoints, of heads.

    A checkpoint counts if it is of the trial's last round, whose score the trial has.
    """
    found: dict[int, Kept] = {}
    files = TrialFiles(study.path, logs=False)
    for row in trials:
        place = files.checkpoint(row.trial)
        if row.rounds and checkpoint_round(place) == row.rounds:
            found[row.trial] = Kept(Where.CHECKPOINT, place)
        elif row.kind in HEADS and (file := head_file(study.path, row.config)).is_file():
            found[row.trial] = Kept(Where.HEAD, file)
    for trial, folder in former_models(study).items():
        found[trial] = Kept(Where.BEFORE, folder)
    delivered = delivered_trial(study.result)
    if delivered is not None and (study.model_dir / WEIGHTS_FILE).is_file():
        found[delivered] = Kept(Where.MODEL, study.model_dir)
    return found


def head_file(study: Path, config: Mapping[str, Any]) -> Path:
    """Return the file of a linear head, which need not exist."""
    model = str(config.get("model"))
    if model == LINEAR_ON_PIXELS:
        return study / HEADS_FOLDER / f"{PIXELS}.safetensors"
    depths = "-depths" if config.get("depths") else ""
    pooled = study / HEADS_FOLDER / f"{model}-{config.get('global_pool')}{depths}.safetensors"
    return pooled if pooled.is_file() else study / HEADS_FOLDER / f"{model}{depths}.safetensors"


def former_models(study: StudyFolder) -> dict[int, Path]:
    """Return the folders of models of one trial that were delivered before, by trial: one with a score if there is one.

    The teacher of a student has none.
    """
    scored_last = sorted(_formers(study), key=lambda one: is_scored(one[2]))
    return {trial: folder for folder, trial, _ in scored_last if trial is not None}


def is_scored(result: Mapping[str, Any]) -> bool:
    """Return whether the model of a result has a score on the holdout."""
    return "holdout" in result


def named_formers(study: StudyFolder) -> dict[str, Former]:
    """Return all models that were delivered before, by the name of their folder."""
    return {folder.name: Former(folder, result) for folder, _, result in _formers(study)}


def _formers(study: StudyFolder) -> Iterator[tuple[Path, int | None, dict[str, Any]]]:
    """Yield folders of former models with their trials and results; damaged ones are as if they were not there."""
    for folder in sorted((study.path / MODELS_FOLDER).glob("[!.]*")):
        if not (folder / MODEL_FOLDER / WEIGHTS_FILE).is_file():
            continue
        try:
            result = read_json(folder / RESULT_FILE)
            trial = delivered_trial(result)
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            continue
        yield folder, trial, result


def same_weights(one: Path, other: Path) -> bool:
    """Return whether two model folders hold the same weights; False if one holds none."""
    files = (one / WEIGHTS_FILE, other / WEIGHTS_FILE)
    return all(file.is_file() for file in files) and filecmp.cmp(*files, shallow=False)


def delivered_trial(result: Mapping[str, Any] | None) -> int | None:
    """Return the trial that the model of a result is of; None without one, and for one that is of several."""
    retrain = {} if result is None else result.get("retrain", {})
    if result is None or retrain.get("made", retrain.get("how")) in COMBINED:
        return None
    return delivered_of(retrain, result.get("best", {}).get("trial")).trial
