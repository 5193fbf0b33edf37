"""What a data set looks like: classes with samples, sizes, brightness, and a map of its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.cache.streamed_images import open_images
from automl.data.quality.inspect import Inspection
from automl.data.splits import HOLDOUT, TRAIN, VAL
from automl.review.data_page.colours import colouring
from automl.review.data_page.diagrams import Dot, histogram, map_diagram, part_mark
from automl.review.data_page.embedding import Look, look_at
from automl.review.data_page.thumbnails import escape, figure

SAMPLES, MOST_CLASSES, EXTREMES = 8, 40, 8
_PARTS = (TRAIN, VAL, HOLDOUT)


def overview(found: Inspection) -> str:
    """Return the sections on classes, sizes, brightness and likeness."""
    rows = np.arange(len(found.labelled.files))
    if not len(rows):
        return ""
    images = open_images(found.cached.images_path)
    look = look_at(images, found.labelled.usable[rows])
    look = Look(np.searchsorted(found.labelled.usable, look.rows), look.places, look.brightness)
    parts = [_classes(found), _samples(found), _sizes(found), _brightness(found, look), _map(found, look)]
    return "\n".join(part for part in parts if part)


def _classes(found: Inspection) -> str:
    """Return the images of each class by part, the largest class first; for a regression, the values of each target."""
    counts = found.report.class_counts
    if found.report.values:
        return _values(found)
    if not counts:
        return ""
    totals = {name: sum(by.values()) for name, by in counts.items()}
    most = max(1, *totals.values())
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="right">{counts[name].get(part, 0):,}</td>' for part in _PARTS)
        + f'<td class="right">{total:,}</td><td><meter max="{most}" value="{total}"></meter></td></tr>'
        for name, total in sorted(totals.items(), key=lambda item: -item[1])
    )
    head = "".join(f"<th>{name}</th>" for name in ("class", *_PARTS, "all", ""))
    return f'<h2 id="classes">Classes</h2><div class="wide whole"><table><tr>{head}</tr>{rows}</table></div>'


def _values(found: Inspection) -> str:
    """Return the range of each target by part, and how often its values occur."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{part}</td>"
        + "".join(f'<td class="right">{value:.4g}</td>' for value in ranges[part])
        + "</tr>"
        for name, ranges in found.report.values.items()
        for part in _PARTS
        if part in ranges
    )
    head = "".join(f"<th>{name}</th>" for name in ("target", "part", "smallest", "mean", "largest"))
    targets = np.asarray(found.labelled.targets, dtype=np.float64)
    charts = "".join(histogram(targets[:, k], name) for k, name in enumerate(found.labelled.classes))
    return (
        f'<h2 id="values">Values</h2><div class="wide whole"><table><tr>{head}</tr>{rows}</table></div>'
        f'<div class="row">{charts}</div>'
    )


def _samples(found: Inspection) -> str:
    """Return some images of each class, spread over its rows."""
    labelled = found.labelled
    if labelled.task == "regression":
        return _extremes(found, np.asarray(labelled.targets)[:, 0], labelled.classes[0], "samples")
    sections = []
    for k, name in enumerate(labelled.classes[:MOST_CLASSES]):
        targets: npt.NDArray[Any] = np.asarray(labelled.targets)
        own = np.flatnonzero(targets == k if labelled.task == "classification" else targets[:, k] > 0)
        chosen = own[np.linspace(0, len(own) - 1, min(SAMPLES, len(own))).astype(int)] if len(own) else own
        sections.append(f'<h3>{escape(name)}</h3><div class="row">{_figures(found, chosen.tolist())}</div>')
    left = len(labelled.classes) - MOST_CLASSES
    more = f"<p>and {left:,} more classes</p>" if left > 0 else ""
    return f'<h2 id="samples">Samples of each class</h2>{"".join(sections)}{more}'


def _sizes(found: Inspection) -> str:
    sizes = np.asarray(found.cached.sizes, dtype=np.float64)[found.labelled.usable]
    if np.ptp(sizes, axis=0).max() == 0:
        width, height = sizes[0].astype(int).tolist()
        return f'<h2 id="sizes">Sizes</h2><p>All images have {width} x {height} px.</p>'
    shape = np.log2(sizes[:, 0] / np.maximum(1.0, sizes[:, 1]))
    return (
        '<h2 id="sizes">Sizes</h2><div class="row">'
        + histogram(sizes[:, 0], "width in px")
        + histogram(sizes[:, 1], "height in px")
        + histogram(shape, "shape: log2 of width by height")
        + "</div>"
    )


def _brightness(found: Inspection, look: Look) -> str:
    shown = histogram(look.brightness, "mean brightness, from 0 (black) to 1 (white)")
    return f'<h2 id="brightness">Brightness</h2>{shown}' + _extremes(
        found, look.brightness, "", "", look.rows
    )


def _map(found: Inspection, look: Look) -> str:
    """Return the map with its legend."""
    labelled, colours = found.labelled, colouring(found, look.rows)
    dots = [
        Dot(
            float(x),
            float(y),
            colour,
            found.split.shown[row],
            f"{labelled.files[row]}: {labelled.words[row]}, {found.split.shown[row] or 'left out'}",
        )
        for row, (x, y), colour in zip(look.rows.tolist(), look.places.tolist(), colours.of, strict=True)
    ]
    marks = "".join(f"<span>{part_mark(part)}{part}</span>" for part in _PARTS)
    some = f" ({len(dots):,} of {len(labelled.files):,} images)" if len(dots) < len(labelled.files) else ""
    return (
        f'<h2 id="map">Map</h2><p>Images whose thumbnails look alike lie close together{some}. {colours.read}</p>'
        f'<p class="legend">{colours.legend}{marks}</p>{map_diagram(dots)}'
    )


def _extremes(
    found: Inspection,
    values: npt.NDArray[Any],
    name: str,
    anchor: str,
    rows: npt.NDArray[np.int64] | None = None,
) -> str:
    """Return the images with the smallest and the largest values; `rows` are those of the values, by default all."""
    order = np.argsort(values, kind="stable")
    known = np.arange(len(values)) if rows is None else rows
    ends = (("the smallest", order[:EXTREMES]), ("the largest", order[::-1][:EXTREMES]))
    if not name:
        ends = (("the darkest", ends[0][1]), ("the brightest", ends[1][1]))
    title = f'<h2 id="{anchor}">Samples by {escape(name)}</h2>' if name else ""
    return title + "".join(
        f'<h3>{words}</h3><div class="row">{_figures(found, known[chosen].tolist(), values[chosen].tolist())}</div>'
        for words, chosen in ends
    )


def _figures(found: Inspection, rows: Sequence[int], values: Sequence[float] = ()) -> str:
    """Return thumbnails with the names of the files, and their `values` if there are any."""
    load: Callable[[int], Any] = found.source.load
    files, usable = found.labelled.files, found.labelled.usable
    captions = [files[row] for row in rows]
    if values:
        captions = [f"{value:.4g}: {name}" for name, value in zip(captions, values, strict=True)]
    return "".join(
        figure(caption, partial(load, int(usable[row]))) for caption, row in zip(captions, rows, strict=True)
    )
