"""Models that a study made of others, such as ensembles: the delivered one and former ones, with their scores."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.final.cost.network import Network
from automl.final.evidence.delivery import DERIVED, Delivery
from automl.final.model_folder import CONFIG, PREPROCESS
from automl.records import Config, TrialRow
from automl.review.front.kept import Where, named_formers, same_weights
from automl.review.front.networks import StudyNetworks
from automl.review.studies import MODEL_FOLDER, WEIGHTS_FILE, StudyFolder
from automl.spaces.architectures.factories import ENSEMBLE


@dataclass(frozen=True)
class Several:
    """A soup, an ensemble or a distilled network, by `kind`: its model folder, where that is within the study.

    `members` says in words what it was made of. `value` stands beside the scores of trials: that of the trial that it
    began with, and what it gained over that model, or lost, on the validation images that chose it.
    """

    kind: str
    folder: Path
    place: str
    value: float
    config: Config
    members: tuple[str, ...]

    def network(self, networks: StudyNetworks) -> Network:
        """Return its network. Raises OSError, ValueError, KeyError or TypeError for a damaged folder."""
        if self.kind != Delivery.ENSEMBLE:
            return networks.network(self.config)
        said, how = read_json(self.folder / CONFIG), read_json(self.folder / PREPROCESS)
        keywords = json.dumps(said["model_args"], sort_keys=True)
        return Network(ENSEMBLE, keywords, int(how["input_size"]))


def several_of(study: StudyFolder, trials: Sequence[TrialRow]) -> Iterator[Several]:
    """Yield the models of several, and distilled ones, that still have weights: the delivered one first, each once."""
    values = {row.trial: row.value for row in trials}
    if study.result is not None and (study.model_dir / WEIGHTS_FILE).is_file():
        yield from _read(study.result, study.model_dir, Where.MODEL.value, values)
    for former in named_formers(study).values():
        folder = former.folder / MODEL_FOLDER
        if same_weights(folder, study.model_dir):
            continue
        yield from _read(former.result, folder, str(former.folder.relative_to(study.path)), values)


def _read(
    result: Mapping[str, Any], folder: Path, place: str, values: Mapping[int, float | None]
) -> Iterator[Several]:
    """Yield the model of a result if it was made of others; not if an earlier version did not say what it gained."""
    retrain = result.get("retrain", {})
    kind = str(retrain.get("made", retrain.get("how")))
    if kind not in DERIVED:
        return
    try:
        about, members = _distilled(result) if kind == Delivery.DISTILLED else _combined(retrain, kind)
        value = values[about["trial"]]
        score = math.nan if value is None else value + float(about["value"]) - float(about["single_value"])
        found = Several(kind, folder, place, score, dict(retrain["config"]), members)
    except (KeyError, TypeError, ValueError):
        return
    if math.isfinite(score):
        yield found


def _combined(retrain: Mapping[str, Any], kind: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return what is known of a model of several, and its members in words."""
    return retrain["evidence"][kind], tuple(str(member["words"]) for member in retrain["members"])


def _distilled(result: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the same of a distilled network, whose teacher is its only member."""
    told = result["retrain"]["evidence"]["distillation"]
    teacher, student = told["teacher"], told["students"][told["chosen"]]
    about = {
        "trial": result["best"]["trial"],
        "value": student["value"],
        "single_value": teacher["value"],
    }
    return about, (f"learned from {teacher['name']}",)
