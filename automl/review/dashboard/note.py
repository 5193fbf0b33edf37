"""The notes of the dashboard, in Markdown: one on the study, and one on each trial that was the best."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from automl.config.durations import format_duration
from automl.data.sources.base import counted
from automl.final.evidence.words import not_usable
from automl.records import TrialRow, TrialState
from automl.review.dashboard.snapshot import Snapshot
from automl.review.describe import config_words, counts_words, score, summary
from automl.review.studies import StudyFolder
from automl.search.storage.kinds import HEADS
from automl.search.storage.sql.study_counts import StudyCounts
from automl.terminal.masking import mask_password
from automl.terminal.printable import printable, short_words

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")
DEFAULT_DIRECTORY = "studies"


def study_note(snapshot: Snapshot, report: str | None = None) -> str:
    """Return the note on a study: its result or its progress, its data and plan, and what to do next.

    `report` is the address of its report, if there is one.
    """
    folder = snapshot.folder
    result = None if folder is None else folder.result
    state = "" if folder is None else f": {folder.state_words}"
    parts = [f"# {escaped(snapshot.name)}{state}"]
    if folder is not None and result is not None:
        unusable = not_usable(result)
        parts += [f"**{escaped(unusable)}**"] if unusable else []
    parts.append(_listed(study_facts(snapshot)))
    if folder is not None:
        parts += [_listed([("data", _data(folder)), ("plan", _plan(folder.plan))])] if folder.plan else []
        parts.append(_commands(folder))
    if report is not None:
        parts.append(f"[Open the report]({report})")
    return "\n\n".join(parts)


def study_facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return what is known of a study as (name, text): its result, or its progress."""
    folder = snapshot.folder
    if folder is None or folder.result is None:
        return _progress(snapshot)
    return _result_facts(folder, folder.result)


def counted_facts(counts: StudyCounts, folder: StudyFolder | None) -> list[tuple[str, str]]:
    """Return what a list says of a study whose trials were only counted."""
    if folder is not None and folder.result is not None:
        return _result_facts(folder, folder.result)
    best = "none yet" if counts.best is None else f"val {counts.metric} {score(counts.best)}"
    last = datetime.fromisoformat(counts.last) if counts.last else None
    return [
        ("best so far", best),
        ("trials", counts_words(counts.words)),
        ("last report", "" if last is None else f"{last:%Y-%m-%d %H:%M:%S} UTC"),
    ]


def _result_facts(folder: StudyFolder, result: dict[str, Any]) -> list[tuple[str, str]]:
    return [row for row in summary(result, folder.model_dir, "") if row[0] != "dashboard"]


def trial_note(snapshot: Snapshot, number: int) -> str:
    """Return the note on a trial that was the best, or that was delivered."""
    row = snapshot.trials[number]
    lines = [f"# Trial {number}: {escaped(row.kind or str(row.state))}", escaped(_roles(snapshot, number))]
    lines.append(
        _listed(
            [
                (f"val {snapshot.metric}", score(row.value)),
                ("state", _state(row)),
                ("why", row.reason),
                (
                    "trained",
                    f"{counted(row.rounds, 'round')} in {format_duration(row.seconds)}" if row.rounds else "",
                ),
                ("in full", config_words(row.config, everything=True)),
            ]
        )
    )
    return "\n\n".join(line for line in lines if line)


def escaped(text: str) -> str:
    """Return a text of anybody as Markdown that shows it, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(short_words(" ".join(text.split()))))


def _listed(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and texts, which the page wraps; rows without text are left out."""
    return "\n".join(f"- **{escaped(name)}**: {escaped(text)}" for name, text in rows if text)


def _progress(snapshot: Snapshot) -> list[tuple[str, str]]:
    trained = [row for row in snapshot.trials.values() if row.kind not in HEADS]
    counts = Counter(str(row.state) for row in trained)
    numbers = {"total": len(trained), **counts, "heads": len(snapshot.trials) - len(trained)}
    best = snapshot.best
    last = max((moment.last for moment in snapshot.moments.values()), default=None)
    return [
        ("best so far", "none yet" if best is None else _best(snapshot, best)),
        ("of", "" if best is None else config_words(best.config)),
        ("trials", counts_words(numbers)),
        ("last report", "" if last is None else f"{last:%Y-%m-%d %H:%M:%S} UTC"),
    ]


def _best(snapshot: Snapshot, row: TrialRow) -> str:
    kind = f" ({row.kind})" if row.kind else ""
    rounds = f" after {row.rounds} round{'' if row.rounds == 1 else 's'}" if row.rounds else ""
    return f"val {snapshot.metric} {score(row.value)}, from trial {row.trial}{kind}{rounds}"


def _data(folder: StudyFolder) -> str:
    plan = folder.plan
    counts = [
        f"{plan[key]:,} {word}"
        for key, word in (("n_train", "train"), ("n_val", "validation"), ("n_holdout", "holdout"))
        if isinstance(plan.get(key), int)
    ]
    shown = mask_password(str(folder.config.get("data", "")))
    size = f", {plan['img_size']} px" if isinstance(plan.get("img_size"), int) else ""
    task = f", {plan['task']}" if plan.get("task") else ""
    return f"{shown}: {', '.join(counts)} images{size}{task}" if counts else shown


def _plan(plan: dict[str, Any]) -> str:
    """Return how the time is divided, and how trials run."""
    parts = [
        f"{format_duration(round(float(plan[key])))} for the {word}"
        for key, word in (("search_s", "search"), ("retrain_s", "retrain"))
        if plan.get(key)
    ]
    if plan.get("epochs"):
        unit = "rounds" if plan.get("round_s") else "epochs"
        parts.append(f"up to {plan['epochs']} {unit} a trial")
    if plan.get("parallel"):
        parts.append(f"{plan['parallel']} at a time on {plan.get('device', 'cpu')}")
    if plan.get("images_per_second"):
        speed = f"{float(plan['images_per_second']):,.0f} images/s"
        parts.append(f"{speed} in {plan['precision']}" if plan.get("precision") else speed)
    return ", ".join(parts)


def _commands(folder: StudyFolder) -> str:
    """Return the commands for what comes next, to copy."""
    place = str(folder.directory)
    flag = "" if place == DEFAULT_DIRECTORY else f" --directory {shlex.quote(mask_password(place))}"
    name = shlex.quote(folder.name)
    lines = [f"automl resume {name}{flag}"]
    if folder.finished:
        lines += [
            f"automl predict {name} IMAGES{flag}",
            f"automl evaluate {name} DATA{flag}",
            f"automl export {name} --to onnx{flag}",
        ]
    # A fence that is longer than any in the names.
    fence = "`" * (2 + max((len(run) for run in re.findall("`+", name + flag)), default=1))
    return "\n".join([fence, *map(printable, lines), fence])


def _state(row: TrialRow) -> str:
    paused = row.state is TrialState.PAUSED
    return "paused, and may go on" if paused else str(row.state)


def _roles(snapshot: Snapshot, number: int) -> str:
    """Return when a trial was the best, and whether it is delivered."""
    said = []
    leaders = snapshot.leaders
    if snapshot.best is not None and snapshot.best.trial == number:
        said.append("The best trial of the leaderboard.")
    for place, leader in enumerate(leaders):
        if leader.trial == number:
            after = leaders[place + 1].trial if place + 1 < len(leaders) else None
            until = "" if after is None else f", until trial {after} was better"
            said.append(f"The best training from round {leader.round} on ({score(leader.value)}){until}.")
    if snapshot.delivered == number:
        said.append("The delivered model is made of it.")
    return " ".join(said)
