"""The networks of a study's trials, from its files alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.errors import StudyError
from automl.final.cost.network import Network
from automl.records import Config, DatasetInfo, Task
from automl.review.studies import StudyFolder
from automl.training.models.pretrained_weights import Weights, arch


@dataclass(frozen=True)
class StudyNetworks:
    """Tells which network a configuration of a study builds. `weights` are its pretrained weights by model."""

    info: DatasetInfo
    weights: Mapping[str, Weights]

    @staticmethod
    def of(study: StudyFolder) -> StudyNetworks:
        """Return those of a study. Raises StudyError if its plan.json does not say what its data are."""
        plan = study.plan
        try:
            info = _info(plan)
            begun_with = plan["begun_with"].get("weights", {})
            return StudyNetworks(info, {model: Weights.from_dict(row) for model, row in begun_with.items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StudyError(
                f"plan.json of the study {study.name!r} must say what its data are, but lacks {error}: "
                "resume the study, which writes it again"
            ) from error

    def network(self, config: Config) -> Network:
        """Return the network of a trial. Raises SpaceError if it cannot be built."""
        return Network.of(config, self.info, self.weights_of(config))

    def weights_of(self, config: Config) -> Weights | None:
        """Return the pretrained weights that a configuration starts from; None from scratch."""
        model = str(config.get("model"))
        if not config.get("pretrained"):
            return None
        return self.weights.get(model) or self.weights.get(arch(model))


def _info(plan: Mapping[str, Any]) -> DatasetInfo:
    """Return the data set of a plan.json, as far as networks depend on it."""
    traits = plan["traits"]
    outputs, channels = int(traits["n_outputs"]), int(traits["in_chans"])
    task: Task = plan["task"]
    return DatasetInfo(
        name=str(plan["data_name"]),
        task=task,
        classes=tuple(str(number) for number in range(outputs)),
        in_chans=channels,
        img_size=int(plan["img_size"]),
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        class_counts=(),
        fingerprint=str(plan["data"]),
        n_train=int(plan["n_train"]),
        n_val=int(plan["n_val"]),
        n_holdout=int(plan["n_holdout"]),
        n_skipped=0,
        large_size=int(plan.get("large_size", 0)),
    )
