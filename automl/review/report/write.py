"""Write the report of a study: one file that needs nothing else, within limits of bytes and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl._version import __version__
from automl.config.durations import format_duration
from automl.data.sources.base import counted
from automl.final.evaluation.words import is_silent
from automl.review.describe import interval_words, score
from automl.review.page.render import render, write_text
from automl.review.page.thumbnails import Load, Thumbnails
from automl.review.report.facts import Facts, read_facts
from automl.review.report.sections.data import data_section
from automl.review.report.sections.making import Look, making
from automl.review.report.sections.quality import quality
from automl.review.report.sections.search import search_section
from automl.review.report.sections.validation import validation_section
from automl.review.report.shots import MOST_BYTES, Camera, EarlierShots, earlier_shots, study_images
from automl.review.report.verdict import Verdict, verdict
from automl.review.studies import REPORT_FILE, StudyFolder, in_words
from automl.search.storage.kinds import HEADS

if TYPE_CHECKING:
    from automl.final.predictor import Predictor

TEMPLATE = "report/report.html"
# Of the time for images and model: for measuring its speed, and for asking where it looks. Images get the rest.
SPEED_SHARE, MODEL_SHARE = 0.2, 0.6


@dataclass(frozen=True)
class Means:
    """What a report may use: the images by their names, the loaded model, and `seconds` for both (no limit: None).

    With `reopen`, images and model that are not given are opened from the study's own data and model folder. `costs`
    gives entries of the result that are told as they are when all else is made.
    """

    load: Load | None = None
    predictor: Predictor | None = None
    seconds: float | None = None
    reopen: bool = True
    costs: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Written:
    """A report that was written: its `path`, its verdict, and how long it took.

    `address`: where it lies with its study, of which the folder is a copy; "" for a study on this machine.
    """

    path: Path
    verdict: Verdict
    seconds: float = field(compare=False)
    address: str = ""


def write_report(
    study: StudyFolder,
    *,
    result: Mapping[str, Any] | None = None,
    means: Means | None = None,
    flags: str = "",
    out: Path | None = None,
) -> Written:
    """Write `report.html` into a study's folder (or the file `out`), from its files and its database alone.

    The holdout is not read: its answers are in `holdout_predictions.csv`. `result` is that of a study that is about to
    write its own, `flags` are those that name the folder of the studies in a command. Raises OSError if the file cannot
    be written, StudyError for damaged files, and one of `WRONG_VALUES` for values that no version writes.
    """
    begun = time.monotonic()
    means = means or Means()
    facts = read_facts(study, result)
    path = study.path / REPORT_FILE if out is None else out
    until = float("inf") if means.seconds is None else begun + means.seconds
    with ExitStack() as stack:
        load = means.load
        if load is None and means.reopen:
            load = stack.enter_context(study_images(study))
        earlier = earlier_shots(study.path / REPORT_FILE) if load is None else EarlierShots({}, {})
        thumbnails = Thumbnails(load, MOST_BYTES, until, earlier=earlier.files)
        look, heat = _look(facts, means, load, until)
        camera = Camera(thumbnails, heat if load is not None else lambda file: earlier.heats.get(file, ""))
        content = _content(facts, camera)
        if means.costs is not None:
            facts = replace(facts, result={**facts.result, **means.costs()})
        content |= _about(facts, look, flags)
    write_text(path, render(TEMPLATE, **content))
    return Written(path, content["verdict"], time.monotonic() - begun)


def _look(facts: Facts, means: Means, load: Load | None, until: float) -> tuple[Look, Callable[[str], str]]:
    """Return what is known of the delivered model, and a function that shows where it looks."""
    if not facts.result or (means.predictor is None and not means.reopen):
        return Look(), lambda file: ""
    from automl.final.cost.network import counts_of
    from automl.review.report.model_look import SECONDS, Looks, load_model, measure_speed, weights_bytes

    size = weights_bytes(facts.study)
    predictor, why = (means.predictor, "") if means.predictor else load_model(facts.study, facts.result)
    if predictor is None:
        return Look(size=size, why_not=why), lambda file: ""
    left = until - time.monotonic()
    speed = measure_speed(predictor, min(SECONDS, max(0.05, SPEED_SHARE * left)))
    looks = Looks(predictor, load, time.monotonic() + MODEL_SHARE * left)
    return Look(speed, counts_of(predictor.model).params, size), looks


def _content(facts: Facts, camera: Camera) -> dict[str, Any]:
    """Return what takes its time: the parts with images and charts."""
    quality_part = quality(facts, camera)
    data_part = data_section(facts, camera)
    sizes = () if quality_part is None else quality_part.sizes
    return {
        "notes": _notes(camera.thumbnails, finished=bool(facts.result)),
        "quality": quality_part,
        "regression": facts.task == "regression",
        "extra_tables": len(sizes) - len(quality_part.scatters)
        if quality_part and quality_part.scatters
        else 0,
        "heat": quality_part is not None and any(shot.heat for shot in quality_part.errors),
        "data": data_part,
        "has_report": bool(facts.data),
        "search": search_section(facts),
        "validation": validation_section(facts, camera),
        "has_heads": any(row.kind in HEADS for row in facts.history.rows),
    }


def _about(facts: Facts, look: Look, flags: str) -> dict[str, Any]:
    """Return what tells of the study as a whole, and what it cost."""
    return {
        "title": facts.study.name,
        "written": _written(facts),
        "verdict": verdict(facts),
        "tiles": _tiles(facts),
        "making": making(facts, look, flags=flags),
        "foot": f"Written by automl {__version__}. This file needs no network and holds everything that it shows.",
    }


def _written(facts: Facts) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    usable = facts.result.get("usable") if facts.result else None
    running, silent = not facts.result and bool(facts.study.runner), is_silent(facts.evaluation)
    state = in_words(facts.study.state, usable, running=running, silent=silent)
    return f"Report of an automl study, {state}; written {now}."


def _tiles(facts: Facts) -> list[tuple[str, str]]:
    found, held = list[tuple[str, str]](), facts.held
    if held is not None:
        found.append((f"holdout {facts.metric}, 95 % interval", interval_words(held)))
        trivial = facts.result.get("trivial", {}).get(facts.metric)
        if trivial is not None:
            found.append((f"trivial answer: {facts.result['trivial_words'][facts.metric]}", score(trivial)))
    elif (best := facts.history.best) is not None:
        found.append((f"best validation {facts.history.metric}, trial {best.trial}", score(best.value)))
    trained = facts.history.trained
    if trained:
        heads = len(facts.history.rows) - len(trained)
        found.append(
            (
                "trials" + (f", and {heads} linear head{'' if heads == 1 else 's'}" if heads else ""),
                f"{len(trained):,}",
            )
        )
    if facts.data:
        classes = len(facts.data.get("class_counts", {}))
        found.append(
            ("images" + (f" of {classes} classes" if classes else ""), f"{facts.data['n_images']:,}")
        )
    used = facts.result.get("time", {}).get("all_runs_s")
    if used:
        found.append(("used in all", format_duration(used)))
    return found


def _notes(thumbnails: Thumbnails, *, finished: bool) -> list[str]:
    if not thumbnails.missing:
        return []
    if thumbnails.load is None and not finished:
        return [
            "Images are not shown: a report during the search has none, or they cannot be opened any more."
        ]
    if thumbnails.load is None:
        return [
            "The images of this study cannot be opened any more (or were given in Python), so some are not shown here."
        ]
    return [
        f"{counted(thumbnails.missing, 'image')} not shown: there was no time, or no way to read them any more."
    ]
