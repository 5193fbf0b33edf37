"""Diagrams of an evaluation as inline SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from automl.final.evaluation.record import ReliabilityBin, RiskPoint
from automl.review.page.svg import Frame, Scale, dot, line, path, tick_words

_SIDE, _EDGE = 260, 42  # pixels of the plot and of the margin for its labels
_SHARES = [(tick, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)]


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> Markup:
    """Return confidence against the share that is right. On the diagonal, probabilities mean what they say."""
    plot = _square("mean confidence", "share that is right")
    largest = max(each.n for each in bins)
    content = line(plot.x(0), plot.y(0), plot.x(1), plot.y(1), "ideal")
    content += "".join(
        dot(
            plot.x(each.confidence),
            plot.y(each.right),
            "",
            f"{each.n:,} answers: confidence {each.confidence:.3f}, right {each.right:.3f}",
            3 + 5 * (each.n / largest) ** 0.5,
        )
        for each in bins
    )
    return plot.draw(content, label="share that is right by mean confidence", kind="square")


def risk_diagram(points: Sequence[RiskPoint]) -> Markup:
    """Return the share of the images that is answered against the share of wrong answers among them."""
    plot = _square("share answered", "share wrong", top=max(0.05, *(point.risk for point in points)))
    places = [(plot.x(point.coverage), plot.y(point.risk)) for point in points]
    content = path(places, "") + "".join(
        dot(
            x,
            y,
            "",
            f"from confidence {point.confidence:.3f} on: {point.coverage:.1%} answered, "
            f"{point.risk:.2%} of them wrongly",
            3,
        )
        for (x, y), point in zip(places, points, strict=True)
    )
    return plot.draw(content, label="share wrong by share answered", kind="square")


def _square(across: str, up: str, *, top: float = 1.0) -> Frame:
    """Return a frame for shares across, and from 0 to `top` up."""
    whole = _SIDE + 2 * _EDGE
    x, y = Scale(0.0, 1.0, _EDGE, _EDGE + _SIDE), Scale(0.0, top, _EDGE + _SIDE, _EDGE)
    ups = [(tick, tick_words(tick)) for tick in y.ticks(4)]
    return Frame(whole, whole, x, y, across, up, _SHARES, ups)
