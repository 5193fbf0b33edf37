"""`automl list`: list the studies of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from automl.cli.options import SectionCommand, State, directory_option, json_option, verbose_option

if TYPE_CHECKING:
    from automl.review.progress import Counted


@click.command("list", cls=SectionCommand, short_help="List studies and their results.")
@directory_option
@json_option("Print one JSON object.")
@verbose_option
@click.pass_obj
def command(state: State, /, directory: str | None) -> None:
    """List the studies of a directory with their results.

    A model that is not usable, or that answers no label on any image, is marked beside its state.
    """
    from automl.cli.output import print_json, print_table, say, say_wrapped
    from automl.errors import StudyError
    from automl.review.progress import Counted
    from automl.review.studies import damage_told, read_study, study_folders, study_name

    folder = directory or "studies"
    entries, counted = [], Counted()
    for path in study_folders(folder):
        try:
            with damage_told(path.name):
                entry = _entry(read_study(path), counted)
                _cells(entry)  # values of another type show here
            entries.append(entry)
        except StudyError as error:
            # A damaged study must not hide the others.
            entries.append({"study": study_name(path), "state": "unreadable", "problem": str(error)})
    if state.json:
        print_json({"directory": folder, "studies": entries})
    elif not entries:
        say(f"no studies in {folder!r}; start one with `automl fit DATA`")
    else:
        columns = ("study", "state", "metric", "val", "holdout", "trivial", "trials", "time", "delivered")
        print_table(columns, [_cells(entry) for entry in entries], right=("val", "trivial", "trials", "time"))
        for words in _marks(entries):
            say_wrapped(words)


def _entry(study: Any, counted: Counted) -> dict[str, Any]:
    from automl.final.evaluation.words import answers_nothing
    from automl.review.describe import delivered_kind, delivered_val

    result = study.result or {}
    progress = {} if result else _progress(study, counted)
    metric = progress.get("metric", study.metric)
    best = result.get("best") or progress.get("best") or {}
    return {
        "study": study.name,
        "state": study.state,
        "running": bool(study.runner),
        "metric": metric,
        "val_score": best.get("val_score"),
        "holdout": result.get("holdout", {}).get(metric),
        "trivial": result.get("trivial", {}).get(metric),
        "usable": result.get("usable"),
        "answers_nothing": answers_nothing(result) if result else None,
        "trials": (result or progress).get("trials", {}).get("total"),
        "used_s": result.get("time", {}).get("used_s"),
        "delivered": delivered_kind(result) if result else None,
        "delivered_val_score": delivered_val(result),
        "path": str(study.path),
    }


def _marks(entries: list[dict[str, Any]]) -> list[str]:
    """Return what the marks beside the states of these studies mean, those that are there."""
    unusable = any(entry.get("usable") is False for entry in entries)
    silent = any(entry.get("answers_nothing") and entry.get("usable") is not False for entry in entries)
    more = "`automl show STUDY` has more."
    return [
        *(
            ["not usable: not better than the trivial answer by more than chance explains; " + more]
            * unusable
        ),
        *(["answers no label: on no holdout image does any label reach its threshold; " + more] * silent),
    ]


def _progress(study: Any, counted: Counted) -> dict[str, Any]:
    """Return how far an unfinished study is; nothing if its database cannot be read."""
    from automl.errors import ConfigError, StorageError

    try:
        return counted.of(study)
    except (ConfigError, StorageError):
        return {}


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    from automl.config.durations import format_duration
    from automl.review.describe import interval_words, score
    from automl.review.studies import in_words

    holdout, used, trials = entry.get("holdout"), entry.get("used_s"), entry.get("trials")
    return (
        entry["study"],
        in_words(
            entry["state"],
            entry.get("usable"),
            running=bool(entry.get("running")),
            silent=bool(entry.get("answers_nothing")),
        ),
        entry.get("metric", "-"),
        score(entry.get("delivered_val_score" if entry.get("delivered") else "val_score")),
        interval_words(holdout) if holdout else "-",
        score(entry.get("trivial")),
        "-" if trials is None else str(trials),
        "-" if used is None else format_duration(used),
        entry.get("delivered") or "-",
    )
