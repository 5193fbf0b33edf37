"""Who ran when: a lane for each worker, a bar for each stretch of a trial, coloured by how the stretch ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from automl.config.durations import format_duration
from automl.data.sources.base import counted
from automl.records import TrialState
from automl.review.page.svg import Frame, Scale, rect, text
from automl.review.report.history import History, Stretch
from automl.search.policy.base import Action, NextKind
from automl.search.storage.event_log import Event

MOST_LANES, MOST_BARS = 24, 4_000
LANE, TOP, BOTTOM, LEFT, WIDTH = 22, 26, 46, 120, 900
_ENDS = (Action.PAUSE, Action.STOP)


@dataclass(frozen=True)
class Bar:
    """A stretch with the state it ended in, and how it began and ended in words."""

    stretch: Stretch
    state: str
    words: str


def bars(history: History) -> list[Bar]:
    """Return the stretches of all trials in the order in which they began."""
    by_trial: dict[int, list[Event]] = defaultdict(list)
    for event in history.events:
        by_trial[event.trial].append(event)
    return [_bar(stretch, by_trial[stretch.trial]) for stretch in history.stretches[:MOST_BARS]]


def _bar(stretch: Stretch, events: Sequence[Event]) -> Bar:
    later = [event for event in events if event.time >= stretch.started - 1e-6]
    began = next((one for one in later if one.action in (NextKind.START, NextKind.RESUME)), None)
    ended = next((one for one in later if one.action in _ENDS), None)
    if ended is not None:
        state, why = ended.state, str(ended.reason)
    elif stretch.ended is None:
        state, why = str(TrialState.RUNNING), ""
    else:
        state, why = str(TrialState.UNFINISHED), "the search ended"
    until = "now" if stretch.ended is None else format_duration(round(stretch.ended, 1))
    words = f"trial {stretch.trial}, {format_duration(round(stretch.started, 1))} to {until}"
    if began is not None and began.action == NextKind.RESUME:
        words += f", resumed ({began.reason})"
    return Bar(stretch, state, f"{words}: {state}" + (f", {why}" if why else ""))


def timeline(history: History) -> Markup:
    """Return the chart of who ran when."""
    shown, lanes = bars(history), history.workers[:MOST_LANES]
    end = history.ended
    if not shown or not lanes or end <= 0.0:
        return Markup("")
    height = TOP + LANE * len(lanes) + BOTTOM
    x = Scale(0.0, end, LEFT, WIDTH - 16)
    y = Scale(0.0, float(len(lanes)), TOP, height - BOTTOM)
    content = []
    for bar in shown:
        if bar.stretch.worker not in lanes:
            continue
        lane, begin = lanes.index(bar.stretch.worker), x(bar.stretch.started)
        width = max(1.5, x(end if bar.stretch.ended is None else bar.stretch.ended) - begin - 0.5)
        content.append(rect(begin, y(lane) + 3, width, LANE - 6, bar.state, bar.words))
        if width > 18:
            content.append(text(begin + 3, y(lane) + 15, str(bar.stretch.trial), "start", "small on"))
    names = [(lane + 0.5, name.rpartition(", ")[2] or name) for lane, name in enumerate(lanes)]
    plot = Frame(WIDTH, height, x, y, "seconds since the search began", "", (), names)
    stretches = "1 stretch of a trial" if len(shown) == 1 else f"{len(shown):,} stretches of trials"
    return plot.draw(
        "".join(content),
        kind="chart wide",
        label=f"Timeline: {stretches} on {counted(len(lanes), 'worker')} over time",
    )
