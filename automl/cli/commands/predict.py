"""`automl predict`: predict the labels of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    json_option,
    option,
    quiet_option,
    verbose_option,
)

if TYPE_CHECKING:
    import numpy as np

    from automl.data.sources.unlabelled import NamedImage
    from automl.final.confidence.selective import Threshold
    from automl.final.predictor import Predictor

_CHUNK = 64
_MIN_IMAGES_FOR_GPU = 256  # a CPU scores as many of most models in the seconds that a GPU takes to start
_TABLES = (".csv", ".parquet")
Row = dict[str, Any]


@click.command("predict", cls=SectionCommand, short_help="Predict the labels of images.")
@click.argument("model", shell_complete=completion.studies)
@click.argument("images", nargs=-1, required=True, shell_complete=completion.files)
@directory_option
@option("--out", metavar="FILE", section="Output", help="Write a .csv or .parquet file instead of a table.")
@option(
    "--image-column",
    metavar="COLUMN",
    section="Output",
    help="Column of a table that names the images, if its name is unusual.",
)
@option(
    "--factory",
    metavar="MODULE:FUNCTION",
    section="Output",
    help="Function that builds the network, if it is not timm's.",
)
@option(
    "--device",
    section="Output",
    default="auto",
    metavar="auto|cpu|cuda",
    help="Device to use; auto takes a GPU if there is one and there are many images.",
)
@option(
    "--proba",
    section="Output",
    is_flag=True,
    help="Add a column with the probability of each class, and one with how unknown an image looks.",
)
@option(
    "--reject",
    metavar="FREQUENCY",
    section="Output",
    type=float,
    help="Answer only where answers are right with this frequency, such as 0.95; others have no label.",
)
@json_option("Print one JSON object with a row for each image.")
@quiet_option
@verbose_option
@click.pass_obj
def command(
    state: State,
    /,
    model: str,
    images: tuple[str, ...],
    directory: str | None,
    out: str | None,
    image_column: str | None,
    factory: str | None,
    device: str,
    proba: bool,
    reject: float | None,
) -> int:
    """Predict the labels of IMAGES (files, folders, zip or tar archives, or tables) with MODEL.

    MODEL is the name of a study, a study's folder or a model folder. Unreadable images are named and
    left out, and the exit code is then 1.
    """
    from automl.cli.output import complain
    from automl.errors import UsageError
    from automl.review.studies import find_model, study_data

    if out is not None and Path(out).suffix.lower() not in _TABLES:
        raise UsageError(f"--out must end in .csv or .parquet, got {out!r}")
    folder = find_model(model, directory or "studies")
    from automl.final.card import read_verdict
    from automl.final.predictor import Predictor

    _require_paths(images)
    predictor = Predictor.load(folder, factory=factory)
    if out is not None:
        _require_out(Path(out), predictor, [*images, study_data(folder)])
    threshold = None if reject is None else predictor.threshold(reject)
    items = collect(images, predictor, image_column)
    first = list(islice(items, _MIN_IMAGES_FOR_GPU + 1))
    predictor = predictor.on(_device(device, len(first)))
    if unusable := read_verdict(folder):
        complain(f"automl: {unusable}")
    if proba and predictor.known is None and not state.quiet:
        complain("automl: there is no column `unknown`, as the model has no features of its training images")
    bad: list[tuple[str, str]] = []
    rows = list(predicted(predictor, chain(first, items), proba=proba, bad=bad))
    if threshold is not None:
        rows = [_or_rejected(row, threshold) for row in rows]
    _show(state, rows, bad, out)
    if threshold is not None and not state.quiet:
        complain(f"automl: {_told_rejected(rows, threshold, reject)}")
    for name, reason in bad:
        complain(f"automl: skipped {name!r}: {reason}")
    return 1 if bad else 0


def _require_out(path: Path, predictor: Predictor, data: Sequence[object]) -> None:
    """Raise UsageError for a file that is there and is no earlier table of predictions, or lies inside a study."""
    from automl.documents.output_file import Kind, require_output, table_kind

    name, certain = "table of `automl predict`", predictor.info.task == "classification"
    kind = table_kind(name, lambda columns: _are_predictions(columns, predictor), certain=certain)
    if path.suffix.lower() == ".parquet":
        kind = Kind(name, lambda start: _are_predictions(_parquet_columns(path), predictor), certain)
    require_output("--out", path, kind, data=data)


def _are_predictions(columns: Sequence[str], predictor: Predictor) -> bool:
    if predictor.info.task == "classification":
        first = ["file", "label", "confidence"]
    elif predictor.info.task == "multilabel":
        first = ["file", "label"]
    else:
        targets = [f"{name} (predicted)" if name == "file" else name for name in predictor.classes]
        first = ["file", *targets]
    known = {*first, "rejected", "unknown", *(f"proba_{name}" for name in predictor.classes)}
    return list(columns[: len(first)]) == first and known.issuperset(columns)


def _parquet_columns(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file; none if it is no such file."""
    from pyarrow import ArrowException, parquet

    try:
        return list(parquet.read_schema(path).names)
    except (ArrowException, OSError):
        return []


def _device(asked: str, images: int) -> str:
    if asked != "auto":
        return asked
    import torch

    return "cuda" if images > _MIN_IMAGES_FOR_GPU and torch.cuda.is_available() else "cpu"


def collect(
    paths: Iterable[str], predictor: Predictor, image_column: str | None = None
) -> Iterator[NamedImage]:
    """Yield the images at the paths, each once, as `images_of` does. Raises DataError for a folder without images."""
    from automl.data.sources.unlabelled import images_of

    seen: set[str] = set()
    for text in paths:
        for image in images_of(text, predictor.info, image_column=image_column):
            if image.name not in seen:
                seen.add(image.name)
                yield image


def _require_paths(paths: Iterable[str]) -> None:
    from automl.errors import UsageError

    for text in paths:
        if not Path(text).exists():
            raise UsageError(f"{text!r} does not exist; give files or folders of images")


def predicted(
    predictor: Predictor, images: Iterable[NamedImage], *, proba: bool, bad: list[tuple[str, str]]
) -> Iterator[Row]:
    """Yield a row for each readable image, in order; add the others to `bad` with the reason."""
    import numpy as np

    from automl.errors import DataError
    from automl.final.loading.answers import require_numbers
    from automl.final.predictor import named_pixels

    items = iter(images)
    while part := list(islice(items, _CHUNK)):
        names, pixels = [], []
        for image in part:
            try:
                pixels.append(named_pixels(image, predictor.info))
                names.append(image.name)
            except DataError as error:
                bad.append((image.name, str(error).removeprefix(f"{image.name}: ")))
        if pixels:
            scores, features = predictor.predict_with_features(np.stack(pixels))
            require_numbers(scores)
            known = predictor.known if proba and features is not None else None
            unknown = [] if known is None or features is None else known.scores(features).tolist()
            for place, (name, row) in enumerate(zip(names, scores, strict=True)):
                more = {"unknown": unknown[place]} if unknown else {}
                yield {"file": name, **_decided(predictor, row, proba), **more}


def _decided(predictor: Predictor, scores: np.ndarray, proba: bool) -> Row:
    """Return the columns of one image: its label(s) and confidence, or the values of a regression."""
    columns = {name: float(score) for name, score in zip(predictor.classes, scores, strict=True)}
    if predictor.info.task == "regression":
        return {f"{name} (predicted)" if name == "file" else name: score for name, score in columns.items()}
    if predictor.info.task == "multilabel":
        row: Row = {"label": ", ".join(name for name, score in columns.items() if score >= 0.5)}
    else:
        best = max(range(len(scores)), key=lambda k: float(scores[k]))
        row = {"label": predictor.labels[best], "confidence": float(scores[best])}
    return {**row, **({f"proba_{name}": score for name, score in columns.items()} if proba else {})}


def _or_rejected(row: Row, threshold: Threshold) -> Row:
    """Return the row with a column `rejected`, and without its label if the answer is not sure enough."""
    rejected = row["confidence"] < threshold.confidence
    label = {"label": None} if rejected else {}
    first = {name: row[name] for name in ("file", "label", "confidence")}
    return {**first, "rejected": rejected, **row, **label}


def _told_rejected(rows: list[Row], threshold: Threshold, frequency: float | None) -> str:
    left = sum(not row["rejected"] for row in rows)
    return (
        f"{left:,} of {len(rows):,} answers are left, with a confidence of {threshold.confidence:.4f} or more. Of "
        f"images that the model was not trained on, {threshold.coverage:.0%} had it, and {threshold.right:.1%} of "
        f"these answers were right; {frequency:g} was asked for"
    )


def _show(state: State, rows: list[Row], bad: list[tuple[str, str]], out: str | None) -> None:
    from automl.cli.output import print_json, print_table, say

    if out is not None:
        _write(rows, Path(out))
    if state.json:
        skipped = [{"file": name, "reason": reason} for name, reason in bad]
        print_json({"predictions": rows, "skipped": skipped})
    elif out is not None:
        if not state.quiet:
            say(f"{len(rows):,} prediction{'s' if len(rows) != 1 else ''} written to {out}")
    elif rows:
        cells = [tuple(map(_cell, row.values())) for row in rows]
        numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
        print_table(list(rows[0]), cells, right=numbers)


def _cell(value: Any) -> str:
    """Return a cell of the table in a terminal."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _write(rows: list[Row], path: Path) -> None:
    import pandas as pd

    from automl.errors import UsageError

    frame = pd.DataFrame(rows)
    try:
        if path.suffix.lower() == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    except OSError as error:
        raise UsageError(
            f"--out must be a file that can be written, got {str(path)!r} ({error.strerror or error})"
        ) from error
