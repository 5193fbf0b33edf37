"""What the model costs and how to use it, what the study cost, and how to repeat it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from automl.config.durations import format_duration, significant
from automl.final.evaluation.words import is_silent
from automl.final.evidence import words
from automl.final.evidence.delivery import Delivery
from automl.records import Config
from automl.review.describe import config_words, named, number
from automl.review.evaluation.text import Table
from automl.review.report.facts import Facts
from automl.review.report.model_look import Speed
from automl.review.report.sections.choice import WhyThis, why_this
from automl.review.studies import STUDY_FILE

# The beginning of a command line by which the program was called: a script, or a folder that is run as a module.
_PROGRAM = re.compile(r"^(?:\S*/)?(?:automl|automl/__main__\.py)(?= |$)")
# What a head has no more of than a network: its other parameters would be those of the training it stands for.
_OF_A_HEAD = ("model", "pretrained", "weights", "size", "global_pool", "estimator", "strength")
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
    """What the section shows: rows of (name, text), and commands; a `warning` against using the model."""

    model: tuple[tuple[str, str], ...]
    why: WhyThis
    cost: tuple[tuple[str, str], ...]
    warning: str
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
        model=tuple((title, text) for title, text in _model(facts, look) if text) if result else (),
        why=why_this(facts) if result else WhyThis((), None),
        cost=tuple((title, text) for title, text in _cost(facts) if text),
        warning=_warning(facts),
        commands=_commands(name, flags) if result else _going_on(facts, name, flags),
        python=_python(facts) if result else (),
        repeat=_repeat(facts),
        repeatable=_repeatable(facts),
        versions=_versions(result.get("versions", {})),
    )


def _model(facts: Facts, look: Look) -> list[tuple[str, str]]:
    result = facts.result
    config = _delivered_config(facts)
    weights = result.get("weights")
    rows = [
        ("how it was made", words.made(result)),
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


def _warning(facts: Facts) -> str:
    """Return why the model should not be used yet; "" if nothing speaks against it."""
    if not facts.result:
        return ""
    if is_silent(facts.evaluation):
        return (
            "Do not rely on its answers: no label is ever answered, as no probability reaches its threshold."
        )
    unusable = words.not_usable(facts.result)
    return f"Do not rely on its answers. {unusable}" if unusable else ""


def _delivered_config(facts: Facts) -> Config:
    """Return the configuration of the delivered model; of a linear head, that of its own row among the trials."""
    retrain = facts.result.get("retrain", {})
    config = words.delivered_config(facts.result)
    if retrain.get("made", retrain.get("how")) != Delivery.HEAD:
        return config
    known = next((row.config for row in facts.history.rows if row.trial == retrain.get("trial")), None)
    return known or {name: config[name] for name in _OF_A_HEAD if name in config}


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
    rows += _core_rows(facts)
    if work.get("busy_fraction") is not None:
        rows.append(("workers were training", f"{work['busy_fraction']:.0%} of the search"))
    return rows


def _core_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return the core hours and the energy of all commands."""
    cost, searched = facts.result.get("cost") or {}, core_hours(facts)
    if "core_hours" not in cost:
        said = None if searched is None else f"{significant(searched)}, with {_threads(facts)}"
        return [] if said is None else [("core hours of the search", said)]
    of = (
        f", {significant(searched)} of them for the search with {_threads(facts)}"
        if searched is not None
        else ""
    )
    rows = [("core hours", f"{significant(cost['core_hours'])} of all commands{of}")]
    kwh, how = cost.get("energy_kwh"), str(cost.get("energy_how", ""))
    return [*rows, ("energy", how if kwh is None else f"{significant(kwh)} kWh ({how})")]


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
    """Return the command that makes the study again, beside it; none for data that were given in Python.

    It learns from no earlier study if this one did not: it would find this one itself.
    """
    config = facts.study.config
    if not isinstance(config.get("data"), str):
        return ()
    folder = facts.study.path.absolute()
    said = f"automl fit {shlex.quote(str(folder / STUDY_FILE))} --study {shlex.quote(f'{facts.study.name}-again')}"
    if not Path(str(config.get("directory", ""))).is_absolute():
        said += f" --directory {shlex.quote(str(folder.parent))}"
    if not facts.result.get("warm_start") and config.get("warm_start") != "none":
        said += " --warm-start none"
    return (said,)


def _repeatable(facts: Facts) -> tuple[str, ...]:
    result, config = facts.result, facts.study.config
    seed = result.get("seed", facts.study.config.get("seed"))
    found = [f"The seed is {seed}; study.yaml beside this file has all options."]
    if result.get("command"):
        found.append(_made_by(str(result["command"])))
    if not isinstance(config.get("data"), str):
        found.append("The data were given in Python and are not part of the study.")
    reasons = _not_the_same(facts)
    what = "This command" if _repeat(facts) else "The same call"
    if reasons:
        found.append(f"{what} gives a similar study, not the same one: {'; '.join(reasons)}.")
    else:
        found.append(f"{what} on the same machine and versions gives the same trials and model.")
    return tuple(found)


def _made_by(command: str) -> str:
    """Return how the study was made: the command as it is typed, or the program that called the library."""
    typed, found = _PROGRAM.subn("automl", command)
    if not found:
        return f"It was made in Python, by a program with the command line: {command}"
    last = typed.split()[1:2] == ["resume"]
    return f"{'It was resumed, the last time' if last else 'It was made'} by: {typed}"


def _not_the_same(facts: Facts) -> list[str]:
    """Return why the study cannot be made again as it is, each from its own record."""
    result, config, plan = facts.result, facts.study.config, facts.study.plan
    time, parallel = result.get("time", {}), int(plan.get("parallel") or 1)
    found = []
    timed = config.get("time_limit") is not None or bool(time.get("limit_s"))
    if timed or parallel > 1:
        with_what = ["a time limit"] if timed else []
        with_what += [f"{parallel} trials at once"] if parallel > 1 else []
        found.append(f"with {' and '.join(with_what)}, what is done depends on what else the machine does")
    if result.get("stopped"):
        found.append(f"Ctrl-C ended its {result['stopped']}")
    resumed = _PROGRAM.sub("automl", str(result.get("command", ""))).split()[1:2] == ["resume"]
    if resumed or (time.get("all_runs_s") or 0.0) > (time.get("used_s") or 0.0):
        found.append("it was stopped or ended, and then resumed")
    if result.get("warm_start"):
        earlier = ", ".join(map(str, result["warm_start"]))
        found.append(f"its first trials come from earlier studies ({earlier}), to which this one now belongs")
    if str(plan.get("device", "cpu")) != "cpu":
        found.append("on an accelerator, sums may be rounded otherwise each time")
    return found


def _versions(versions: Mapping[str, str]) -> Table | None:
    if not versions:
        return None
    rows = tuple((name, str(version), _licence(name, str(version))) for name, version in versions.items())
    return Table("Versions and licences", ("package", "version", "licence"), rows)


@cache
def _licence(name: str, version: str) -> str:
    """Return the licence of an installed package; a dash where it does not say, or another version is installed."""
    if name == "python":
        return "PSF-2.0"
    try:
        known = cast(Message, metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return "-"
    if known.get("Version") != version:
        return "-"
    # Not `known.json`, which takes a tenth of a second for a package with a long description.
    # With the backport importlib_metadata, which other packages load, a missing field is a KeyError.
    said = str(known.get("License-Expression") or known.get("License") or "").strip()
    classifiers = [
        str(line).rpartition(" :: ")[2] for line in known.get_all("Classifier") or () if "License ::" in line
    ]
    if said and "\n" not in said and len(said) <= LICENCE_LENGTH:
        return said
    return ", ".join(classifiers) or "-"
