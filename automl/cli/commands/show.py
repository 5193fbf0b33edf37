"""`automl show`: show the result or the progress of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.damaged_study import reads_study
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    json_option,
    verbose_option,
)

if TYPE_CHECKING:
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
    from automl.config.names import directory_flag
    from automl.review.progress import progress_of
    from automl.review.studies import find_study

    found = find_study(study, directory or "studies")
    flags = directory_flag(directory or "studies")
    if found.result is not None:
        if state.json:
            print_json(found.result)
        else:
            _print_result(found, found.result, flags)
        return
    progress = progress_of(found)
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


def _print_progress(found: StudyFolder, progress: dict[str, Any], flags: str) -> None:
    from automl.cli.output import say, terminal_width
    from automl.review.describe import aligned, config_words, score
    from automl.review.progress import trials_words
    from automl.review.studies import LOST_WORDS
    from automl.terminal.printable import printable

    rows = [("trials", trials_words(progress["trials"], running=progress["running"]))]
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
    if runner := found.runner:
        rows.append(("run by", f"{runner}; it can be resumed after its end"))
    else:
        rows.append(("resume with", f"automl resume {found.name}{flags}"))
    if found.lost_result:
        rows.append(("lost", LOST_WORDS))
    say(f"{printable(found.name)}: {found.state_words}\n")
    for line in aligned(rows, terminal_width()):
        say(line)
