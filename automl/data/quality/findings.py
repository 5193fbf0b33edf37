"""What a person should know about a data set before believing a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import counted
from automl.records import Task

# Largest class to smallest from which accuracy says little about the small ones.
SKEWED = 5.0
# Rows of a class or label below which no part has enough of them.
_FEW = 10
_NAMED = 2
_WAYS = {
    **dict.fromkeys(("RGBA", "RGBa", "LA", "La", "PA"), "put on white where they are transparent"),
    **dict.fromkeys(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"), "scaled to 256 levels"),
    "P": "by their palette",
    "1": "as black and white",
}


@dataclass(frozen=True)
class Looked:
    """The rows that are looked at. `pictures` numbers byte-equal copies alike, `clusters` also nearly equal ones."""

    files: Sequence[str]
    labels: Sequence[str]
    given: Sequence[str]
    pictures: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found: `kind`, a headline, how often, and the files, those of one case together.

    Kinds: copies, near_copies, two_labels, leak, small_class, skew, modes, too_alike.
    """

    kind: str
    headline: str
    count: int
    files: tuple[tuple[str, ...], ...] = ()

    @property
    def message(self) -> str:
        """The headline and the first files."""
        if not self.files:
            return self.headline
        shown = "; ".join(" = ".join(case[:_NAMED]) for case in self.files[:_NAMED])
        more = f" and {len(self.files) - _NAMED} more" if len(self.files) > _NAMED else ""
        return f"{self.headline}: {shown}{more}."


def inspect_rows(
    looked: Looked, task: Task, counts: Mapping[str, int], *, telling: bool
) -> tuple[Finding, ...]:
    """All findings about usable rows; `counts` are rows of each class or label (empty for a regression)."""
    equal = _cases(looked.pictures)
    alike = _cases(looked.clusters)
    near = [rows for rows in alike if len({looked.pictures[i] for i in rows}) > 1]
    leaking = [rows for rows in alike if len({looked.given[i] for i in rows} - {""}) > 1]
    differ = [rows for rows in alike if len({looked.labels[i] for i in rows}) > 1]
    findings = [
        _finding(looked, "copies", equal, "of byte-equal images; their rows stay in one part"),
        _finding(looked, "near_copies", near, "of nearly equal images; their rows stay in one part"),
        _finding(looked, "leak", leaking, "of equal or nearly equal images across the given splits"),
    ]
    if task != "regression":
        findings.append(
            _finding(looked, "two_labels", differ, "of equal or nearly equal images with different labels")
        )
    if not telling:
        findings.append(
            Finding("too_alike", "So many images look alike that nearly equal ones were not looked for.", 1)
        )
    return tuple(finding for finding in [*findings, *_class_findings(counts, task)] if finding is not None)


def mode_finding(modes: Mapping[str, int]) -> Finding | None:
    """How pictures that are neither plain grey nor plain RGB are read, if there are any."""
    odd = {mode: n for mode, n in modes.items() if mode not in ("RGB", "L")}
    if not odd:
        return None
    ways = ", ".join(f"{mode} ({n:,}) {_WAYS.get(mode, 'converted to RGB')}" for mode, n in odd.items())
    return Finding("modes", f"Odd pixels, each read in its way: {ways}.", sum(odd.values()))


def imbalance(counts: Mapping[str, int]) -> float:
    """Rows of the largest class over those of the smallest that has any; 1 for none."""
    present = [n for n in counts.values() if n > 0]
    return max(present) / min(present) if present else 1.0


def _cases(found: npt.NDArray[np.int64]) -> list[list[int]]:
    """Rows that share a number, where there are two or more."""
    values, counts = np.unique(found, return_counts=True)
    rows: dict[int, list[int]] = {}
    shared = np.flatnonzero(np.isin(found, values[counts > 1]))
    for row, number in zip(shared.tolist(), found[shared].tolist(), strict=True):
        rows.setdefault(number, []).append(row)
    return list(rows.values())


def _finding(looked: Looked, kind: str, cases: list[list[int]], text: str) -> Finding | None:
    if not cases:
        return None
    files = tuple(tuple(looked.files[i] for i in rows) for rows in cases)
    return Finding(kind, f"{counted(len(cases), 'group')} {text}", len(cases), files)


def _class_findings(counts: Mapping[str, int], task: Task) -> list[Finding]:
    findings = []
    noun = "class" if task == "classification" else "label"
    few = [name for name, n in counts.items() if n < _FEW]
    if few:
        shown = ", ".join(f"{name} ({counts[name]})" for name in few[:_NAMED])
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        text = f"Too few images (under {_FEW}) of a {noun} to say how well it is told: {shown}{more}."
        findings.append(Finding("small_class", text, len(few)))
    if imbalance(counts) >= SKEWED:
        ranked = Counter(counts).most_common()
        large, small = ranked[0], next(pair for pair in reversed(ranked) if pair[1] > 0)
        text = f"Skewed: {large[0]} has {large[1]:,} images, {small[0]} {small[1]:,} ({imbalance(counts):.0f}:1)."
        findings.append(Finding("skew", text, 1))
    return findings
