"""Charts of how good a model is: its score beside the trivial answer's, and the answers of a regression."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from automl.data.sources.base import counted
from automl.review.describe import score
from automl.review.page.svg import SVG, Frame, Scale, dot, line, padded, text, tick_words

WIDTH, HEIGHT, EDGE, LINE = 420, 112, 20, 40
MOST_DOTS = 1_500


def score_bar(
    value: float, low: float, high: float, *, val: float | None, trivial: float | None, val_of: str = ""
) -> Markup:
    """Return the holdout score with its interval, the validation score and the trivial answer on one line.

    `val_of` says what has the validation score: the delivered model may be another.
    """
    known = [v for v in (value, low, high, val, trivial) if v is not None and math.isfinite(v)]
    scale = Scale(*padded(known, 0.08), EDGE, WIDTH - EDGE)
    content = line(scale(scale.low), LINE, scale(scale.high), LINE, "grid")
    if math.isfinite(low) and math.isfinite(high):
        content += line(scale(low), LINE, scale(high), LINE, "held")
    content += dot(scale(value), LINE, "", f"holdout {score(value)}", 7)
    content += text(scale(value), LINE - 16, f"holdout {score(value)}", _anchor(scale(value)))
    # Each label has a height of its own, so that equal scores do not hide each other.
    for known_score, kind, name, y in (
        (trivial, "trivial", "trivial answer", LINE + 30),
        (val, "ideal", f"{val_of}, validation" if val_of else "validation", LINE + 52),
    ):
        if known_score is not None and math.isfinite(known_score):
            x = scale(known_score)
            content += line(x, LINE - 10, x, y - 12, kind) + text(
                x, y, f"{name} {score(known_score)}", _anchor(x)
            )
    label = f"Holdout {score(value)}, 95 % interval {score(low)} to {score(high)}"
    return SVG.format(WIDTH, HEIGHT, label, "bar", Markup(content))


def _anchor(x: float) -> str:
    return "start" if x < 120 else "end" if x > WIDTH - 120 else "middle"


def true_and_predicted(pairs: Sequence[tuple[float, float]], name: str) -> Markup:
    """Return the true values of a regression against the predicted ones; on the diagonal, they are equal."""
    known = [pair for pair in pairs if all(map(math.isfinite, pair))]
    if not known:
        return Markup("")
    shown = known[:: max(1, math.ceil(len(known) / MOST_DOTS))]
    low, high = padded([value for pair in shown for value in pair])
    side, edge = 260, 52
    scale_x, scale_y = Scale(low, high, edge, edge + side), Scale(low, high, edge + side - 20, 30)
    plot = Frame(edge + side + 16, edge + side + 30, scale_x, scale_y, f"true {name}", f"predicted {name}")
    content = line(scale_x(low), scale_y(low), scale_x(high), scale_y(high), "ideal")
    content += "".join(
        dot(scale_x(true), scale_y(said), "thin", f"true {tick_words(true)}, predicted {tick_words(said)}", 3)
        for true, said in shown
    )
    return plot.draw(
        content, label=f"True and predicted values of {name}, {counted(len(known), 'image')}", kind="square"
    )
