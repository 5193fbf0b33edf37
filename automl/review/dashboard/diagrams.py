"""Diagrams that the dashboard shows as artifacts: complete SVG files, without scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from automl.final.evaluation.record import Evaluation
from automl.terminal.printable import printable, short_words

Curve = Sequence[tuple[int, float]]

LARGEST_MATRIX = 40
_WIDTH, _HEIGHT, _LEFT, _EDGE = 640, 360, 56, 36
_CELL, _LABEL = 34, 150
_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}polyline{fill:none;stroke:#bbb;stroke-width:1}"
    ".main{stroke:#2563eb;stroke-width:2.5}circle{fill:#bbb}.mark{fill:#2563eb}rect.page{fill:#fff}"
    "line{stroke:#ddd}</style>"
)


def curves_svg(curves: Mapping[int, Curve], main: int, metric: str) -> str:
    """Return the curves of trials by round as SVG, that of the trial `main` in front of the others."""
    shown = {number: curve for number, curve in curves.items() if curve}
    values = [value for curve in shown.values() for _, value in curve]
    if not values:
        return _file(_WIDTH, _HEIGHT, f'<text x="20" y="40">no value of {_escape(metric)} yet</text>')
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    last = max(1, *(curve[-1][0] for curve in shown.values()))

    def place(round: int, value: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - _EDGE) * round / last
        y = _EDGE + (_HEIGHT - 2 * _EDGE) * (high - value) / (high - low)
        return x, y

    def drawn(number: int) -> str:
        name, dot = ("main", "mark") if number == main else ("other", "other")
        points = [place(*point) for point in shown[number]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = points[-1]
        title = f"<title>trial {number}: {shown[number][-1][1]:.4g}</title>"
        return (
            f'<g>{title}<polyline class="{name}" points="{path}"/>'
            f'<circle class="{dot}" cx="{x:.1f}" cy="{y:.1f}" r="3"/></g>'
        )

    order = sorted(shown, key=lambda number: number == main)
    parts = [_axes(low, high, last, metric), *map(drawn, order)]
    parts.append(f'<text x="{_WIDTH - _EDGE}" y="22" text-anchor="end">trial {main} in blue</text>')
    return _file(_WIDTH, _HEIGHT, "".join(parts))


def matrix_svg(evaluation: Evaluation, title: str = "") -> str:
    """Return the confusion matrix as SVG; rows are true classes, columns predicted ones. `title` says of what."""
    counts = evaluation.matrix().tolist()
    names = [_escape(name if len(name) <= 20 else f"{name[:19]}…") for name in evaluation.classes]
    side = _LABEL + _CELL * len(names)
    said = (
        f"{title}: predicted class; rows are true classes"
        if title
        else "predicted class; rows are true classes"
    )
    parts = [f'<text x="20" y="14">{_escape(said)}</text>']
    for j, name in enumerate(names):
        parts.append(
            f'<text x="{_LABEL + _CELL * (j + 0.5):g}" y="{_EDGE}" text-anchor="middle">{j + 1}'
            f"<title>{name}</title></text>"
        )
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        y, total = _EDGE + 8 + _CELL * i, max(1, sum(row))
        parts.append(f'<text x="{_LABEL - 6}" y="{y + 21}" text-anchor="end">{i + 1} {name}</text>')
        for j, count in enumerate(row):
            x, colour = _LABEL + _CELL * j, "#2563eb" if i == j else "#c83c00"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}" stroke="#ddd" '
                f'fill-opacity="{0.8 * count / total:.2f}"/>'
            )
            if count:
                parts.append(f'<text x="{x + _CELL / 2:g}" y="{y + 21}" text-anchor="middle">{count}</text>')
    return _file(max(side, 7 * len(said)) + _EDGE, side - _LABEL + 2 * _EDGE, "".join(parts))


def _axes(low: float, high: float, last: int, metric: str) -> str:
    bottom, middle = _HEIGHT - _EDGE, _HEIGHT / 2
    lines = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _EDGE}" y1="{y:g}" y2="{y:g}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{value:.3g}</text>'
        for y, value in ((_EDGE, high), (middle, (low + high) / 2), (bottom, low))
    )
    return (
        f'{lines}<text x="{_LEFT}" y="22">val {_escape(metric)}</text>'
        f'<text x="{_LEFT}" y="{bottom + 18}">0</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{bottom + 18}" text-anchor="end">round {last}</text>'
    )


def _file(width: int, height: int, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'{_STYLE}<rect class="page" width="{width}" height="{height}"/>{content}</svg>'
    )


def _escape(text: str) -> str:
    return html.escape(printable(short_words(text)))
