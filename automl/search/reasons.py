"""Why something happened to a trial or to a search: a code with its numbers. The sentence is made where it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

Value = str | int | float

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Code(StrEnum):
    """The reasons that there are. The values are stored in databases: they never change."""

    # A search begins or ends.
    SEARCH_BEGAN = "search_began"
    SEARCH_DIED = "search_died"
    SEARCH_BROKE = "search_broke"
    SEARCH_FAILED = "search_failed"
    INTERRUPTED = "interrupted"
    DISK_FULL = "disk_full"
    TIME_IS_UP = "time_is_up"
    # What a free worker does.
    WORKER_FREE = "worker_free"
    WORKERS_BUSY = "workers_busy"
    NOTHING_YET = "nothing_yet"
    NOTHING_LEFT = "nothing_left"
    AFTER_INTERRUPTION = "after_interruption"
    PROMOTED = "promoted"
    LAST_RESORT = "last_resort"
    LOST = "lost"
    YARDSTICK = "yardstick"
    LAST_CALL = "last_call"
    # Notes of a start.
    RUNG_MOVED_DOWN = "rung_moved_down"
    RUNG_MOVED_UP = "rung_moved_up"
    ASKED_AHEAD = "asked_ahead"
    PASSED_OVER = "passed_over"
    # What a policy says to a report.
    FULL_LENGTH = "full_length"
    NEVER_STOPPED = "never_stopped"
    BETWEEN_RUNGS = "between_rungs"
    BEFORE_FIRST_RUNG = "before_first_rung"
    PROMOTED_BEFORE = "promoted_before"
    PROMOTED_AT_ONCE = "promoted_at_once"
    PAUSED_AT_RUNG = "paused_at_rung"
    AMONG_BEST = "among_best"
    NOT_AMONG_BEST = "not_among_best"
    TOO_EARLY = "too_early"
    WORSE_THAN_MEDIAN = "worse_than_median"
    NOT_WORSE_THAN_MEDIAN = "not_worse_than_median"
    VALUE_NOT_FINITE = "value_not_finite"
    PRUNER_STOPPED = "pruner_stopped"
    PRUNER_WENT_ON = "pruner_went_on"
    # How a trial ends without its policy.
    ENDED_BY_ITSELF = "ended_by_itself"
    OBJECTIVE_SAID = "objective_said"
    NEVER_PROMOTED = "never_promoted"
    NO_ROUND = "no_round"
    NO_VALUE = "no_value"
    CRASHED = "crashed"
    HUNG = "hung"
    TRIED_AGAIN = "tried_again"
    # A sentence of a database of version 1.
    LEGACY = "legacy"


@dataclass(frozen=True)
class Reason:
    """A code and the numbers or names that go with it; `notes` are further reasons that hold beside it.

    >>> str(Reason(Code.PAUSED_AT_RUNG, {"rank": 2, "trials": 3, "round": 9}))
    'rank 2 of 3 at round 9'
    """

    code: Code
    data: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        """The sentence, without a capital or a full stop."""
        template = _SENTENCES[self.code]
        own = template.format_map(self.data) if isinstance(template, str) else template(self.data)
        return "; ".join((own, *map(str, self.notes)))

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.data.items())), self.notes))

    def with_notes(self, *notes: Reason) -> Reason:
        """The same with further notes."""
        return Reason(self.code, self.data, (*self.notes, *notes))

    def to_json(self) -> str:
        """Code, data and notes as JSON text, as the log keeps them."""
        return _encode(_plain(self))

    @staticmethod
    def from_json(text: str) -> Reason:
        """The reason that `to_json` wrote. Any other text, such as a sentence of version 1, is kept as LEGACY."""
        return _read(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> Reason:
    """Cached: most trials of a large study ended for the same few reasons."""
    try:
        return _from_plain(json.loads(text))
    except (ValueError, TypeError, KeyError):
        return Reason(Code.LEGACY, {"text": text})


def crashed(cause: str) -> Reason:
    """A trial raised an error or lost its process; `cause` is one line."""
    return Reason(Code.CRASHED, {"cause": cause})


def _plain(reason: Reason) -> dict[str, Any]:
    found: dict[str, Any] = {"code": reason.code.value}
    if reason.data:
        found["data"] = dict(reason.data)
    if reason.notes:
        found["notes"] = [_plain(note) for note in reason.notes]
    return found


def _from_plain(found: Mapping[str, Any]) -> Reason:
    code = Code(found["code"])
    notes = tuple(_from_plain(note) for note in found.get("notes", ()))
    return Reason(code, found.get("data", {}), notes)


def _asked_ahead(data: Mapping[str, Value]) -> str:
    return f"asked ahead, {data['reports']} reports before" if data["reports"] else "asked ahead"


def _passed_over(data: Mapping[str, Value]) -> str:
    first = (
        "passed over: {model} would take {needed:.3g} s to its first comparison, {left:.3g} s are left"
    ).format_map(data)
    return f"{first} (and {data['others']} more)" if data["others"] else first


_RANK = "rank {rank} of {trials} at round {round}"
_MEDIAN = "the median of {trials} complete trials at round {round}"

_SENTENCES: dict[Code, str | Callable[[Mapping[str, Value]], str]] = {
    Code.SEARCH_BEGAN: "a search began, with {trials} trials",
    Code.SEARCH_DIED: "interrupted: the search stopped while it ran",
    Code.SEARCH_BROKE: "the search broke: {error}",
    Code.SEARCH_FAILED: "the search ended early: {error}",
    Code.INTERRUPTED: "interrupted by Ctrl-C",
    Code.DISK_FULL: "the disk is full, and there are no more checkpoints that could go",
    Code.TIME_IS_UP: "time is up",
    Code.WORKER_FREE: "a worker is free",
    Code.WORKERS_BUSY: "all workers are busy",
    Code.NOTHING_YET: "no trial may start and none can be promoted yet",
    Code.NOTHING_LEFT: "no trial may start and none can be promoted",
    Code.AFTER_INTERRUPTION: "interrupted after round {round}",
    Code.PROMOTED: f"promoted: {_RANK}",
    Code.LAST_RESORT: f"promoted because no trial is complete yet: {_RANK}",
    Code.LOST: "its process was lost: it is tried once more",
    Code.YARDSTICK: "the first of the portfolio is carried to its end, for the others to be measured by",
    Code.LAST_CALL: "the best that can be finished is carried to its end before the time is up",
    Code.RUNG_MOVED_DOWN: "it is first compared at round {first}: round {early} ranks {trials} trials as round {late} "
    "does (Spearman {spearman:.2f})",
    Code.RUNG_MOVED_UP: "it is first compared at round {first}: round {early} says nothing about round {late} "
    "(Spearman at most {spearman:.2f} over {trials} trials)",
    Code.ASKED_AHEAD: _asked_ahead,
    Code.PASSED_OVER: _passed_over,
    Code.FULL_LENGTH: "reached the full length of {rounds} rounds",
    Code.NEVER_STOPPED: "runs to the full length",
    Code.BETWEEN_RUNGS: "between rungs",
    Code.BEFORE_FIRST_RUNG: "first compared at round {first}",
    Code.PROMOTED_BEFORE: f"{_RANK}: promoted before",
    Code.PROMOTED_AT_ONCE: f"{_RANK}: promoted at once",
    Code.PAUSED_AT_RUNG: _RANK,
    Code.AMONG_BEST: f"{_RANK}: goes on",
    Code.NOT_AMONG_BEST: f"{_RANK}: stopped",
    Code.TOO_EARLY: "too early to compare",
    Code.WORSE_THAN_MEDIAN: f"worse than {_MEDIAN}",
    Code.NOT_WORSE_THAN_MEDIAN: f"not worse than {_MEDIAN}",
    Code.VALUE_NOT_FINITE: "its value was {value}",
    Code.PRUNER_STOPPED: "stopped by {pruner}",
    Code.PRUNER_WENT_ON: "not stopped by {pruner}",
    Code.ENDED_BY_ITSELF: "the objective ended by itself",
    Code.OBJECTIVE_SAID: "{text}",
    Code.NEVER_PROMOTED: "paused to the end: never promoted",
    Code.NO_ROUND: "the objective ended before its first round",
    Code.NO_VALUE: "{metric} was {value} at the last round, {round}",
    Code.CRASHED: "{cause}",
    Code.HUNG: "hung: no report for {seconds:.0f} s",
    Code.TRIED_AGAIN: "tried once more from round {round}: {cause}",
    Code.LEGACY: "{text}",
}
