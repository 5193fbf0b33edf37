"""`automl inspect`: check the data before any training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.options import (
    SectionCommand,
    State,
    given,
    json_option,
    option,
    quiet_option,
    section,
    verbose_option,
)

if TYPE_CHECKING:
    from automl.data.quality.report import DataReport
    from automl.records import Observer

images = section("Data")
_MAX_ROWS = 40
_BAD_SHOWN = 10
_CASES_SHOWN = 5


@click.command("inspect", cls=SectionCommand, short_help="Check data before any training.")
@click.argument("data", shell_complete=completion.files)
@images("--target", "COLUMN", "automatic", "Column of a manifest to predict, or several: a,b.")
@images("--image-column", "COLUMN", "automatic", "Column of a manifest that names the images.")
@images(
    "--group-column",
    "COLUMN",
    "automatic",
    "Column of a manifest whose rows belong together: patients, plants, videos.",
)
@images("--task", "KIND", "auto", "classification, multilabel or regression.")
@images("--img-size", "PIXELS", "auto", "Side of the square input images.")
@images("--seed", "N", "0", "Seed of the split.")
@images(
    "--on-group-leak",
    "WHAT",
    "keep",
    "Groups on both sides of a given split: keep (told), drop their training rows, or redraw the split.",
)
@images("--max-disk", "20G", "20G", "Disk space for decoded images.")
@option(
    "--all", "everything", section="Output", is_flag=True, help="List every file, not only the first ones."
)
@option(
    "--html",
    metavar="FILE",
    section="Output",
    help="Write a page: findings, classes with samples, sizes, and a map of the images.",
)
@json_option("Print the report as one JSON object (data_report.json of a study).")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, data: str, everything: bool, html: str | None, **options: Any) -> None:
    """Check DATA for unreadable files, duplicates, leaks between splits, contradictory labels and rare classes.

    DATA is as in `automl fit` and is not changed. Decoded images are kept for a later search.
    """
    import json

    from automl.cli.output import print_json
    from automl.data.quality.inspect import inspect_data

    chosen = _typed(given(options))
    if html is not None:
        from automl.documents.output_file import page_kind, require_output
        from automl.review.data_page.page import PAGE, write_data_page

        require_output("--html", html, page_kind(PAGE), data=[data])
        chosen["look"] = lambda found: write_data_page(found, Path(html))
    with _progress(quiet=state.quiet or not sys.stderr.isatty()) as observer:
        report = inspect_data(data, observer=observer, **chosen)
    if state.json:
        print_json(json.loads(report.to_json()))
    else:
        _print(report, everything=everything)


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    """Convert numbers. Raises UsageError that names the option."""
    from automl.errors import UsageError

    for name in ("img_size", "seed"):
        value = options.get(name)
        if value is None or (name == "img_size" and value == "auto"):
            continue
        if not str(value).isdecimal():
            raise UsageError(f"--{name.replace('_', '-')} must be a whole number, got {value!r}")
        options[name] = int(value)
    return options


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Observer]:
    """Yield an observer with a progress bar on stderr, or a silent one."""
    from automl.records import Silent

    if quiet:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        class Shown(Silent):
            """Shows the stage, and the progress of decoding."""

            def stage(self, name: str, text: str) -> None:
                bar.update(task, description=text)

            def progress(self, done: float, total: float) -> None:
                bar.update(task, completed=done, total=total)

        yield Shown()


def _print(report: DataReport, *, everything: bool) -> None:
    from automl.cli.output import print_table, say, say_wrapped, terminal_width
    from automl.data.quality.findings import headline_of, nothing_found
    from automl.data.quality.report import bad_note
    from automl.data.sources.base import counted
    from automl.review.describe import aligned

    for line in aligned(_facts(report), terminal_width()):
        say(line)
    say()
    columns, rows = _table(report)
    shown = rows if everything else rows[:_MAX_ROWS]
    print_table(columns, shown, right=columns[1:])
    if len(shown) < len(rows):
        say(f"... and {len(rows) - len(shown)} more; --all lists them")
    for note in report.notes:
        if not (report.bad and note == bad_note(report.bad)):
            say()
            say_wrapped(f"! {note}", indent=2)
    for finding in report.findings:
        say()
        say_wrapped(f"! {headline_of(finding, report.findings)}", indent=2)
        _print_some([" = ".join(case) for case in finding.files], _CASES_SHOWN, everything)
    if report.bad:
        say(f"\n! Unreadable: {counted(len(report.bad), 'file')}")
        _print_some([f"{bad.file}: {bad.reason}" for bad in report.bad], _BAD_SHOWN, everything)
    if not (report.notes or report.findings or report.bad):
        say()
        say_wrapped(nothing_found(report.task))


def _print_some(lines: list[str], most: int, everything: bool) -> None:
    from automl.cli.output import say
    from automl.terminal.printable import printable, short_words

    shown = lines if everything else lines[:most]
    for line in shown:
        say(f"    {printable(short_words(line))}")
    if len(shown) < len(lines):
        say(f"    ... and {len(lines) - len(shown)} more; --all lists them")


def _facts(report: DataReport) -> list[tuple[str, str]]:
    from automl.data.sources.base import counted

    kind = "grey" if report.in_chans == 1 else "colour"
    modes = ", ".join(f"{mode} {count:,}" for mode, count in report.modes.items())
    seconds = f"{report.seconds:.1f} s" + (", from the cache" if report.from_cache else "")
    return [
        ("data", f"{report.name}: {counted(report.n_images, 'image')} for {report.task}"),
        ("sizes", f"{_range(report.widths)} wide, {_range(report.heights)} high (min .. median .. max)"),
        ("model input", f"{report.img_size} x {report.img_size} px, {kind}"),
        ("modes", modes),
        ("pixels", _pixels(report)),
        ("time", seconds),
    ]


def _pixels(report: DataReport) -> str:
    """Return mean and deviation of the training pixels, a number for each channel."""
    mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (report.mean, report.std))
    span = f"; 0..1 is {report.pixel_range[0]:g}..{report.pixel_range[1]:g}" if report.pixel_range else ""
    return f"mean {mean}, deviation {std} in the training images (of 0..1){span}" if mean else ""


def _range(values: tuple[int, int, int]) -> str:
    low, middle, high = values
    return f"{low} px" if low == high else f"{low} .. {middle} .. {high} px"


def _table(report: DataReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return classes or labels with their rows in each split, or the range of each number."""
    parts = ("train", "val", "holdout")
    if report.task == "regression":
        rows = [
            (name, *(_span(ranges[part]) if part in ranges else "-" for part in parts))
            for name, ranges in report.values.items()
        ]
        return ("min .. mean .. max of", *parts), rows
    noun = "class" if report.task == "classification" else "label"
    counts = sorted(report.class_counts.items(), key=lambda item: -sum(item[1].values()))
    return (noun, "images", *parts), [
        (name, f"{sum(by.values()):,}", *(f"{by[part]:,}" for part in parts)) for name, by in counts
    ]


def _span(values: tuple[float, float, float]) -> str:
    return " .. ".join(f"{value:.4g}" for value in values)
