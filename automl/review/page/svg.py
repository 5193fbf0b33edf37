"""Charts as inline SVG: scales, axes and the frame around them, without scripts and without anything from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from automl.terminal.printable import printable, short

SVG = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="{}">{}</svg>')
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Maps `low`..`high` to pixels `begin`..`end`, linearly or, with `log`, by orders of magnitude."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value, within the ends. An empty range is mapped to its middle."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        share = 0.5 if high == low else min(1.0, max(0.0, (at - low) / (high - low)))
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values within the range, about `most` of them."""
        if self.high <= self.low:
            return [self.low]
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, math.ceil((last - first + 1) / most))
            return [10.0**power for power in range(first, last + 1, step)] or [self.low, self.high]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        apart = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
        begin = math.ceil(self.low / apart - 1e-9)
        return [round(k * apart, 12) for k in range(begin, math.floor(self.high / apart + 1e-9) + 1)]


@dataclass(frozen=True)
class Frame:
    """A plot of `width` x `height` pixels whose axes are `x` and `y`, with their names."""

    width: int
    height: int
    x: Scale
    y: Scale
    across: str = ""
    up: str = ""
    x_labels: Sequence[tuple[float, str]] = field(default=())
    y_labels: Sequence[tuple[float, str]] = field(default=())

    def draw(self, content: str, *, label: str, kind: str = "chart") -> Markup:
        """Return the SVG with axes and `content`, which is markup. `label` says to a screen reader what it shows."""
        left, right = sorted((self.x.begin, self.x.end))
        top, bottom = sorted((self.y.begin, self.y.end))
        across = self.x_labels or [(tick, tick_words(tick)) for tick in self.x.ticks()]
        up = self.y_labels or [(tick, tick_words(tick)) for tick in self.y.ticks()]
        axes = [rect(left, top, right - left, bottom - top, "frame")]
        axes += [line(self.x(tick), top, self.x(tick), bottom, "grid") for tick, _ in across]
        axes += [line(left, self.y(tick), right, self.y(tick), "grid") for tick, _ in up]
        axes += [text(self.x(tick), bottom + 16, words, "middle") for tick, words in across]
        axes += [text(left - 6, self.y(tick) + 4, words, "end") for tick, words in up]
        axes.append(text((left + right) / 2, bottom + 34, self.across, "middle", "name"))
        axes.append(text(left, top - 8, self.up, "start", "name"))
        return SVG.format(self.width, self.height, label, kind, Markup("".join(axes) + content))


def frame(
    across: str,
    up: str,
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    size: tuple[int, int] = (640, 300),
    log: tuple[bool, bool] = (False, False),
    left: int = 62,
) -> Frame:
    """Return a frame of `size` pixels around the ranges `x` and `y`."""
    width, height = size
    return Frame(
        width,
        height,
        Scale(*x, left, width - 16, log[0]),
        Scale(*y, height - 46, 26, log[1]),
        across,
        up,
    )


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Return the range of some values with a margin; equal values have one on both sides, too."""
    low, high = min(values), max(values)
    margin = share * (high - low) or share * abs(high) or share
    return low - margin, high + margin


def tick_words(value: float) -> str:
    """Return a short form of a number at an axis: `0.25`, `1,500`, `1e-05`."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Return a text of an SVG, escaped."""
    shown = escape(printable(short(words)))
    return f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" class="{kind}">{shown}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a line of an SVG."""
    ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
    return f'<line {ends} class="{kind}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    """Return a rectangle of an SVG; `title` appears when a mouse points at it."""
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
    return (
        f'<rect {place} class="{kind}">{_title(title)}</rect>' if title else f'<rect {place} class="{kind}"/>'
    )


def dot(x: float, y: float, kind: str, title: str = "", radius: float = 4.0) -> str:
    """Return a dot of an SVG."""
    return (
        f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{radius:g}" class="{kind}">{_title(title)}</circle>'
    )


def path(points: Sequence[tuple[float, float]], kind: str, title: str = "") -> str:
    """Return a line through points in pixels."""
    places = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return f'<polyline points="{places}" class="{kind}">{_title(title)}</polyline>'


def steps(points: Sequence[tuple[float, float]], until: float) -> list[tuple[float, float]]:
    """Return the corners of a curve that keeps each value until the next one, and the last one `until` the end."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return [*found, (max(until, found[-1][0]), found[-1][1])] if found else []


def _title(title: str) -> str:
    return f"<title>{escape(printable(short(title)))}</title>" if title else ""


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
