"""Find the pretrained weights that a study may use: in the user's folder, in the caches, on the hub."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.sizes import format_size
from automl.data.sources.base import counted
from automl.errors import ConfigError, SpaceError
from automl.machine import HUB_SECONDS, hub_answers, hub_is_off
from automl.pipeline.plan.constants import DOWNLOAD_SECONDS, DOWNLOAD_SHARE, HUB_FROM
from automl.records import Observer
from automl.spaces import SearchSpace, capabilities
from automl.spaces.narrow import narrowed
from automl.training.models.pretrained_weights import Weights, arch, licence_of
from automl.training.models.weight_sources import in_caches, in_folder, published
from automl.training.published.download import BYTES_PER_WEIGHT, Downloaded, download
from automl.training.published.licences import is_allowed

_NAMED = 5  # models that a note names


def check_pretrained(config: StudyConfig) -> None:
    """Raise UsageError for a folder without weights."""
    if config.pretrained not in ("auto", "always", "never"):
        in_folder(config.pretrained, [])


@dataclass(frozen=True)
class FoundWeights:
    """The weights that were found, by model, those of the space without any, and the state of the hub.

    `wanted` is False if no trial may use weights: then nothing was looked for. `refused` are the licences, by model, of
    weights that --weights-licence leaves out.
    """

    asked: str
    wanted: bool = False
    weights: Mapping[str, Weights] = field(default_factory=dict)
    missing: Sequence[str] = ()
    hub: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)


def find_weights(
    config: StudyConfig, space: SearchSpace, *, remaining: float | None, observer: Observer
) -> FoundWeights:
    """Look for weights of the models of the space: in the user's folder, in the caches, on the hub.

    Weights whose licence the study does not allow are left out, and a note names them. The hub costs at most a share of
    the remaining time, whatever it does. Raises ConfigError if weights are required and there are none.
    """
    asked = config.pretrained
    if asked == "never" or (asked == "auto" and not _may(space, pretrained=True)):
        return FoundWeights(asked)
    models = [model for members in space.families.values() for model in members]
    if asked in ("auto", "always"):
        found = _published(models, _named_first(space), config, remaining, observer)
    else:
        found = _sorted_out(
            _in_folder(asked, models, config.weights_licence, observer), config.weights_licence
        )
    if found.refused:
        observer.note(_refused_in_words(found.refused, config.weights_licence))
    if not found.weights and asked != "auto":
        raise ConfigError(_none_found(asked, models, found))
    missing = [model for model in models if model not in found.weights]
    return replace(found, asked=asked, wanted=True, missing=missing)


def from_scratch_too(asked: str, space: SearchSpace) -> bool:
    """Return whether trials may also train from scratch where weights were found."""
    return asked != "always" and _may(space, pretrained=False)


def _may(space: SearchSpace, *, pretrained: bool) -> bool:
    try:
        narrowed(space, pretrained=pretrained)
    except SpaceError:
        return False
    return True


def _in_folder(folder: str, models: Sequence[str], licences: str, observer: Observer) -> dict[str, Weights]:
    """Return the weights of a folder by model, each file for one model.

    A model has the file with its tag. One without such a file has another of its network: of several, that with an
    allowed licence, and then the one that timm lists first. Notes name files that cannot be used or are not.
    """
    problems: list[str] = []
    rows = in_folder(folder, problems)
    for problem in problems:
        observer.note(f"Weights left out: {problem}.")
    found = {model: rows[model] for model in models if model in rows}
    for name in sorted(rows, key=lambda name: _preference(rows[name], licences)):
        fitting = [model for model in models if arch(model) == arch(name)]
        free = [model for model in fitting if model not in found]
        if free and name not in found:
            found[free[0]] = rows[name]
        elif fitting and name not in found:
            observer.note(
                f"Weights left out: those of {name}, as the search space has {arch(name)} once, with those of "
                f"{found[fitting[0]].model}. A search space that names {name} uses them."
            )
    return _ordered(models, found)


def _preference(weights: Weights, licences: str) -> tuple[bool, int]:
    """Return the place of weights among others of the same network, the first the best."""
    tags = [*published(arch(weights.model))]
    place = tags.index(weights.model) if weights.model in tags else len(tags)
    return not is_allowed(weights.licence, licences), place


def _sorted_out(found: Mapping[str, Weights], licences: str) -> FoundWeights:
    """Return the weights whose licences are allowed, and the licences of the others."""
    good = {model: row for model, row in found.items() if is_allowed(row.licence, licences)}
    refused = {model: row.licence for model, row in found.items() if model not in good}
    return FoundWeights("", weights=good, hub="was not asked", refused=refused)


def _named_first(space: SearchSpace) -> list[str]:
    """Return the models of the portfolio's configurations with weights: those that the space would have first."""
    named = (str(one.get("model")) for one in space.portfolio if one.get("pretrained"))
    return list(dict.fromkeys(named))


def _published(
    models: list[str],
    first: Sequence[str],
    config: StudyConfig,
    remaining: float | None,
    observer: Observer,
) -> FoundWeights:
    """Return published weights from the caches, and from the hub if some are missing and it answers in time.

    The hub is asked for those in `first`, then for the smallest.
    """
    licences = config.weights_licence
    cached = _sorted_out(in_caches(models), licences)
    # Other weights of the same network may be allowed.
    other = in_caches(cached.refused, licences)
    found = {**cached.weights, **other}
    refused = {model: licence for model, licence in cached.refused.items() if model not in other}
    rest = [model for model in models if model not in found and model not in refused]
    in_time = remaining is None or remaining >= HUB_FROM
    elsewhere = _refused(rest, licences) if rest and in_time and not hub_is_off() else {}
    asked_for = sorted(rest, key=lambda model: capabilities(model).params)
    wanted = [model for model in [*first, *asked_for] if model in rest and model not in elsewhere]
    wanted = list(dict.fromkeys(wanted))
    hub, got = _from_hub(wanted, licences, remaining, observer) if wanted else ("was not asked", Downloaded())
    if hub != "cannot be reached":  # else nobody could have had them
        refused |= elsewhere
    return FoundWeights("", weights=_ordered(models, {**found, **got.weights}), hub=hub, refused=refused)


def _from_hub(
    models: Sequence[str], licences: str, remaining: float | None, observer: Observer
) -> tuple[str, Downloaded]:
    """Return the state of the hub, and the weights that it delivered within its share of the time."""
    if remaining is not None and remaining < HUB_FROM:
        return "was not asked, as there is no time for a download", Downloaded()
    begun = time.monotonic()
    share = DOWNLOAD_SHARE * (math.inf if remaining is None else remaining)
    if not hub_answers(min(HUB_SECONDS, share / 2)):
        return "cannot be reached", Downloaded()
    sizes = {model: capabilities(model).params for model in models}
    seconds = min(DOWNLOAD_SECONDS, share) - (time.monotonic() - begun)
    total = format_size(sum(sizes.values()) * 1e6 * BYTES_PER_WEIGHT)
    observer.stage(
        "weights",
        f"downloading weights of up to {counted(len(models), 'network')} (about {total}), for at most "
        f"{format_duration(round(max(0.0, seconds)))}",
    )
    got = download(
        list(sizes.items()),
        seconds=seconds,
        licences=licences,
        progress=observer.progress,
    )
    observer.note(_downloaded_in_words(got, remaining))
    return "was asked", got


def _ordered(models: Sequence[str], found: Mapping[str, Weights]) -> dict[str, Weights]:
    return {model: found[model] for model in models if model in found}


def _refused(models: Sequence[str], licences: str) -> dict[str, str]:
    """Return the licences of published weights, by model, for models of which none are allowed."""
    refused = {}
    for model in models:
        every = [licence_of(cfg) for cfg in published(model).values()]
        if every and not any(is_allowed(licence, licences) for licence in every):
            refused[model] = every[0]
    return refused


def _refused_in_words(refused: Mapping[str, str], licences: str) -> str:
    every = sorted(set(refused.values()))
    return (
        f"Weights left out for their licence: {_names(refused)} ({', '.join(every)}). "
        f"--weights-licence {','.join([licences, *every])} would allow them."
    )


def _downloaded_in_words(got: Downloaded, remaining: float | None) -> str:
    """Return how much was downloaded, and what it cost."""
    share = "" if remaining is None else f", {got.seconds / remaining:.0%} of the time left"
    count = len(got.weights)
    what = f"{count} file{'' if count == 1 else 's'} with weights ({format_size(got.size)})"
    return (
        f"Downloaded {what if count else 'no weights'} in {format_duration(round(got.seconds, 1))}{share}. "
        "`automl weights fetch` takes the time for all of them."
    )


def _none_found(asked: str, models: Sequence[str], found: FoundWeights) -> str:
    if found.refused:
        every = ",".join(sorted(set(found.refused.values())))
        return (
            f"--pretrained {asked} needs weights with an allowed licence, but those of {_names(found.refused)} have "
            f"{every}; allow them with --weights-licence {every}"
        )
    if asked == "always":
        return (
            f"--pretrained always needs weights of at least one of {_names(models)}, but none are cached and the hub "
            f"{found.hub}; give a folder with weights as --pretrained DIR, or use --pretrained auto"
        )
    return (
        f"--pretrained {asked} must hold weights of at least one architecture of the search space ({_names(models)}), "
        f"but holds those of {', '.join(sorted(in_folder(asked, [])))}; choose another --space"
    )


def _names(models: Mapping[str, str] | Sequence[str]) -> str:
    return ", ".join(list(models)[:_NAMED]) + (", ..." if len(models) > _NAMED else "")
