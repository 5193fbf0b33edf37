"""`automl leaderboard`: list the trials of a study, best first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.damaged_study import reads_study
from automl.cli.options import SectionCommand, State, directory_option, json_option, option, verbose_option

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from automl.records import Mode, TrialRow
    from automl.review.front.points import Point
    from automl.review.studies import StudyFolder
    from automl.review.tables import Delivered


@click.command("leaderboard", cls=SectionCommand, short_help="List the trials of a study, best first.")
@click.argument("study", shell_complete=completion.studies)
@directory_option
@option("--csv", "csv_file", metavar="FILE", section="Output", help="Write all columns to a CSV file.")
@option(
    "--columns",
    metavar="NAMES",
    section="Output",
    standard="the main ones",
    help="Show these columns, with commas: those of --csv, or all.",
)
@option(
    "--pareto",
    section="Output",
    is_flag=True,
    help="Only models that no other beats in metric, latency and size, as measured on this machine.",
)
@json_option("Print one JSON object with a row for each trial.")
@verbose_option
@click.pass_obj
@reads_study
def command(
    state: State,
    /,
    study: str,
    directory: str | None,
    csv_file: str | None,
    columns: str | None,
    pareto: bool,
) -> None:
    """List the trials of STUDY, best first. The study may still be running.

    STUDY is the name of a study or its folder. With --pareto, networks are measured for up to a minute, and a file in
    the study's folder keeps what was measured. `automl deliver` makes one of these models the model of the study.
    """
    from automl.cli.output import print_json, say, say_wrapped
    from automl.final.evidence.words import folds, not_usable, scored_on
    from automl.review.describe import score
    from automl.review.studies import find_study
    from automl.review.tables import delivered_of, leaderboard_rows, write_trials
    from automl.review.trials import study_trials, weights_of

    found = find_study(study, directory or "studies")
    _require_csv(csv_file, found, pareto)
    metric, mode, trials = study_trials(found)
    if pareto:
        _front(state, found, metric, mode, trials, csv_file)
        return
    result = found.result or {}
    best = result.get("best", {})
    trivial = best.get("val_trivial")
    made = delivered_of(result.get("retrain", {}), best.get("trial")) if result else None
    if csv_file is not None:
        _write_or_refuse(csv_file, lambda: write_trials(trials, metric, mode, Path(csv_file), made))
    if state.json:
        rows = leaderboard_rows(trials, metric, mode, made)
        about = {"metric": metric, "mode": mode, "trivial": trivial, "weights": weights_of(found)}
        print_json({"study": found.name, **about, "trials": rows})
    elif csv_file is not None:
        say(f"{len(trials)} trial{'s' if len(trials) != 1 else ''} written to {csv_file}")
    elif not trials:
        say(f"no trials yet in study {found.name!r}")
    elif columns is not None:
        _print_columns(leaderboard_rows(trials, metric, mode, made), columns)
    else:
        if trivial is not None:
            answer = result["trivial_words"][metric]
            say_wrapped(
                f"trivial answer {scored_on(folds(result))}: val_{metric} {score(trivial)} ({answer})"
            )
        if unusable := not_usable(result):
            say_wrapped(unusable)
        _print_main_columns(trials, metric, mode, made)
        _print_notes(found, trials)


def _print_notes(found: StudyFolder, trials: list[TrialRow]) -> None:
    """Print which trials were scored on fewer than all validation images, and the licences of weights."""
    from automl.cli.output import say_wrapped
    from automl.review.tables import few_images
    from automl.review.trials import val_images, weights_of

    for few in few_images(trials, val_images(found)):
        say_wrapped(few)
    for row in weights_of(found).values():
        say_wrapped(
            f"weights {row['weights']}: licence {row['licence']}, from {row['origin'] or row['source']}"
        )


def _print_columns(rows: list[dict[str, Any]], columns: str) -> None:
    """Print the columns that were asked for. Raises UsageError for one that there is not."""
    from automl.cli.output import print_table
    from automl.errors import UsageError, unknown_name
    from automl.review.describe import number, score

    known = list(rows[0])
    names = known if columns == "all" else [name.strip() for name in columns.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(unknown_name("column", name, known))

    def cell(name: str, value: Any) -> str:
        if value is None or value == "":
            return "-"
        return score(value) if name.startswith("val_") else number(value)

    numbers = [name for name in names if all(isinstance(row[name], int | float | None) for row in rows)]
    print_table(names, [[cell(name, row[name]) for name in names] for row in rows], right=numbers)


def _print_main_columns(trials: list[TrialRow], metric: str, mode: Mode, made: Delivered | None) -> None:
    from automl.cli.output import print_table
    from automl.review.tables import pareto_trials, ranked

    front = pareto_trials(trials, mode)
    sized = ("params", "pareto") if front else ()
    delivered = () if made is None else ("delivered",)
    counted = ("rounds", "epochs", "seconds")
    columns = ("rank", "trial", "state", f"val_{metric}", *counted, *sized, *delivered)
    columns = (*columns, "kind", "family", "configuration")
    cells = [_cells(rank, row, front, made) for rank, row in enumerate(ranked(trials, mode), 1)]
    print_table(columns, cells, right=("rank", "trial", f"val_{metric}", *counted, "params"))


def _front(
    state: State,
    found: StudyFolder,
    metric: str,
    mode: Mode,
    trials: list[TrialRow],
    csv_file: str | None,
) -> None:
    """Print the models that no other beats, with what they cost on this machine."""
    from automl.cli.output import complain, print_json, say, say_wrapped
    from automl.final.evidence.delivery import DERIVED, NAMES, Delivery
    from automl.review.front.kept import Where, kept_weights
    from automl.review.front.latencies import Latencies
    from automl.review.front.points import front, points_of, write_front
    from automl.review.tables import few_images
    from automl.review.trials import val_images
    from automl.torch_setup import quiet_waiting

    quiet_waiting()  # before torch is loaded
    latencies = Latencies.of_study(found)
    note = complain if state.verbose else (lambda text: None)
    points = points_of(found, trials, mode, latencies, kept_weights(found, trials), note)
    best, unmeasured = front(points, mode), sum(point.latency is None for point in points)
    if csv_file is not None:
        _write_or_refuse(csv_file, lambda: write_front(best, metric, Path(csv_file)))
    retrain = (found.result or {}).get("retrain", {})
    how = retrain.get("made", retrain.get("how"))
    if how in DERIVED and not state.json and all(point.weights != Where.MODEL for point in points):
        say_wrapped(
            f"The model of the study is {NAMES[Delivery(how)]} and not among these: its score is unknown."
        )
    if state.json:
        rows = [point.to_row(metric) for point in best]
        about = {"metric": metric, "mode": mode, "measured_on": latencies.where, "unmeasured": unmeasured}
        print_json({"study": found.name, **about, "models": rows})
    elif csv_file is not None:
        say(f"{len(best)} model{'s' if len(best) != 1 else ''} written to {csv_file}")
    elif not best:
        say(f"no trial of study {found.name!r} has a score and a latency yet")
    else:
        _print_front(best, metric, latencies.where)
        _print_latency_notes(best, latencies.where, unmeasured)
        on_front = {point.trial for point in best}
        for few in few_images([row for row in trials if row.trial in on_front], val_images(found)):
            say_wrapped(few)


def _print_front(best: list[Point], metric: str, where: str) -> None:
    from automl.cli.output import print_table, say_wrapped
    from automl.config.durations import format_latency
    from automl.config.sizes import format_count, format_size
    from automl.review.describe import config_words, score

    columns = ("trial", f"val_{metric}", "latency", "size", "params", "form", "weights", "configuration")
    cells = [
        (
            "-" if one.trial is None else str(one.trial),
            score(one.value),
            format_latency(one.latency or 0.0),
            format_size(one.size),
            format_count(one.params),
            one.form,
            one.weights or "-",
            f"{one.kind} of {', '.join(one.members)}" if one.members else config_words(one.config),
        )
        for one in best
    ]
    say_wrapped(f"no other model is better in metric, latency and size; one image on {where}")
    print_table(columns, cells, right=columns[:5])


def _print_latency_notes(best: list[Point], where: str, unmeasured: int) -> None:
    """Print which latencies are those of the search or of a busy machine, and how many are missing."""
    from automl.cli.output import say_wrapped

    measured = [one.measured for one in best if one.measured is not None]
    for other in dict.fromkeys(one.where for one in measured if one.where != where):
        count = sum(one.where == other for one in measured)
        say_wrapped(
            f"{count} of these latencies {'is' if count == 1 else 'are'} of {other}: there was no time to measure here."
        )
    if busy := sum(one.busy for one in measured):
        say_wrapped(
            f"{busy} of these latencies {'was' if busy == 1 else 'were'} measured while other programs used the cores. "
            "The time spent waiting for them is not counted, and the same command measures again."
        )
    if unmeasured:
        say_wrapped(f"{unmeasured} more could not be measured in time; the same command again goes on.")


def _cells(rank: int, row: TrialRow, front: Collection[int], made: Delivered | None) -> tuple[str, ...]:
    from automl.review.describe import config_words, row_cells

    count = row.objectives.get("params")
    params = "-" if count is None else f"{count / 1e6:.2f}M"
    sized = (params, "yes" if row.trial in front else "") if front else ()
    delivered = () if made is None else (made.how if made.trial == row.trial else "",)
    return (
        *row_cells(rank, row),
        *sized,
        *delivered,
        row.kind or "-",
        str(row.config.get("family", "-")),
        config_words(row.config),
    )


def _require_csv(csv_file: str | None, study: StudyFolder, pareto: bool) -> None:
    """Raise UsageError for a file that is there and no earlier table of this kind, or lies inside a study."""
    from automl.documents.output_file import require_output, table_kind

    if csv_file is None:
        return
    first = ["trial"] if pareto else ["rank", "trial", "state"]
    kind = table_kind("table of `automl leaderboard`", lambda names: list(names[: len(first)]) == first)
    require_output("--csv", csv_file, kind, data=[study.config.get("data")])


def _write_or_refuse(csv_file: str, write: Callable[[], None]) -> None:
    from automl.errors import UsageError

    try:
        write()
    except OSError as error:
        raise UsageError(
            f"--csv must be a file that can be written, got {csv_file!r} ({error.strerror})"
        ) from error
