"""`automl evaluate`: how good a model is on labelled images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    given,
    json_option,
    option,
    quiet_option,
    section,
    verbose_option,
)

if TYPE_CHECKING:
    from automl.final.evaluation.record import Evaluation
    from automl.final.evaluation.score_data import DataEvaluation

images = section("Data")


@click.command("evaluate", cls=SectionCommand, short_help="Test a model on labelled images.")
@click.argument("model", shell_complete=completion.studies)
@click.argument("data", required=False, shell_complete=completion.files)
@directory_option
@images("--split", "NAME", "all images", "Use one part of DATA: train, val or test.")
@images("--target", "COLUMN", "automatic", "Column of a table with the truth, or several: a,b.")
@images("--image-column", "COLUMN", "automatic", "Column of a table that names the images.")
@images("--metric", "NAME", "the study's", "The metric to show first.")
@option("--out", metavar="FILE.csv", section="Output", help="Write the answer for each image to a CSV file.")
@option("--html", metavar="FILE", section="Output", help="Write a page with the errors as images.")
@option("--all", "everything", section="Output", is_flag=True, help="List all classes, not only the worst.")
@option(
    "--factory",
    metavar="MODULE:FUNCTION",
    section="Output",
    help="Function that builds the network, if it is not timm's.",
)
@option("--device", section="Output", default="cpu", metavar="cpu|cuda", help="Device to use.")
@json_option("Print the evaluation as one JSON object.")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, model: str, data: str | None, directory: str | None, **options: Any) -> int:
    """Test MODEL on the labelled images in DATA: every metric with its interval, per class, and what is confused.

    MODEL is the name of a study, a study's folder or a model folder. DATA is as in `automl fit`. Without DATA, the
    study's own test on its holdout is shown, which `automl fit` made. Rows whose label the model does not know are left
    out and counted. Unreadable images are named and left out, and the exit code is then 1.
    """
    asked = given(options)
    if data is None:
        return _show_stored(state, model, directory or "studies", asked)
    found = _evaluated(state, model, data, directory or "studies", asked)
    evaluation = found.evaluation
    try:
        _write_files(found, model, asked)
    finally:
        found.source.close()
    _show(state, evaluation, f"{model} on {data}", asked)
    return 1 if evaluation.skipped else 0


def _evaluated(state: State, model: str, data: str, directory: str, asked: dict[str, Any]) -> DataEvaluation:
    from automl.final.evaluation.labelled import Where
    from automl.final.evaluation.score_data import evaluate_data
    from automl.final.predictor import Predictor
    from automl.records import ReadOptions
    from automl.review.studies import find_model, study_data

    folder = find_model(model, directory)
    _check_outputs(asked, [data, study_data(folder)])
    predictor = Predictor.load(folder, factory=asked.get("factory"), device=asked["device"])
    asked = {**_study_options(folder, data), **asked}
    where = Where(ReadOptions.of(asked), asked.get("split"))
    with _progress(quiet=state.quiet or not sys.stderr.isatty()) as progress:
        return evaluate_data(predictor, data, where=where, metric=asked.get("metric"), progress=progress)


def _study_options(folder: Path, data: str) -> dict[str, Any]:
    """Return the options of the study that a model folder lies in: its metric, and the columns of a table."""
    from automl.data.sources.files.manifest import is_manifest
    from automl.errors import StudyError
    from automl.review.studies import RESULT_FILE, STUDY_FILE, read_study

    if not all((folder.parent / name).is_file() for name in (STUDY_FILE, RESULT_FILE)):
        return {}
    try:
        study = read_study(folder.parent)
    except StudyError:  # damaged: its model can be tested all the same
        return {}
    same = is_manifest(Path(data)) or data == study.config.get("data")
    known = {"metric": (study.result or {}).get("metric")}
    known |= {name: study.config.get(name) for name in ("target", "image_column") if same}
    return {name: value for name, value in known.items() if isinstance(value, str)}


def _show_stored(state: State, study: str, directory: str, asked: dict[str, Any]) -> int:
    """Show the evaluation on the holdout that a finished study holds."""
    from automl.errors import StudyError, UsageError
    from automl.final.evaluation.record import ANSWERS_FILE
    from automl.final.evaluation.words import of_document
    from automl.review.studies import damage_told, find_study

    for name in ("split", "target", "image_column", "metric", "out"):
        if name in asked:
            flag = f"--{name.replace('_', '-')}"
            hint = f"; the study has {ANSWERS_FILE}" if name == "out" else ""
            raise UsageError(f"{flag} needs DATA to test the model on{hint}")
    found = find_study(study, directory)
    with damage_told(study):
        evaluation = None if found.result is None else of_document(found.result)
        if evaluation is None:
            what = "is not finished" if found.result is None else "is of an earlier version"
            raise StudyError(
                f"the study {study!r} {what}, so it holds no evaluation: name DATA to test its model on"
            )
        if "html" in asked:
            from automl.review.evaluation.page import write_page

            _check_outputs(asked, [found.config.get("data")])
            write_page(evaluation, Path(asked["html"]), title=f"{found.name} on its holdout")
        _show(state, evaluation, f"{found.name} on its holdout", asked)
    return 0


def _check_outputs(asked: dict[str, Any], data: list[object]) -> None:
    """Raise UsageError for files that cost something: see `require_output`."""
    from automl.documents.output_file import page_kind, require_output, table_kind
    from automl.errors import UsageError

    if "out" in asked:
        if Path(asked["out"]).suffix.lower() != ".csv":
            raise UsageError(f"--out must end in .csv, got {asked['out']!r}")
        answers = table_kind("table of answers of `automl evaluate`", _are_answers)
        require_output("--out", asked["out"], answers, data=data)
    if "html" in asked:
        require_output("--html", asked["html"], page_kind("evaluation"), data=data)


def _are_answers(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns is one of answers."""
    starts = [column.partition("_")[0] for column in columns]
    return starts[:2] == ["file", "label"] and "predicted" in starts


def _write_files(found: DataEvaluation, model: str, asked: dict[str, Any]) -> None:
    if "out" in asked:
        from automl.final.evaluation.answers import write_asked_answers

        write_asked_answers(Path(asked["out"]), found.scored, found.info)
    if "html" in asked:
        from automl.review.evaluation.page import write_page

        write_page(
            found.evaluation, Path(asked["html"]), title=f"{model} on {found.source.name}", answers=found
        )


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows the progress on stderr, or one that shows nothing."""
    if quiet:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring images", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(state: State, evaluation: Evaluation, title: str, asked: dict[str, Any]) -> None:
    from automl.cli.output import complain, print_json, print_table, say, say_wrapped
    from automl.review.evaluation.text import sentences, tables

    if state.json:
        print_json(evaluation.to_json())
    else:
        for note in evaluation.notes:
            say_wrapped(f"! {note}", indent=2)
        n = f"{evaluation.n:,} image{'' if evaluation.n == 1 else 's'}"
        say_wrapped(f"{title}: {n}")
        for table in tables(evaluation, everything=bool(asked.get("everything"))):
            say()
            if table.title:
                say_wrapped(table.title)
            print_table(table.columns, table.rows, right=table.right)
            if table.note:
                say(f"... {table.note}")
        if said := sentences(evaluation):
            say()
            for text in said:
                say_wrapped(text)
    for name, reason in evaluation.skipped.items():
        complain(f"automl: skipped {name!r}: {reason}")
