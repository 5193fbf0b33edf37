"""Reasons: why something happened to a trial or a search, as a code with data. Its sentence is made when shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from automl.documents.json_file import parse_json

Value = str | int | float

_encode = json.JSONEncoder(separators=(",", ":")).encode
_RANK = "rank {rank} of {trials} at round {round}"
_MEDIAN = "the median of {trials} complete trials at round {round}"


class Code(StrEnum):
    """All reasons, each with its sentence. The values are stored in databases: they never change."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Code:
        """Make a member whose value is the text alone."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.sentence = sentence
        return code

    # A search begins or ends.
    SEARCH_BEGAN = "search_began", "a search began; trials so far: {trials}"
    JUDGED_BY = "judged_by", "scores of {rows} rows, compared with the trivial answer's, {trivial:.4g}"
    REOPENED = "reopened", "trials that an earlier search left unfinished may go on (trial@round): {trials}"
    SEARCH_DIED = "search_died", "interrupted: the search died while the trial ran"
    SEARCH_BROKE = "search_broke", "the search broke: {error}"
    SEARCH_FAILED = "search_failed", "the search ended early: {error}"
    INTERRUPTED = "interrupted", "interrupted by Ctrl-C"
    DISK_FULL = "disk_full", "the disk is full, and no more checkpoints can be removed"
    TIME_IS_UP = "time_is_up", "time is up"
    # What a free worker does.
    WORKER_FREE = "worker_free", "a worker is free"
    WORKERS_BUSY = "workers_busy", "all workers are busy"
    NOTHING_YET = "nothing_yet", "no trial may start and none can be promoted yet"
    NOTHING_LEFT = "nothing_left", "no trial may start and none can be promoted"
    WAS_CUT = "was_cut", "goes on: the time was up after round {round}"
    AFTER_INTERRUPTION = "after_interruption", "interrupted after round {round}"
    PROMOTED = "promoted", f"promoted: {_RANK}"
    UNBEATEN = "unbeaten", f"promoted: {_RANK}, and no trial may start any more"
    LAST_RESORT = "last_resort", f"promoted because no trial is complete yet: {_RANK}"
    LOST = "lost", "its process was lost: it runs once more"
    REFERENCE = "reference", "the portfolio's first trial runs to full length, as a reference for the others"
    FINISH_IN_TIME = "finish_in_time", "the best trial that the time left can finish runs to full length"
    # Notes of a start.
    RUNG_MOVED_DOWN = (
        "rung_moved_down",
        "it is first compared at round {first}: round {early} ranks {trials} trials as round {late} does "
        "(Spearman {spearman:.2f})",
    )
    RUNG_MOVED_UP = (
        "rung_moved_up",
        "it is first compared at round {first}: round {early} says nothing about round {late} "
        "(Spearman at most {spearman:.2f} over {trials} trials)",
    )
    RUNG_AT_CHANCE = (
        "rung_at_chance",
        "it is first compared at round {first}: at round {round} only {moved} of {trials} trials are better than the "
        "trivial answer by more than chance",
    )
    PREFETCHED = "prefetched", "prefetched, {reports} reports ago"
    LEFT_OUT = (
        "left_out",
        "left out: {model} needs {needed:.3g} s to its first comparison, and {left:.3g} s are left "
        "({others} more left out)",
    )
    # A policy's answer to a report.
    FULL_LENGTH = "full_length", "reached the full length"
    NEVER_STOPPED = "never_stopped", "runs to the full length"
    BETWEEN_RUNGS = "between_rungs", "between rungs"
    BEFORE_FIRST_RUNG = "before_first_rung", "first compared at round {first}"
    PROMOTED_BEFORE = "promoted_before", f"{_RANK}: promoted before"
    PROMOTED_AT_ONCE = "promoted_at_once", f"{_RANK}: promoted at once"
    PAUSED_AT_RUNG = "paused_at_rung", _RANK
    NOT_MOVED = (
        "not_moved",
        "{score:.4g} is not yet better than the trivial answer, {trivial:.4g}, by more than chance: not compared",
    )
    WAITS_TO_MOVE = (
        "waits_to_move",
        "{score:.4g} is not yet better than the trivial answer, {trivial:.4g}, by more than chance: waits",
    )
    GOES_ON_TO_MOVE = (
        "goes_on_to_move",
        "not compared at round {round}, since it was not better than the trivial answer by more than chance",
    )
    AMONG_BEST = "among_best", f"{_RANK}: continues"
    NOT_AMONG_BEST = "not_among_best", f"{_RANK}: stopped"
    TOO_EARLY = "too_early", "too early to compare"
    WORSE_THAN_MEDIAN = "worse_than_median", f"worse than {_MEDIAN}"
    NOT_WORSE_THAN_MEDIAN = "not_worse_than_median", f"not worse than {_MEDIAN}"
    VALUE_NOT_FINITE = "value_not_finite", "its value was {value}"
    PRUNER_STOPPED = "pruner_stopped", "stopped by {pruner}"
    PRUNER_IN_DOUBT = (
        "pruner_in_doubt",
        "{pruner} would stop it, but not if its values were better by their standard error, {noise:.2g}: continues",
    )
    PRUNER_WENT_ON = "pruner_went_on", "not stopped by {pruner}"
    # How a trial ends without its policy.
    ENDED_BY_ITSELF = "ended_by_itself", "the objective ended by itself"
    OBJECTIVE_PRUNED = "objective_pruned", "the objective raised TrialPruned"
    OBJECTIVE_SAID = "objective_said", "{text}"
    NEVER_PROMOTED = "never_promoted", "paused to the end: never promoted"
    BEATEN = "beaten", f"{_RANK}: {{better}} did better, trial {{best}} most"
    NO_ROUND = "no_round", "the objective ended before its first round"
    NO_VALUE = "no_value", "{metric} was {value} at the last round, {round}"
    CRASHED = "crashed", "{cause}"
    HUNG = "hung", "hung: no report for {seconds:.0f} s"
    TRIED_AGAIN = "tried_again", "runs once more from round {round}: {cause}"
    LEGACY = "legacy", "{text}"  # a sentence of a database of version 1


@dataclass(frozen=True)
class Reason:
    """A code and its numbers or names. `notes` are further reasons that hold beside it.

    >>> str(Reason(Code.PAUSED_AT_RUNG, {"rank": 2, "trials": 3, "round": 9}))
    'rank 2 of 3 at round 9'
    """

    code: Code
    data: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        """Return the sentence, without a capital or a full stop."""
        return "; ".join((self.code.sentence.format_map(self.data), *map(str, self.notes)))

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.data.items())), self.notes))

    def with_notes(self, *notes: Reason) -> Reason:
        """Return the same reason with further notes."""
        return Reason(self.code, self.data, (*self.notes, *notes))

    def to_json(self) -> str:
        """Return code, data and notes as JSON text, as the log stores them."""
        return _encode(_plain(self))

    @staticmethod
    def from_json(text: str) -> Reason:
        """Return the reason that `to_json` wrote. Any other text, such as a sentence of version 1, becomes LEGACY."""
        return _read(text)


@lru_cache(maxsize=4096)  # most trials of a large study ended for the same few reasons
def _read(text: str) -> Reason:
    try:
        return _from_plain(parse_json(text))
    except (ValueError, TypeError, KeyError):
        return Reason(Code.LEGACY, {"text": text})


def crashed(cause: str) -> Reason:
    """Return the reason of a trial that raised an error or lost its process. `cause` is one line."""
    return Reason(Code.CRASHED, {"cause": cause})


def in_words(rounds: Mapping[int, int]) -> str:
    """Return trials with their rounds as a text that `in_numbers` reads.

    >>> in_words({3: 9, 5: 2})
    '3@9 5@2'
    """
    return " ".join(f"{trial}@{round}" for trial, round in rounds.items())


def in_numbers(text: str) -> dict[int, int]:
    """Return the trials with their rounds that `in_words` wrote.

    >>> in_numbers("3@9 5@2")
    {3: 9, 5: 2}
    """
    pairs = (part.split("@") for part in text.split())
    return {int(trial): int(round) for trial, round in pairs}


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
