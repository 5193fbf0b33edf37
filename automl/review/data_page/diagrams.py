"""Diagrams of a data set as inline SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import counted
from automl.data.splits import HOLDOUT, TRAIN, VAL
from automl.review.data_page.colours import GREY
from automl.review.data_page.thumbnails import escape

_WIDTH, _HEIGHT, _EDGE = 320, 170, 26
_MAP, _DOT = 640, 4.5


@dataclass(frozen=True)
class Dot:
    """An image on the map: its place from 0 to 1, its colour, its part and its title."""

    x: float
    y: float
    colour: str
    part: str
    title: str


def map_diagram(dots: Sequence[Dot]) -> str:
    """Return the map of the images; train, val and holdout are circles, squares, triangles."""
    shapes = "".join(map(_shape, dots))
    whole = _MAP + 2 * _DOT
    return (
        f'<svg class="map" viewBox="{-_DOT} {-_DOT} {whole} {whole}" role="img" '
        f'aria-label="map of the images">{shapes}</svg>'
    )


def part_mark(part: str) -> str:
    """Return the mark of a part for the legend of the map."""
    dot = _shape(Dot(8 / _MAP, 8 / _MAP, GREY, part, part))
    return f'<svg width="16" height="16" viewBox="0 0 16 16">{dot}</svg>'


def histogram(values: npt.NDArray[np.float64], label: str, *, bins: int = 24) -> str:
    """Return how often values occur, as bars, with the smallest and the largest below."""
    counts, edges = np.histogram(values, bins=bins)
    most, wide = max(1, int(counts.max())), (_WIDTH - 2 * _EDGE) / bins
    bars = "".join(
        f'<rect class="bar" x="{_EDGE + wide * k:.1f}" width="{wide - 1:.1f}" '
        f'y="{_HEIGHT - _EDGE - (tall := (_HEIGHT - 2 * _EDGE) * count / most):.1f}" height="{tall:.1f}">'
        f"<title>{edges[k]:.4g} to {edges[k + 1]:.4g}: {counted(count, 'image')}</title></rect>"
        for k, count in enumerate(counts.tolist())
    )
    end = _HEIGHT - _EDGE + 15
    return (
        f'<svg width="{_WIDTH}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<text x="{_EDGE}" y="16">{escape(label)}</text>{bars}'
        f'<text x="{_EDGE}" y="{end}">{edges[0]:.4g}</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{end}" text-anchor="end">{edges[-1]:.4g}</text></svg>'
    )


def _shape(dot: Dot) -> str:
    x, y, colour, title = _MAP * dot.x, _MAP * dot.y, dot.colour, f"<title>{escape(dot.title)}</title>"
    if dot.part == VAL:
        left, top, side = x - _DOT, y - _DOT, 2 * _DOT
        return f'<rect x="{left:.1f}" y="{top:.1f}" width="{side}" height="{side}" fill="{colour}">{title}</rect>'
    if dot.part == HOLDOUT:
        corners = f"{x:.1f},{y - _DOT:.1f} {x - _DOT:.1f},{y + _DOT:.1f} {x + _DOT:.1f},{y + _DOT:.1f}"
        return f'<polygon points="{corners}" fill="{colour}">{title}</polygon>'
    opacity = "" if dot.part == TRAIN else ' fill-opacity=".3"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}" fill="{colour}"{opacity}>{title}</circle>'
