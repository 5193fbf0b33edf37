"""Models that were delivered before: kept with the scores that they had, and made the model again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.errors import StudyError
from automl.final.evaluation.record import ANSWERS_FILE
from automl.final.evidence.delivery import DERIVED, Delivery
from automl.final.evidence.gap import with_reads
from automl.final.evidence.words import delivered_config
from automl.final.model_folder import weights_sha256
from automl.pipeline.deliver.draft import empty_draft
from automl.pipeline.study_folder import Workspace, write_json
from automl.review.front.kept import MODELS_FOLDER, delivered_trial, same_weights
from automl.review.studies import MODEL_FOLDER, RESULT_FILE

# The entries of result.json that are about the delivered model; the others are about the study.
ABOUT_MODEL = (
    "retrain",
    "weights",
    "model_sha256",
    "holdout",
    "usable",
    "usable_test",
    "trivial",
    "trivial_words",
    "evaluation",
    "gap",
)


CHOSEN = "chosen with `automl deliver"  # how `retrain.why` begins in the result of such a model


def was_chosen(result: Mapping[str, Any] | None) -> bool:
    """Return whether a person made this model the model of its study."""
    return result is not None and str(result["retrain"].get("why", "")).startswith(CHOSEN)


def is_derived(result: Mapping[str, Any] | None) -> bool:
    """Return whether the model of a result was made of models of the study, as a soup is."""
    return result is not None and result["retrain"].get("how") in DERIVED


def keep_former(workspace: Workspace, result: Mapping[str, Any]) -> Path:
    """Copy the present model with its result into `models/`, unless it is there. Return its folder.

    Its name says how it was made, and of which trial; another model of the same name gets a number. The folder appears
    as a whole: a copy that is not finished has another name.
    """
    how = str(result["retrain"].get("how", Delivery.RETRAINED))
    trial = delivered_trial(result)
    place = _free(workspace, _name(how, trial), workspace.model_dir)
    draft = place.with_name(f".{place.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    shutil.copytree(workspace.model_dir, draft / MODEL_FOLDER)
    answers = workspace.root / ANSWERS_FILE
    if answers.is_file():
        shutil.copy2(answers, draft / ANSWERS_FILE)
    write_json(draft / RESULT_FILE, _pinned(result))
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    return place


def keep_unscored(workspace: Workspace, folder: Path, result: Mapping[str, Any]) -> Path:
    """Move the folder of a model that was not delivered, and has no score on the holdout, into `models/`. Return where.

    `result` has its entries `retrain`, `weights` and `best`, as in result.json.
    """
    trial = delivered_trial(result)
    place = _free(workspace, _name(str(result["retrain"]["how"]), trial), folder)
    write_json(folder.parent / RESULT_FILE, {**_pinned(result), "model_sha256": weights_sha256(folder)})
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(exist_ok=True)
    folder.parent.rename(place)
    return place


def _name(how: str, trial: int | None) -> str:
    name = how.replace(" ", "-")
    return name if trial is None else f"t{trial:04d}-{name}"


def _free(workspace: Workspace, name: str, model: Path) -> Path:
    """Return the folder for a model: that of an earlier copy of it, or one that does not exist."""
    for number in count(1):
        place = workspace.root / MODELS_FOLDER / (name if number == 1 else f"{name}-{number}")
        if not place.exists() or same_weights(place / MODEL_FOLDER, model):
            return place
    raise AssertionError("there is always a free number")


def restore_former(workspace: Workspace, folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Write a former model with its answers as a draft, and return the result with it in place of the present one.

    Its scores are those that it had, so the holdout is not read; a model that was never delivered has none. Raises
    StudyError if its files are damaged.
    """
    try:
        former = read_json(folder / RESULT_FILE)
        about = {name: former[name] for name in ABOUT_MODEL if name in former}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"the model in {str(folder)!r} cannot be used: its {RESULT_FILE} is damaged"
        ) from error
    draft = empty_draft(workspace)
    shutil.copytree(folder / MODEL_FOLDER, draft)
    if (folder / ANSWERS_FILE).is_file():
        shutil.copy2(folder / ANSWERS_FILE, draft.parent / ANSWERS_FILE)
    others = {name: value for name, value in result.items() if name not in ABOUT_MODEL}
    return with_reads({**others, **about}, workspace.holdout_reads())


def _pinned(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result that names the trial and the configuration of its model, as another trial may lead later."""
    retrain = dict(result["retrain"])
    trial = delivered_trial(result)
    if trial is not None:
        retrain |= {"trial": trial, "config": delivered_config(result)}
    return {**result, "retrain": retrain}
