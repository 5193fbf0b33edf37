"""Whether a study starts from weights, from which, and with which architectures: decided once, before the search."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from automl.config import StudyConfig
from automl.errors import ConfigError, SpaceError, StudyError
from automl.machine import hub_answers
from automl.records import Observer, SearchSplits
from automl.spaces import SearchSpace, capabilities
from automl.spaces.narrow import configuration, narrowed, with_portfolio
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
from automl.training.models.pretrained_weights import Weights, arch, verify
from automl.training.models.weight_sources import download, in_caches, in_folder
from automl.training.rounds import STEP_COST

PROBE_SHARE = 0.1  # of the time that is left, at most
PROBE_SECONDS = 60.0  # at most, and where there is no limit
DOWNLOAD_SHARE = 0.1
DOWNLOAD_SECONDS = 300.0
CPU_ROWS, GPU_ROWS, MIN_ROWS = 1000, 4000, 150
SLOW = 50.0  # images a second of a small network on a busy machine
KEPT = 6  # architectures that the search goes on with
TRIAL_SHARE = 0.1  # of the time that is left, into which an epoch of fine-tuning must fit


@dataclass(frozen=True)
class Beginning:
    """What trials start from: the space that fits it, the weights by model, and what result.json says of it."""

    space: SearchSpace
    weights: Mapping[str, Weights] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """What the decision is made from."""

    splits: SearchSplits
    device: str
    threads: int
    folder: Path
    remaining: float | None


def check_pretrained(config: StudyConfig) -> None:
    """Raise UsageError for a folder that holds no weights, before any picture is decoded."""
    if config.pretrained not in ("auto", "always", "never"):
        in_folder(config.pretrained)


def begin(config: StudyConfig, space: SearchSpace, situation: Situation, observer: Observer) -> Beginning:
    """Look for weights, once, rank those that there are, and narrow the space to them; or to training from scratch.

    Says in one line what is used and what is missing. Raises ConfigError where weights are wanted and there are
    none, and ModelError for a file that cannot be used.
    """
    asked = config.pretrained
    models = [model for members in space.families.values() for model in members]
    if asked == "never" or (asked == "auto" and not _may(space, pretrained=True)):
        return _from_scratch(space, asked, missing=[])
    found, hub = _look(asked, models, situation)
    missing = [model for model in models if model not in found]
    if not found:
        if asked == "auto":
            why = f"no weights of its {len(models)} architectures are cached and the hub {hub}"
            observer.note(f"Models start from scratch: {why}.")
            return _from_scratch(space, asked, missing=models, why=why)
        raise ConfigError(_none_found(asked, models, hub))
    tuned = narrowed(space, pretrained=True, models=found.keys())
    recipes = narrowed(space, pretrained=True).portfolio
    configs = {
        model: configuration(tuned, model, recipes[0] if recipes else {})
        for model in models
        if model in found
    }
    observer.stage("weights", f"looking at what {len(found)} pretrained networks see in the data")
    ranking, pixels = _rank(found, configs, situation)
    if asked == "auto" and not _worth_it(ranking, pixels):
        why = _no_better(ranking, pixels, situation)
        observer.note(f"Models start from scratch: {why}.")
        return _from_scratch(space, asked, missing=missing, why=why, probe=_rows(ranking, []))
    kept = _keep(ranking, list(found), situation)
    if not ranking:  # then no file was looked at yet
        for model in kept:
            recipe = Recipe.from_config(configs[model])
            verify(found[model], model_arguments(recipe, situation.splits.info, found[model]))
    return _from_weights(_Chosen(space, found, kept, ranking, pixels, missing, asked), situation, observer)


def begin_again(space: SearchSpace, record: Mapping[str, Any]) -> Beginning:
    """As an earlier run of the study began, from what its plan.json holds.

    Raises StudyError where weights that it began with are gone.
    """
    if not record.get("used"):
        return Beginning(narrowed(space, pretrained=False), {}, record)
    weights = {model: Weights.from_dict(row) for model, row in record["weights"].items()}
    for each in weights.values():
        if not each.file.is_file():
            raise StudyError(
                f"the study began with the weights {str(each.file)!r}, which are gone; "
                "put them back, or start again with --overwrite"
            )
    return Beginning(_tuned(space, list(weights)), weights, record)


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """What result.json says: which models began with weights and which were left out, and the probe."""
    kept = {key: value for key, value in record.items() if key != "weights"}
    return {**kept, "models": sorted(record.get("weights", {}))} if record.get("used") else kept


@dataclass(frozen=True)
class _Chosen:
    space: SearchSpace
    found: Mapping[str, Weights]
    kept: list[str]
    ranking: list[ProbeScore]
    pixels: float
    missing: list[str]
    asked: str


def _from_weights(chosen: _Chosen, situation: Situation, observer: Observer) -> Beginning:
    weights = {model: chosen.found[model] for model in chosen.kept}
    record = {
        "asked": chosen.asked,
        "used": True,
        "missing": chosen.missing,
        "why": "",
        "probe": _rows(chosen.ranking, chosen.kept),
        "pixels": None if math.isnan(chosen.pixels) else round(chosen.pixels, 4),
        "weights": {model: row.to_dict() for model, row in weights.items()},
    }
    observer.note(_in_words(chosen, situation))
    return Beginning(_tuned(chosen.space, chosen.kept), weights, record)


def _tuned(space: SearchSpace, models: Sequence[str]) -> SearchSpace:
    """The space of these models, the best first, that begins with the recipes for fine-tuning."""
    recipes = narrowed(space, pretrained=True).portfolio
    return with_portfolio(narrowed(space, pretrained=True, models=models), models, recipes)


def _from_scratch(
    space: SearchSpace,
    asked: str,
    *,
    missing: list[str],
    why: str = "",
    probe: Sequence[dict[str, Any]] = (),
) -> Beginning:
    record = {"asked": asked, "used": False, "missing": missing, "why": why, "probe": list(probe)}
    return Beginning(narrowed(space, pretrained=False), {}, record)


def _look(asked: str, models: list[str], situation: Situation) -> tuple[dict[str, Weights], str]:
    """The weights at hand, and what the hub did."""
    if asked not in ("auto", "always"):
        folder = in_folder(asked)
        wanted = {model: folder.get(arch(model)) for model in models}
        return {model: row for model, row in wanted.items() if row is not None}, "was not asked"
    found = in_caches(models)
    if len(found) == len(models):
        return found, "was not asked"
    if not hub_answers():
        return found, "cannot be reached"
    rest = sorted(
        ((model, capabilities(model).params) for model in models if model not in found),
        key=lambda pair: pair[1],
    )
    share = DOWNLOAD_SHARE * (math.inf if situation.remaining is None else situation.remaining)
    got = download(rest, seconds=min(DOWNLOAD_SECONDS, share))
    return {model: row for model in models if (row := found.get(model) or got.get(model))}, "was asked"


def _rank(
    found: Mapping[str, Weights], configs: Mapping[str, dict[str, Any]], situation: Situation
) -> tuple[list[ProbeScore], float]:
    """The architectures that were probed in time, the best first, and the score of the pixels themselves.

    Small networks come first, so that a short time ranks what a short search could train.
    """
    limit = PROBE_SECONDS
    if situation.remaining is not None:
        limit = min(limit, PROBE_SHARE * situation.remaining)
    until = time.monotonic() + limit
    rows = _sampled(situation, seconds=limit / len(found))
    pixels = probe_pixels(rows)
    ranking = []
    for model in sorted(found, key=lambda name: capabilities(name).params):
        try:
            row = probe_features(found[model], Recipe.from_config(configs[model]), rows, until=until)
        except OutOfTimeError:
            break
        ranking.append(replace(row, model=model))  # as the space calls it, without a tag of its weights
    ranking = [row for row in ranking if not math.isnan(row.score)]
    return sorted(ranking, key=lambda row: -row.score), pixels


def _sampled(situation: Situation, *, seconds: float) -> Sample:
    """Fewer rows where there are `seconds` for each network that a slow machine would need for more."""
    most = CPU_ROWS if situation.device == "cpu" else GPU_ROWS
    return sample(
        situation.splits,
        situation.folder,
        most=max(MIN_ROWS, min(most, int(SLOW * seconds))),
        device=situation.device,
        threads=situation.threads,
    )


def _worth_it(ranking: list[ProbeScore], pixels: float) -> bool:
    """Whether frozen features tell more than the pixels do; without a probe, weights are taken for better."""
    return not ranking or math.isnan(pixels) or ranking[0].score > pixels


def _keep(ranking: list[ProbeScore], found: list[str], situation: Situation) -> list[str]:
    """The best of those whose epochs fit into the time, else the fastest; the smallest, where none was probed."""
    if not ranking:
        return sorted(found, key=lambda name: capabilities(name).params)[:KEPT]
    if situation.remaining is None:
        fitting = ranking
    else:
        longest = TRIAL_SHARE * situation.remaining
        fitting = [row for row in ranking if _epoch_seconds(row, situation) <= longest]
    fastest = max(ranking, key=lambda row: row.images_per_second)
    return [row.model for row in (fitting or [fastest])[:KEPT]]


def _epoch_seconds(row: ProbeScore, situation: Situation) -> float:
    """Of fine-tuning on one core, where trials share the cores."""
    cores = situation.threads if situation.device == "cpu" else 1
    return situation.splits.info.n_train * STEP_COST * cores / row.images_per_second


def _may(space: SearchSpace, *, pretrained: bool) -> bool:
    try:
        narrowed(space, pretrained=pretrained)
    except SpaceError:
        return False
    return True


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


def _in_words(chosen: _Chosen, situation: Situation) -> str:
    sources = sorted({chosen.found[model].source for model in chosen.kept})
    count = f"{len(chosen.found)} of {len(chosen.found) + len(chosen.missing)} architectures"
    text = f"Weights: {count} have pretrained weights ({', '.join(sources)})"
    if chosen.missing:
        text += ", the others are left out"
    if not chosen.ranking:
        return text + "; there was no time to rank them."
    best = ", ".join(f"{row.model} {row.score:.3f}" for row in chosen.ranking[:3])
    metric = METRICS[situation.splits.info.task].replace("_", " ")
    return (
        f"{text}; {metric} of a linear head on frozen features: {best} (plain pixels {chosen.pixels:.3f}); "
        f"searched: {', '.join(chosen.kept)}."
    )


def _no_better(ranking: list[ProbeScore], pixels: float, situation: Situation) -> str:
    metric = METRICS[situation.splits.info.task].replace("_", " ")
    return (
        f"the features of {ranking[0].model}, the best of {len(ranking)} with weights, tell no more about these data "
        f"than plain pixels ({metric} {ranking[0].score:.3f} against {pixels:.3f}); --pretrained always uses them"
    )


def _none_found(asked: str, models: list[str], hub: str) -> str:
    names = ", ".join(models[:5]) + (", ..." if len(models) > 5 else "")
    if asked == "always":
        return (
            f"--pretrained always needs weights of at least one of {names}, but none are cached and the hub {hub}; "
            "give a folder with weights as --pretrained DIR, or use --pretrained auto"
        )
    return (
        f"--pretrained {asked} must hold weights of at least one architecture of the search space ({names}), and holds "
        f"those of {', '.join(sorted(in_folder(asked)))}; choose another --space"
    )
