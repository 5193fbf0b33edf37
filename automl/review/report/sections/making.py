"""What the model costs and how to use it, what the study cost, and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from automl.config.durations import format_duration
from automl.final.evidence import words
from automl.review.describe import config_words, named, number
from automl.review.evaluation.text import Table
from automl.review.report.facts import Facts
from automl.review.report.model_look import Speed
from automl.review.studies import STUDY_FILE

LICENCE_LENGTH = 60  # characters: some packages put the whole text there


@dataclass(frozen=True)
class Look:
    """What a look at the delivered model gave; None and "" for what is not known, with `why_not`."""

    speed: Speed | None = None
    parameters: int | None = None
    size: int | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Making:
    """What the section shows: rows of (name, text), and commands."""

    model: tuple[tuple[str, str], ...]
    cost: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    python: tuple[str, ...]
    repeat: tuple[str, ...]
    repeatable: tuple[str, ...]
    versions: Table | None


def making(facts: Facts, look: Look, *, flags: str) -> Making:
    """Return the section; `flags` are those that name the folder of the studies in a command."""
    result = facts.result
    name = shlex.quote(facts.study.name)
    return Making(
        model=tuple((title, text) for title, text in _model(result, look) if text) if result else (),
        cost=tuple((title, text) for title, text in _cost(facts) if text),
        commands=_commands(name, flags) if result else _going_on(facts, name, flags),
        python=_python(facts) if result else (),
        repeat=_repeat(facts),
        repeatable=_repeatable(facts),
        versions=_versions(result.get("versions", {})),
    )


def _model(result: Mapping[str, Any], look: Look) -> list[tuple[str, str]]:
    config = result.get("retrain", {}).get("config") or result.get("best", {}).get("config", {})
    weights = result.get("weights")
    rows = [
        ("how it was made", words.made(result)),
        ("why this model", str(result.get("retrain", {}).get("why") or "")),
        ("configuration", config_words(named(config, result), everything=True)),
    ]
    if weights:
        where = weights["origin"] or f"your {weights['source']}"
        said = f"{weights['weights']}, licence {weights['licence']}, from {where}"
        rows.append(("pretrained weights", f"{said}; their licence may also bind this model"))
    if look.speed is not None:
        speed = look.speed
        threads = f"{speed.threads} thread{'' if speed.threads == 1 else 's'}"
        tries = "measured once" if speed.repeats == 1 else f"median of {speed.repeats}"
        rows.append(
            (
                "one answer takes",
                f"{number(float(f'{speed.ms:.3g}'))} ms ({tries} on {speed.device} with {threads}, without decoding "
                "the image, on the machine that wrote this report)",
            )
        )
    parameters = "" if look.parameters is None else f"{look.parameters:,} parameters"
    size = "" if look.size is None else f"{look.size / 1e6:.2f} MB of weights"
    rows.append(("size", ", ".join(part for part in (parameters, size) if part)))
    if look.why_not:
        rows.append(("not measured", look.why_not))
    return rows


def _cost(facts: Facts) -> list[tuple[str, str]]:
    result = facts.result
    time, work = result.get("time", {}), result.get("work", {})
    rows = []
    if time.get("used_s"):
        limit = f" of {format_duration(time['limit_s'])}" if time.get("limit_s") else ""
        rows.append(("time of the last command", f"{format_duration(time['used_s'])}{limit}"))
        stages = [
            f"{stage} {format_duration(time[f'{stage}_s'])}"
            for stage in ("setup", "search", "retrain", "holdout")
            if time.get(f"{stage}_s")
        ]
        rows.append(("its stages", ", ".join(stages)))
    if (time.get("all_runs_s") or 0.0) > (time.get("used_s") or 0.0):
        rows.append(("time of all commands", format_duration(time["all_runs_s"])))
    if work.get("images_trained"):
        rows.append(("images trained", f"{work['images_trained']:,}"))
    cores = core_hours(facts)
    if cores is not None:
        rows.append(("core hours of the search", f"{cores:.2g}, with {_threads(facts)}"))
    if work.get("busy_fraction") is not None:
        rows.append(("workers were training", f"{work['busy_fraction']:.0%} of the search"))
    return rows


def core_hours(facts: Facts) -> float | None:
    """Return the hours of processor cores that the workers of all searches had: their seconds times their threads."""
    seconds, threads = facts.result.get("work", {}).get("worker_s"), facts.study.plan.get("threads_per_trial")
    if not seconds or not threads or not facts.study.plan.get("parallel"):
        return None
    return float(seconds) * float(threads) / 3600


def _threads(facts: Facts) -> str:
    plan = facts.study.plan
    parallel, threads = int(plan["parallel"]), int(plan["threads_per_trial"])
    trials = f"{parallel} trial{'' if parallel == 1 else 's'} at once"
    return f"{trials} with {threads} thread{'' if threads == 1 else 's'} each"


def _going_on(facts: Facts, name: str, flags: str) -> tuple[str, ...]:
    """Return the commands for a study without a result; one that a process runs cannot be resumed."""
    return (f"automl show {name}{flags}" if facts.study.runner else f"automl resume {name}{flags}",)


def _commands(name: str, flags: str) -> tuple[str, ...]:
    lines = (
        (f"automl predict {name}{flags} new-images/", "answers for new images"),
        (f"automl evaluate {name}{flags} labelled/", "test it on other labelled images"),
        (f"automl export {name}{flags} --to onnx", "for programs without Python"),
        (f"automl serve {name}{flags}", "answers over HTTP"),
        (f"automl resume {name}{flags} --time-limit 1h", "search on"),
    )
    width = max(len(command) for command, _ in lines)
    return tuple(f"{command:<{width}}  # {what}" for command, what in lines)


def _python(facts: Facts) -> tuple[str, ...]:
    folder = str(facts.study.model_dir)
    return ("import automl", f"model = automl.load({folder!r})", 'model.predict(["new.jpg"])')


def _repeat(facts: Facts) -> tuple[str, ...]:
    """Return the command that makes the study again, beside it; none for data that were given in Python."""
    if not isinstance(facts.study.config.get("data"), str):
        return ()
    file = shlex.quote(str(facts.study.path / STUDY_FILE))
    return (f"automl fit {file} --study {shlex.quote(f'{facts.study.name}-again')}",)


def _repeatable(facts: Facts) -> tuple[str, ...]:
    result, config = facts.result, facts.study.config
    seed = result.get("seed", facts.study.config.get("seed"))
    found = [f"The seed is {seed}; study.yaml beside this file has all options."]
    if result.get("command"):
        found.append(f"It was made by: {result['command']}")
    timed, parallel = config.get("time_limit") is not None, int(facts.study.plan.get("parallel") or 1)
    if timed or parallel > 1:
        why = " and ".join(
            filter(
                None, ("a time limit" if timed else "", f"{parallel} trials at once" if parallel > 1 else "")
            )
        )
        found.append(
            f"The same command gives a similar study, not the same one: with {why}, what is done depends on what else "
            "the machine does."
        )
    else:
        found.append("The same command on the same machine and versions gives the same trials and model.")
    if result.get("warm_start"):
        found.append(
            f"Its first trials come from earlier studies: {', '.join(map(str, result['warm_start']))}."
        )
    if not isinstance(config.get("data"), str):
        found.append("The data were given in Python and are not part of the study.")
    return tuple(found)


def _versions(versions: Mapping[str, str]) -> Table | None:
    if not versions:
        return None
    rows = tuple((name, str(version), _licence(name, str(version))) for name, version in versions.items())
    return Table("Versions and licences", ("package", "version", "licence"), rows)


def _licence(name: str, version: str) -> str:
    """Return the licence of an installed package; a dash where it does not say, or another version is installed."""
    if name == "python":
        return "PSF-2.0"
    try:
        known = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "-"
    if known["Version"] != version:
        return "-"
    said = str(known.json.get("license_expression") or known.json.get("license") or "").strip()
    classifiers = [
        str(line).rpartition(" :: ")[2] for line in known.get_all("Classifier") or () if "License ::" in line
    ]
    if said and "\n" not in said and len(said) <= LICENCE_LENGTH:
        return said
    return ", ".join(classifiers) or "-"
