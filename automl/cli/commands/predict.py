"""`automl predict`: predict the labels of images."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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

    from automl.final.predictor import Predictor

_CHUNK = 64
_MIN_IMAGES_FOR_GPU = 256  # a CPU scores as many of most models in the seconds that a GPU takes to start
_TABLES = (".csv", ".parquet")
Row = dict[str, Any]


@click.command("predict", cls=SectionCommand, short_help="Predict the labels of images.")
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@directory_option
@option("--out", metavar="FILE", section="Output", help="Write a .csv or .parquet file instead of a table.")
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
@option("--proba", section="Output", is_flag=True, help="Add a column with the probability of each class.")
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
    factory: str | None,
    device: str,
    proba: bool,
) -> int:
    """Predict the labels of IMAGES (files, or folders of them) with MODEL.

    MODEL is the name of a study, a study's folder or a model folder. Unreadable images are named and
    left out, and the exit code is then 1.
    """
    from automl.errors import UsageError
    from automl.review.studies import find_model

    if out is not None and Path(out).suffix.lower() not in _TABLES:
        raise UsageError(f"--out must end in .csv or .parquet, got {out!r}")
    folder = find_model(model, directory or "studies")
    files = collect(images)
    from automl.final.card import read_verdict
    from automl.final.predictor import Predictor

    if unusable := read_verdict(folder):
        print(f"automl: {unusable}", file=sys.stderr)
    bad: list[tuple[Path, str]] = []
    predictor = Predictor.load(folder, factory=factory, device=_device(device, len(files)))
    rows = list(predicted(predictor, files, proba=proba, bad=bad))
    _show(state, rows, bad, out)
    for path, reason in bad:
        print(f"automl: skipped {str(path)!r}: {reason}", file=sys.stderr)
    return 1 if bad else 0


def _device(asked: str, images: int) -> str:
    if asked != "auto":
        return asked
    import torch

    return "cuda" if images > _MIN_IMAGES_FOR_GPU and torch.cuda.is_available() else "cpu"


def collect(paths: Iterable[str]) -> list[Path]:
    """Return the image files of paths: files as they are, and all images in folders, sorted by name.

    Raises UsageError for a path that does not exist, and if there is no image at all.
    """
    from automl.data.sources.files.layout import IMAGE_SUFFIXES
    from automl.errors import UsageError

    files: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found = (entry for entry in path.rglob("*") if entry.suffix.lower() in IMAGE_SUFFIXES)
            files += sorted(entry for entry in found if entry.is_file() and not _hidden(entry, path))
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"{text!r} does not exist; give files or folders of images")
    if not files:
        raise UsageError(f"no images found in {', '.join(map(repr, paths))}; give files or folders of images")
    return list(dict.fromkeys(files))


def predicted(
    predictor: Predictor, files: list[Path], *, proba: bool, bad: list[tuple[Path, str]]
) -> Iterator[Row]:
    """Yield a row for each readable image, in order; add the others to `bad` with the reason."""
    for start in range(0, len(files), _CHUNK):
        for path, scores in _scored(predictor, files[start : start + _CHUNK], bad):
            yield {"file": str(path), **_decided(predictor, scores, proba)}


def _scored(
    predictor: Predictor, files: list[Path], bad: list[tuple[Path, str]]
) -> Iterator[tuple[Path, np.ndarray]]:
    from automl.errors import DataError

    try:
        yield from zip(files, predictor.predict_proba(files), strict=True)
    except DataError:
        # One of them is unreadable: find out which.
        for path in files:
            try:
                yield path, predictor.predict_proba([path])[0]
            except DataError as error:
                bad.append((path, str(error)))


def _decided(predictor: Predictor, scores: np.ndarray, proba: bool) -> Row:
    """Return the columns of one image: its label(s) and confidence, or the values of a regression."""
    columns = {name: float(score) for name, score in zip(predictor.classes, scores, strict=True)}
    if predictor.info.task == "regression":
        return dict(columns)
    if predictor.info.task == "multilabel":
        row: Row = {"label": ", ".join(name for name, score in columns.items() if score >= 0.5)}
    else:
        best = max(columns, key=lambda name: columns[name])
        row = {"label": best, "confidence": columns[best]}
    return {**row, **({f"proba_{name}": score for name, score in columns.items()} if proba else {})}


def _show(state: State, rows: list[Row], bad: list[tuple[Path, str]], out: str | None) -> None:
    from automl.cli.output import print_json, print_table

    if out is not None:
        _write(rows, Path(out))
    if state.json:
        skipped = [{"file": str(path), "reason": reason} for path, reason in bad]
        print_json({"predictions": rows, "skipped": skipped})
    elif out is not None:
        if not state.quiet:
            print(f"{len(rows)} predictions written to {out}")
    elif rows:
        cells = [tuple(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()) for row in rows]
        numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
        print_table(list(rows[0]), cells, right=numbers)


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
            f"--out must be a file that can be written, got {str(path)!r} ({error.strerror})"
        ) from error


def _hidden(entry: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in entry.relative_to(folder).parts)
