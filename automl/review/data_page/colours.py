"""Colours of classes and of values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.quality.inspect import Inspection
from automl.review.data_page.thumbnails import escape

MOST_COLOURS = 20
GREY = "#888"
# The scale of values, from low to high: lightness, chroma and hue of OKLCH. Equal steps of a value are equal steps of
# lightness, so they look equal (Ottosson 2020, "A perceptual color space for image processing"), in grey as well.
_LOW, _HIGH = (0.32, 0.14, 285.0), (0.86, 0.14, 100.0)
_STOPS = 12  # of the bar in the legend


@dataclass(frozen=True)
class Colouring:
    """A colour for each image (n,), and the legend and the sentence that say what they mean, as HTML."""

    of: list[str]
    legend: str
    read: str


def colour_of(index: int | None, count: int) -> str:
    """Return the colour of one of `count` classes; grey for what has no colour of its own."""
    if index is None or index >= MOST_COLOURS:
        return GREY
    hue = 360 * index / min(count, MOST_COLOURS)
    return f"hsl({hue:.0f} 70% {45 if index % 2 else 55}%)"


def colour_of_value(share: float) -> str:
    """Return the colour of a value that is so far (0 to 1) between the lowest and the highest; grey for NaN."""
    if math.isnan(share):
        return GREY
    share = min(1.0, max(0.0, share))
    lightness, chroma, hue = (low + share * (high - low) for low, high in zip(_LOW, _HIGH, strict=True))
    return _hex(lightness, chroma, math.radians(hue))


def colouring(found: Inspection, rows: npt.NDArray[np.int64]) -> Colouring:
    """Return the colours of these rows: by class, by the rarest label, or by the first value of a regression."""
    labelled = found.labelled
    targets: npt.NDArray[Any] = np.asarray(labelled.targets)
    if labelled.task == "regression":
        return _by_value(targets[:, 0].astype(np.float64), rows, labelled.classes)
    if labelled.task == "multilabel":
        return _by_label(targets > 0, rows, labelled.classes)
    count = len(labelled.classes)
    more = _mark(GREY, "other classes") if count > MOST_COLOURS else ""
    names = enumerate(labelled.classes[:MOST_COLOURS])
    return Colouring(
        [colour_of(int(targets[row]), count) for row in rows.tolist()],
        "".join(_mark(colour_of(k, count), name) for k, name in names) + more,
        "A class that is one island is easy; dots of other colours in an island are worth a look.",
    )


def _by_value(
    values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], names: tuple[str, ...]
) -> Colouring:
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    bar = ", ".join(colour_of_value(k / (_STOPS - 1)) for k in range(_STOPS))
    legend = (
        f"<span>{escape(names[0])}: {low:.4g} "
        f'<b class="scale" style="background:linear-gradient(90deg, {bar})"></b> {high:.4g}</span>'
    )
    read = (
        "Where colours change smoothly, values follow from how images look; dots of another colour than those around "
        "them are worth a look."
    )
    if len(names) > 1:
        read += f" Colours are of {escape(names[0])}, the first of {len(names)} values; the title of a dot has all."
    return Colouring([colour_of_value((values[row] - low) / span) for row in rows.tolist()], legend, read)


def _by_label(has: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], names: tuple[str, ...]) -> Colouring:
    counts = has.sum(axis=0)
    order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k]][:MOST_COLOURS]
    place = {k: number for number, k in enumerate(order)}

    def colour(row: int) -> str:
        own = [place[k] for k in np.flatnonzero(has[row]).tolist() if k in place]
        return colour_of(max(own), len(order)) if own else GREY  # the order is by frequency

    known = "".join(_mark(colour_of(number, len(order)), names[k]) for k, number in place.items())
    return Colouring(
        [colour(row) for row in rows.tolist()],
        known + _mark(GREY, "none of these"),
        "The colour is that of an image's rarest label; its title has all of them.",
    )


def _mark(colour: str, words: str) -> str:
    return f'<span><i style="background:{colour}"></i>{escape(words)}</span>'


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """Return a colour of OKLCH in sRGB; what sRGB cannot show is cut off."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long, medium, short = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _encoded(min(1.0, max(0.0, part)))):02x}" for part in linear)


def _encoded(linear: float) -> float:
    """Return a linear part of sRGB with its gamma."""
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
