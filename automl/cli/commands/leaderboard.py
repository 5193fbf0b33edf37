"""`automl leaderboard`: list the trials of a study, best first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.damaged_study import reads_study
from automl.cli.options import SectionCommand, State, directory_option, json_option, option, verbose_option

if TYPE_CHECKING:
    from collections.abc import Collection

    from automl.records import TrialRow
    from automl.review.tables import Delivered


@click.command("leaderboard", cls=SectionCommand, short_help="List the trials of a study, best first.")
@click.argument("study", shell_complete=completion.studies)
@directory_option
@option("--csv", "csv_file", metavar="FILE", section="Output", help="Write all columns to a CSV file.")
@json_option("Print one JSON object with a row for each trial.")
@verbose_option
@click.pass_obj
@reads_study
def command(state: State, /, study: str, directory: str | None, csv_file: str | None) -> None:
    """List the trials of STUDY, best first. The study may still be running.

    STUDY is the name of a study or its folder.
    """
    from automl.cli.output import print_json, print_table, say, say_wrapped
    from automl.final.evidence.words import folds, not_usable, scored_on
    from automl.review.describe import score
    from automl.review.studies import find_study
    from automl.review.tables import delivered_of, leaderboard_rows, pareto_trials, ranked
    from automl.review.trials import study_trials, weights_of

    found = find_study(study, directory or "studies")
    metric, mode, trials = study_trials(found)
    result = found.result or {}
    best = result.get("best", {})
    trivial = best.get("val_trivial")
    made = delivered_of(result.get("retrain", {}), best.get("trial")) if result else None
    if csv_file is not None:
        _write(trials, metric, mode, Path(csv_file), made)
    if state.json:
        rows = leaderboard_rows(trials, metric, mode, made)
        about = {"metric": metric, "mode": mode, "trivial": trivial, "weights": weights_of(found)}
        print_json({"study": found.name, **about, "trials": rows})
    elif csv_file is not None:
        say(f"{len(trials)} trial{'s' if len(trials) != 1 else ''} written to {csv_file}")
    elif not trials:
        say(f"no trials yet in study {found.name!r}")
    else:
        front = pareto_trials(trials, mode)
        sized = ("params", "pareto") if front else ()
        delivered = () if made is None else ("delivered",)
        columns = (
            "rank",
            "trial",
            "state",
            f"val_{metric}",
            "rounds",
            "epochs",
            "seconds",
            *sized,
            *delivered,
            "kind",
            "family",
            "configuration",
        )
        if trivial is not None:
            answer = result["trivial_words"][metric]
            say_wrapped(
                f"trivial answer {scored_on(folds(result))}: val_{metric} {score(trivial)} ({answer})"
            )
        if unusable := not_usable(result):
            say_wrapped(unusable)
        cells = [_cells(rank, row, front, made) for rank, row in enumerate(ranked(trials, mode), 1)]
        print_table(
            columns, cells, right=("rank", "trial", f"val_{metric}", "rounds", "epochs", "seconds", "params")
        )
        for row in weights_of(found).values():
            say_wrapped(
                f"weights {row['weights']}: licence {row['licence']}, from {row['origin'] or row['source']}"
            )


def _cells(rank: int, row: TrialRow, front: Collection[int], made: Delivered | None) -> tuple[str, ...]:
    from automl.review.describe import config_words, score

    count = row.objectives.get("params")
    params = "-" if count is None else f"{count / 1e6:.2f}M"
    sized = (params, "yes" if row.trial in front else "") if front else ()
    delivered = () if made is None else (made.how if made.trial == row.trial else "",)
    return (
        str(rank),
        str(row.trial),
        str(row.state),
        score(row.value),
        str(row.rounds),
        "-" if row.epochs is None else f"{row.epochs:.1f}",
        f"{row.seconds:.1f}",
        *sized,
        *delivered,
        row.kind or "-",
        str(row.config.get("family", "-")),
        config_words(row.config),
    )


def _write(trials: list[TrialRow], metric: str, mode: Any, path: Path, made: Delivered | None) -> None:
    from automl.errors import UsageError
    from automl.review.tables import write_trials

    try:
        write_trials(trials, metric, mode, path, made)
    except OSError as error:
        raise UsageError(
            f"--csv must be a file that can be written, got {str(path)!r} ({error.strerror})"
        ) from error
