"""Decide before the search which pretrained weights trials may use, and whether some train from scratch beside them.

Which of the two is better is no question of the weights but of the data and the time: on photos a network that has seen
others is far ahead, on close-ups of plants and tiles one that starts from nothing. So trials of both kinds run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from automl.data.constants import WEIGHTS_SIZE
from automl.errors import ModelError, StudyError
from automl.pipeline.plan.constants import (
    CPU_ROWS,
    FEATURES_FIRST,
    FEATURES_FIRST_SHARE,
    FEATURES_SECONDS,
    FEATURES_SHARE,
    GPU_ROWS,
    HEAD_EXPONENT,
    KEPT,
    LARGEST_HEAD,
    LOADING,
    PROBE_MIN_ROWS,
    PROBE_SECONDS,
    PROBE_SHARE,
    RANK_LEAST,
    SLOW,
    TRIAL_SHARE,
)
from automl.pipeline.weights.find import FoundWeights, from_scratch_too
from automl.records import Config, DatasetInfo, Observer, SearchSplits
from automl.spaces import SearchSpace, capabilities
from automl.spaces.narrow import configuration, narrowed, with_portfolio, with_weights
from automl.training.models.build import model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.linear_probe import (
    METRICS,
    OutOfTimeError,
    ProbeScore,
    Sample,
    probe_features,
    probe_pixels,
    sample,
)
from automl.training.models.pretrained_weights import Weights, part_taken, verify
from automl.training.rounds import STEP_COST


@dataclass(frozen=True)
class Pretrained:
    """The chosen weights by model, the space for them, and the record for result.json."""

    space: SearchSpace
    weights: Mapping[str, Weights] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self, config: Config) -> dict[str, str]:
        """Return the name with the tag of the weights that a configuration starts from; nothing from scratch."""
        begun = self.weights.get(config.get("model", "")) if config.get("pretrained") else None
        return {} if begun is None else {"weights": begun.model}


@dataclass(frozen=True)
class Conditions:
    """The data, device and time for the choice of weights. `slowdown`: by other programs on this machine."""

    splits: SearchSplits
    device: str
    threads: int
    folder: Path
    remaining: float | None
    slowdown: float = 1.0


def choose_pretrained(
    space: SearchSpace,
    looked: FoundWeights,
    conditions: Conditions,
    observer: Observer,
) -> Pretrained:
    """Rank the weights that were found, and fit the space to the best of them.

    Trials use them or train from scratch, unless --pretrained is "always" or the space allows only one of them. A note
    tells what is used and what is missing, and others tell which files cannot be used. Raises ModelError if none can,
    and the user has asked for weights.
    """
    asked, found, missing = looked.asked, looked.weights, list(looked.missing)
    if not found:
        if not looked.wanted:
            return _from_scratch(space, asked, missing=[])
        why = f"no weights of its {len(missing)} architectures are cached, and the hub {looked.hub}"
        if looked.refused:
            why = "the licences of the weights that there are, are not allowed"
        observer.note(f"Models train from scratch: {why}.")
        return _from_scratch(space, asked, missing=missing, refused=looked.refused, why=why)
    models = list(found)
    tuned = narrowed(space, pretrained=True, models=found.keys())
    recipes = narrowed(space, pretrained=True).portfolio
    configs = {model: configuration(tuned, model, recipes[0] if recipes else {}) for model in models}
    limit = _ranking_seconds(conditions) if len(found) > 1 else 0.0
    if limit:
        observer.stage("weights", f"ranking {len(found)} pretrained networks on the data")
    damaged: dict[str, str] = {}
    ranking, pixels = _rank(found, configs, conditions, limit, damaged) if limit else ([], math.nan)
    kept = _keep(ranking, conditions) if ranking else _verified(found, configs, conditions, damaged)
    for why in damaged.values():
        observer.note(f"Weights left out: {why}.")
    if damaged:
        looked = replace(
            looked,
            weights={model: row for model, row in found.items() if model not in damaged},
            missing=[*missing, *damaged],
        )
    if not kept:
        if asked != "auto":
            raise ModelError(next(iter(damaged.values())))
        observer.note("Models train from scratch: no file with weights can be used.")
        return _from_scratch(
            space, asked, missing=list(looked.missing), why="no file with weights can be used"
        )
    _say_parts({model: found[model] for model in kept}, configs, conditions, observer)
    both = from_scratch_too(asked, space)
    return _from_weights(_Chosen(space, looked, kept, ranking, pixels, both), conditions, observer)


def _say_parts(
    weights: Mapping[str, Weights],
    configs: Mapping[str, dict[str, Any]],
    conditions: Conditions,
    observer: Observer,
) -> None:
    """Tell of each file that holds more than a network which part of it is used."""
    for model, row in weights.items():
        recipe = Recipe.from_config(configs[model])
        taken = part_taken(row, model_arguments(recipe, conditions.splits.info, row))
        if taken:
            observer.note(f"Weights of {row.model}: {taken}.")


def restore_pretrained(space: SearchSpace, record: Mapping[str, Any]) -> Pretrained:
    """Return the choice of an earlier run of the study, from its plan.json.

    Raises StudyError if its weights are gone.
    """
    if not record.get("used"):
        return Pretrained(narrowed(space, pretrained=False), {}, record)
    weights = {model: Weights.from_dict(row) for model, row in record["weights"].items()}
    for each in weights.values():
        if not each.file.is_file():
            raise StudyError(
                f"the study uses the weights {str(each.file)!r}, which are gone; "
                "restore the file, or start again with --overwrite"
            )
    both, true_sizes = bool(record.get("both", False)), bool(record.get("true_sizes", False))
    return Pretrained(_fitted(space, list(weights), both=both, true_sizes=true_sizes), weights, record)


def public_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record for result.json: weights by model, models left out, and the ranking."""
    kept = {key: value for key, value in record.items() if key not in ("weights", "true_sizes")}
    if not record.get("used"):
        return kept
    weights = {model: Weights.from_dict(row).about() for model, row in sorted(record["weights"].items())}
    return {**kept, "models": list(weights), "weights": weights}


def features_seconds(remaining: float | None, *, first: bool) -> float:
    """Return the seconds for the features of a network. Those of the first have more: it is the floor of the study."""
    if remaining is None:
        return FEATURES_SECONDS
    share = FEATURES_SHARE * remaining
    return min(
        FEATURES_SECONDS,
        max(share, min(FEATURES_FIRST, FEATURES_FIRST_SHARE * remaining)) if first else share,
    )


def head_side(model: str) -> int:
    """Return the side in pixels of the images that a head's network sees: that of its weights.

    Those of a network for more than LARGEST_HEAD pixels have the size at which they are stored.
    """
    size = capabilities(model).input_size
    return size if size <= LARGEST_HEAD else WEIGHTS_SIZE


@dataclass(frozen=True)
class _Chosen:
    space: SearchSpace
    looked: FoundWeights
    kept: list[str]
    ranking: list[ProbeScore]
    pixels: float
    both: bool

    @property
    def found(self) -> Mapping[str, Weights]:
        return self.looked.weights


def _from_weights(chosen: _Chosen, conditions: Conditions, observer: Observer) -> Pretrained:
    weights = {model: chosen.found[model] for model in chosen.kept}
    record = {
        "asked": chosen.looked.asked,
        "used": True,
        "both": chosen.both,
        "true_sizes": True,
        "missing": list(chosen.looked.missing),
        "refused": dict(chosen.looked.refused),
        "why": "",
        "probe": _rows(chosen.ranking, chosen.kept),
        "pixels": None if math.isnan(chosen.pixels) else round(chosen.pixels, 4),
        "weights": {model: row.to_dict() for model, row in weights.items()},
    }
    observer.note(_in_words(chosen, conditions))
    return Pretrained(_fitted(chosen.space, chosen.kept, both=chosen.both), weights, record)


def _fitted(space: SearchSpace, models: Sequence[str], *, both: bool, true_sizes: bool = True) -> SearchSpace:
    """Return the space of these pretrained models, the best first, with the recipes for fine-tuning as its portfolio.

    With `both`, its models may train from scratch as well. Studies of earlier versions have no `true_sizes`.
    """
    recipes = narrowed(space, pretrained=True).portfolio
    if both:
        return with_weights(space, models, recipes, true_sizes=true_sizes)
    narrow = narrowed(space, pretrained=True, models=models)
    return with_portfolio(narrow, models, recipes, true_sizes=true_sizes)


def _from_scratch(
    space: SearchSpace,
    asked: str,
    *,
    missing: list[str],
    refused: Mapping[str, str] | None = None,
    why: str = "",
    probe: Sequence[dict[str, Any]] = (),
) -> Pretrained:
    record = {
        "asked": asked,
        "used": False,
        "missing": missing,
        "refused": dict(refused or {}),
        "why": why,
        "probe": list(probe),
    }
    return Pretrained(narrowed(space, pretrained=False), {}, record)


def _ranking_seconds(conditions: Conditions) -> float:
    """Return the seconds for ranking networks, 0 if they are too few for one."""
    if conditions.remaining is None:
        return PROBE_SECONDS
    limit = min(PROBE_SECONDS, PROBE_SHARE * conditions.remaining)
    return limit if limit >= RANK_LEAST * conditions.slowdown else 0.0


def _verified(
    found: Mapping[str, Weights],
    configs: Mapping[str, dict[str, Any]],
    conditions: Conditions,
    damaged: dict[str, str],
) -> list[str]:
    """Return the smallest networks whose files were checked in time, at least one that can be used.

    What is wrong with the other files goes to `damaged`, by model.
    """
    until = (
        math.inf if conditions.remaining is None else time.monotonic() + PROBE_SHARE * conditions.remaining
    )
    good: list[str] = []
    for model in sorted(found, key=lambda name: capabilities(name).params):
        if len(good) == KEPT or (good and time.monotonic() > until):
            break
        if model in damaged:
            continue
        recipe = Recipe.from_config(configs[model])
        try:
            verify(found[model], model_arguments(recipe, conditions.splits.info, found[model]))
        except ModelError as error:
            damaged[model] = str(error)
        else:
            good.append(model)
    return good


def _rank(
    found: Mapping[str, Weights],
    configs: Mapping[str, dict[str, Any]],
    conditions: Conditions,
    limit: float,
    damaged: dict[str, str],
) -> tuple[list[ProbeScore], float]:
    """Return the architectures that were probed in `limit` seconds, the best first, and the score of the pixels.

    Small networks are probed first, because a short search could train only those. A network, and all larger ones,
    are left out if by its number of parameters loading it alone would take the time left. What is wrong with files that
    cannot be used goes to `damaged`, by model.
    """
    until = time.monotonic() + limit
    rows = _sampled(conditions, seconds=limit / len(found))
    pixels = probe_pixels(rows)
    ranking, slowest = [], 0.0
    for model in sorted(found, key=lambda name: capabilities(name).params):
        begun, size = time.monotonic(), max(capabilities(model).params, 1e-3)
        if begun + LOADING * slowest * size > until:
            break
        try:
            row = probe_features(found[model], Recipe.from_config(configs[model]), rows, until=until)
        except OutOfTimeError:
            break
        except ModelError as error:
            damaged[model] = str(error)
            continue
        ranking.append(replace(row, model=model))  # as the space calls it, without a tag of its weights
        slowest = max(slowest, (time.monotonic() - begun) / size)
    ranking = [row for row in ranking if not math.isnan(row.score)]
    return sorted(ranking, key=lambda row: -row.score), pixels


def _sampled(conditions: Conditions, *, seconds: float) -> Sample:
    """Return the rows for the probe: fewer, if `seconds` for each network are too few on a slow machine."""
    most = CPU_ROWS if conditions.device == "cpu" else GPU_ROWS
    return sample(
        conditions.splits,
        conditions.folder,
        most=max(PROBE_MIN_ROWS, min(most, int(SLOW * seconds))),
        device=conditions.device,
        threads=conditions.threads,
    )


def _keep(ranking: list[ProbeScore], conditions: Conditions) -> list[str]:
    """Return the best of those whose epochs fit the time, the most promising first, else the fastest."""
    remaining = conditions.remaining
    if remaining is None:
        return [row.model for row in ranking[:KEPT]]
    longest = TRIAL_SHARE * remaining
    fitting = [row for row in ranking if _epoch_seconds(row, conditions) <= longest]
    fitting.sort(key=lambda row: _expected_error(row, conditions.splits.info, remaining))
    fastest = max(ranking, key=lambda row: row.images_per_second)
    return [row.model for row in (fitting or [fastest])[:KEPT]]


def _expected_error(row: ProbeScore, info: DatasetInfo, remaining: float) -> float:
    """Return the expected error of a head on features of this network, with as many images as its time holds.

    A network that is a little better, but twice as slow, has seen half of the images by then: decision 189.
    """
    rate = row.images_per_second * (row.size / head_side(row.model)) ** 2
    images = max(1.0, min(info.n_train + info.n_val, rate * features_seconds(remaining, first=True)))
    return (1.0 - row.score) * float(images**-HEAD_EXPONENT)


def _epoch_seconds(row: ProbeScore, conditions: Conditions) -> float:
    """Return the seconds of an epoch of fine-tuning on the cores of one trial."""
    cores = conditions.threads if conditions.device == "cpu" else 1
    info = conditions.splits.info
    return max(1, info.folds) * info.n_train * STEP_COST * cores / row.images_per_second


def _rows(ranking: list[ProbeScore], kept: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "model": row.model,
            "score": round(row.score, 4),
            "size": row.size,
            "images_per_second": round(row.images_per_second, 1),
            "kept": row.model in kept,
        }
        for row in ranking
    ]


def _in_words(chosen: _Chosen, conditions: Conditions) -> str:
    sources = sorted({chosen.found[model].source for model in chosen.kept})
    count = f"{len(chosen.found)} of {len(chosen.found) + len(chosen.looked.missing)} architectures"
    text = f"Pretrained weights: found for {count} ({', '.join(sources)})"
    if chosen.looked.missing:
        text += "; the others are left out"
    beside = " Others train from scratch." if chosen.both else ""
    used = ", ".join(chosen.found[model].model for model in chosen.kept)
    if not chosen.ranking:
        return f"{text}. The search uses {used}.{beside}"
    best = ", ".join(f"{chosen.found[row.model].model} {row.score:.3f}" for row in chosen.ranking[:3])
    metric = METRICS[conditions.splits.info.task].replace("_", " ")
    return (
        f"{text}; {metric} of a linear head on their features: {best} (pixels alone: {chosen.pixels:.3f}). "
        f"The search uses {used}.{beside}"
    )
