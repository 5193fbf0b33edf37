"""Warm start: a new study first tries what was good in earlier studies of similar data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from automl.config import StudyConfig
from automl.data.balance import skew
from automl.data.sources.base import counted
from automl.errors import AutomlError
from automl.log import get_logger
from automl.machine import Moment
from automl.records import Config, DatasetInfo, Observer
from automl.review.earlier_studies import read_past
from automl.review.studies import StudyFolder, find_study, read_study, study_folders, study_name
from automl.search.sampling.portfolio import PastStudy, learn_portfolio
from automl.spaces import SearchSpace

AUTO, NONE = "auto", "none"
MAX_CONFIGS = 4
MAX_STUDIES = 10
# Less similar studies are ignored.
MIN_SIMILARITY = 0.1

logger = get_logger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """Configurations to try first, and the studies that they come from."""

    configs: tuple[Config, ...] = ()
    studies: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the record for plan.json."""
        return {"studies": list(self.studies), "configs": [dict(config) for config in self.configs]}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> WarmStart:
        """Return what `to_dict` described; an empty mapping is no warm start."""
        return cls(tuple(record.get("configs", ())), tuple(record.get("studies", ())))

    def with_first(self, space: SearchSpace) -> SearchSpace:
        """Return the space with these configurations before its own."""
        own = [config for config in space.portfolio if config not in self.configs]
        return replace(space, portfolio=(*self.configs, *own)) if self.configs else space


def check_warm_start(config: StudyConfig) -> None:
    """Raise StudyError for a named study that does not exist."""
    _named(config)


def warm_start(
    config: StudyConfig,
    space: SearchSpace,
    info: DatasetInfo,
    observer: Observer,
    *,
    until: Moment | None = None,
) -> WarmStart:
    """Return the warm start from the earlier studies of the directory (`auto`), or from named ones.

    Studies of another task are used only if they are named. Raises StudyError and StorageError for a named study that
    cannot be read; with `auto`, such studies are ignored, and no further ones are read after the moment `until`.
    """
    if config.warm_start == NONE:
        return WarmStart()
    here = traits(info)
    past = _others(config, here, until) if config.warm_start == AUTO else _weighted(_named(config), here)
    learnt = learn_portfolio(past, space, size=MAX_CONFIGS)
    if learnt.configs:
        some, are = counted(len(learnt.configs), "configuration"), "is" if len(learnt.configs) == 1 else "are"
        observer.note(
            f"Warm start: {some} from earlier studies ({', '.join(learnt.studies)}) {are} tried first; --warm-start "
            "none turns this off."
        )
    return WarmStart(learnt.configs, learnt.studies)


def traits(info: DatasetInfo) -> dict[str, Any]:
    """Return the traits of data that are compared, for plan.json."""
    return {
        "task": info.task,
        "n_train": info.n_train,
        "n_outputs": info.n_outputs,
        "in_chans": info.in_chans,
        "img_size": info.img_size,
        "skew": round(skew(info), 3) if info.task == "classification" else 1.0,
    }


def similarity(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return how similar two data sets are, from 0 to 1: by rows, outputs, channels, resolution and balance.

    0 for another task, and if traits are missing or are no numbers above 0.
    """
    if one.get("task") != other.get("task"):
        return 0.0
    scales = {"n_train": 2.0, "n_outputs": 1.5, "img_size": 1.0, "skew": 3.0}
    try:
        apart = sum(abs(math.log(one[key] / other[key])) / scale for key, scale in scales.items())
        apart += 0.5 * (one["in_chans"] != other["in_chans"])
    except (KeyError, ZeroDivisionError, ValueError, TypeError, OverflowError):
        return 0.0  # another study's plan.json may say anything
    return math.exp(-apart)


def _named(config: StudyConfig) -> list[StudyFolder]:
    if config.warm_start in (AUTO, NONE):
        return []
    names = [name.strip() for name in config.warm_start.split(",") if name.strip()]
    return [find_study(name, config.directory) for name in names]


def _weighted(studies: list[StudyFolder], here: Mapping[str, Any]) -> list[PastStudy]:
    """Return named studies; they count whatever their data, and more if these are similar."""
    return [
        replace(read_past(study), weight=max(similarity(_traits_of(study), here), MIN_SIMILARITY))
        for study in studies
    ]


def _others(config: StudyConfig, here: Mapping[str, Any], until: Moment | None) -> list[PastStudy]:
    found: list[tuple[float, StudyFolder]] = []
    for path in study_folders(config.directory):
        if study_name(path) == config.study:
            continue
        if until is not None and until.passed():
            break
        try:
            study = read_study(path)
        except AutomlError as error:
            logger.info("no warm start from %s: %s", path, error)
            continue
        weight = similarity(_traits_of(study), here)
        if weight >= MIN_SIMILARITY:
            found.append((weight, study))
    found.sort(key=lambda pair: (-pair[0], pair[1].name))
    past: list[PastStudy] = []
    for weight, study in found[:MAX_STUDIES]:
        if past and until is not None and until.passed():
            break
        try:
            past.append(replace(read_past(study), weight=weight))
        except AutomlError as error:
            logger.info("no warm start from %s: %s", study.path, error)
    return past


def _traits_of(study: StudyFolder) -> dict[str, Any]:
    found = study.plan.get("traits")
    return dict(found) if isinstance(found, dict) else {}
