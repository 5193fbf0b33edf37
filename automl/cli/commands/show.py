"""`automl show`: show the result or the progress of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.damaged_study import reads_study
from automl.cli.options import (
    SectionCommand,
    State,
    directory_flag,
    directory_option,
    json_option,
    verbose_option,
)

if TYPE_CHECKING:
    from automl.records import TrialRow
    from automl.review.studies import StudyFolder


@click.command("show", cls=SectionCommand, short_help="Show one study.")
@click.argument("study", shell_complete=completion.studies)
@directory_option
@json_option("Print result.json, or the progress of the study, as one JSON object.")
@verbose_option
@click.pass_obj
@reads_study
def command(state: State, /, study: str, directory: str | None) -> None:
    """Show the result of STUDY, or its progress.

    STUDY is the name of a study or its folder.
    """
    from automl.cli.output import print_json
    from automl.review.studies import find_study

    found = find_study(study, directory or "studies")
    flags = directory_flag(directory) if directory else ""
    if found.result is not None:
        if state.json:
            print_json(found.result)
        else:
            _print_result(found, found.result, flags)
        return
    progress = _progress(found)
    if state.json:
        print_json(progress)
    else:
        _print_progress(found, progress, flags)


def _print_result(found: StudyFolder, result: dict[str, Any], flags: str) -> None:
    from automl.cli.output import say, say_wrapped, terminal_width
    from automl.review.describe import aligned, dashboard_command, details, summary
    from automl.review.report.verdict import verdict_of
    from automl.terminal.printable import printable

    rows = summary(result, found.model_dir, dashboard_command(found.name, flags))
    say(f"{printable(found.name)}: {found.state_words}\n")
    for sentence in verdict_of(found):
        say_wrapped(sentence)
    say()
    more = details(result)
    first = max(len(name) for name, _ in (*rows, *more))
    for part in (rows, more):
        for line in aligned(part, terminal_width(), first=first):
            say(line)
        if part is rows:
            say()


def _progress(found: StudyFolder) -> dict[str, Any]:
    from collections import Counter

    from automl.review.tables import ranked
    from automl.review.trials import study_trials
    from automl.search.storage.kinds import HEADS

    metric, mode, trials = study_trials(found)
    best = next((row for row in ranked(trials, mode) if row.value is not None), None)
    trained = [row for row in trials if row.kind not in HEADS]
    counts = Counter(str(row.state) for row in trained)
    heads = len(trials) - len(trained)
    return {
        "study": found.name,
        "state": "unfinished",
        "metric": metric,
        "mode": mode,
        "trials": {"total": len(trained), **counts, "heads": heads},
        "best": None if best is None else _best(best),
    }


def _best(row: TrialRow) -> dict[str, Any]:
    return {
        "trial": row.trial,
        "val_score": row.value,
        "rounds": row.rounds,
        "epochs": row.epochs,
        "config": row.config,
        "kind": row.kind,
    }


def _print_progress(found: StudyFolder, progress: dict[str, Any], flags: str) -> None:
    from automl.cli.output import say, terminal_width
    from automl.review.describe import aligned, config_words, counts_words, score
    from automl.terminal.printable import printable

    rows = [("trials", counts_words(progress["trials"]))]
    best = progress["best"]
    if best is not None:
        rows.append(
            (
                "best so far",
                f"val {progress['metric']} {score(best['val_score'])}, from trial {best['trial']}"
                + (f" ({best['kind']})" if best["kind"] else ""),
            )
        )
        rows.append(("in full", config_words(best["config"], everything=True)))
    rows.append(("resume with", f"automl resume {found.name}{flags}"))
    say(f"{printable(found.name)}: unfinished\n")
    for line in aligned(rows, terminal_width()):
        say(line)
