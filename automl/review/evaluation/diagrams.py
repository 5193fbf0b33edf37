"""Diagrams of an evaluation as inline SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from automl.final.evaluation.record import ReliabilityBin, RiskPoint

_SIDE, _EDGE = 260, 42  # pixels of the plot and of the margin for its labels
_TICKS = (0.0, 0.5, 1.0)


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> str:
    """Return confidence against the share that is right. On the diagonal, probabilities mean what they say."""
    largest = max(each.n for each in bins)
    dots = "".join(
        f'<circle cx="{_x(each.confidence)}" cy="{_y(each.right)}" r="{3 + 5 * (each.n / largest) ** 0.5:.1f}">'
        f"<title>{each.n:,} answers: confidence {each.confidence:.3f}, right {each.right:.3f}</title></circle>"
        for each in bins
    )
    line = f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>'
    return _plot("mean confidence", "share that is right", line + dots)


def risk_diagram(points: Sequence[RiskPoint]) -> str:
    """Return the share of the images that is answered against the share of wrong answers among them."""
    worst = max(0.05, *(point.risk for point in points))
    path = " ".join(f"{_x(point.coverage)},{_y(point.risk / worst)}" for point in points)
    dots = "".join(
        f'<circle cx="{_x(point.coverage)}" cy="{_y(point.risk / worst)}" r="3"><title>from confidence '
        f"{point.confidence:.3f} on: {point.coverage:.1%} answered, {point.risk:.2%} of them wrongly</title></circle>"
        for point in points
    )
    return _plot("share answered", "share wrong", f'<polyline points="{path}"/>{dots}', top=worst)


def _plot(across: str, up: str, content: str, *, top: float = 1.0) -> str:
    whole, end = _SIDE + 2 * _EDGE, _EDGE + _SIDE
    ticks = "".join(
        f'<text x="{_x(tick)}" y="{end + 15}" text-anchor="middle">{tick:g}</text>'
        f'<text x="{_EDGE - 5}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick * top:.2g}</text>'
        for tick in _TICKS
    )
    return (
        f'<svg viewBox="0 0 {whole} {whole}" width="{whole}" height="{whole}" role="img" aria-label="{up} by {across}">'
        f'<rect x="{_EDGE}" y="{_EDGE}" width="{_SIDE}" height="{_SIDE}"/>{ticks}'
        f'<text x="{whole / 2}" y="{end + 30}" text-anchor="middle">{across}</text>'
        f'<text x="{_EDGE}" y="{_EDGE - 10}">{up}</text>{content}</svg>'
    )


def _x(share: float) -> float:
    return round(_EDGE + share * _SIDE, 1)


def _y(share: float) -> float:
    return round(_EDGE + (1.0 - share) * _SIDE, 1)
