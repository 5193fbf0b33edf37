"""Find properties of a data set that affect how far a score can be trusted."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.constants import SKEWED
from automl.data.decoding.pixel_range import PixelRange
from automl.data.pixels import is_deep_mode
from automl.data.sources.base import counted
from automl.data.splits import HOLDOUT, TRAIN
from automl.records import Task
from automl.terminal.printable import short

# A class or label with fewer rows is too small for any part.
_FEW = 10
_LEAK = "of equal or nearly equal images across the given splits"
_STAY = "their rows stay in one part"
_NAMED = 2
_GROUPS = 5
# Spaces, punctuation, and characters without a width.
_NO_SIGNS = re.compile(
    "[\\s_.,;:'\"`\u00b4\u2018\u2019\u201c\u201d\u2010-\u2015\u00ad\u200b-\u200f\u2060\ufeff-]+"
)
# Greek and Cyrillic letters that look like Latin ones.
_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0455\u0458\u03bf\u03b1", "aeopcxyisjoa"
)
_CONVERSIONS = {
    **dict.fromkeys(("RGBA", "RGBa", "LA", "La", "PA"), "put on white where they are transparent"),
    "P": "by their palette",
    "1": "as black and white",
}


@dataclass(frozen=True)
class InspectedRows:
    """The rows to inspect. `image_ids` are equal for byte-equal images, `clusters` also for nearly equal ones."""

    files: Sequence[str]
    labels: Sequence[str]
    given: Sequence[str]
    image_ids: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """One kind of finding: `kind`, a headline, the number of cases, and the files of each case.

    Kinds: copies, near_copies, two_labels, leak, group_leak, small_class, untested, skew, look_alike, modes,
    too_alike.
    """

    kind: str
    headline: str
    count: int
    files: tuple[tuple[str, ...], ...] = ()

    @property
    def message(self) -> str:
        """Return the headline and the first files."""
        if not self.files:
            return self.headline
        shown = "; ".join(" = ".join(map(short, case[:_NAMED])) for case in self.files[:_NAMED])
        more = f" and {len(self.files) - _NAMED} more" if len(self.files) > _NAMED else ""
        return f"{self.headline}: {shown}{more}."


def headline_of(finding: Finding, findings: Sequence[Finding]) -> str:
    """Return the headline of one of the `findings`; copies that lie across the given splits do not stay in one part."""
    across = {file for one in findings if one.kind == "leak" for case in one.files for file in case}
    named = any(file in across for case in finding.files for file in case)
    if finding.kind == "leak" or not named:
        return finding.headline
    return finding.headline.replace(_STAY, "some lie across the given splits, see below")


def nothing_found(task: Task) -> str:
    """Return what was looked for, and not found."""
    more = "" if task == "regression" else ", contradictory labels, rare or unbalanced classes"
    return f"No problems found: no copies or nearly equal images, leaks between splits{more} or odd pixel formats."


def inspect_rows(
    inspected: InspectedRows, task: Task, counts: Mapping[str, int], *, informative: bool
) -> tuple[Finding, ...]:
    """Return all findings about usable rows.

    `counts` are the rows of each class or label (empty for a regression); `informative` is that of `Cached`.
    """
    similar = _cases(inspected.clusters)
    # Rows without a part belong to training where the data assign others.
    parts = [part or TRAIN for part in inspected.given]
    leaking = [rows for rows in similar if len({parts[i] for i in rows}) > 1]
    across = {row for rows in leaking for row in rows}
    equal = [rows for rows in _cases(inspected.image_ids) if across.isdisjoint(rows)]
    near = [
        rows
        for rows in similar
        if len({inspected.image_ids[i] for i in rows}) > 1 and across.isdisjoint(rows)
    ]
    differ = [rows for rows in similar if len({inspected.labels[i] for i in rows}) > 1]
    findings = [
        _finding(inspected, "copies", equal, f"of byte-equal images; {_STAY}"),
        _finding(inspected, "near_copies", near, f"of nearly equal images; {_STAY}"),
        _finding(inspected, "leak", leaking, f"{_LEAK}; those that would leak are left out"),
    ]
    if task != "regression":
        findings.append(
            _finding(inspected, "two_labels", differ, "of equal or nearly equal images with different labels")
        )
    if not informative:
        findings.append(
            Finding("too_alike", "So many images look alike that nearly equal ones were not searched for.", 1)
        )
    return tuple(finding for finding in [*findings, *_class_findings(counts, task)] if finding is not None)


def group_leak_finding(leaking: Sequence[str], given: Sequence[str], *, apart: bool) -> Finding | None:
    """Return which groups lie on several sides of the split that the data assign, and what was done about it.

    `given` are the assigned parts, all empty if the split was drawn anew; `apart`: rows were left out.
    """
    if not leaking:
        return None
    shown = ", ".join(map(short, leaking[:_GROUPS])) + (
        f" and {len(leaking) - _GROUPS} more" if len(leaking) > _GROUPS else ""
    )
    have = "group has" if len(leaking) == 1 else "groups have"
    text = f"{len(leaking):,} {have} rows on several sides of the given split ({shown})"
    if apart:
        text += ": their training rows are left out."
    elif not any(given):
        text += ": the split was drawn anew, with each group on one side."
    else:
        text += (
            ", so the score may be too good: --on-group-leak drop (on_group_leak='drop' in Python) leaves out their "
            "training rows, redraw draws the split anew."
        )
    return Finding("group_leak", text, len(leaking))


def untested_finding(by_part: Mapping[str, Mapping[str, int]], task: Task) -> Finding | None:
    """Return which classes or labels no test image has; `by_part` are the images of each by part of the split.

    Those with too few images for any part are another finding.
    """
    gone = [name for name, parts in by_part.items() if sum(parts.values()) >= _FEW and not parts.get(HOLDOUT)]
    if not gone:
        return None
    noun, nouns = ("class", "classes") if task == "classification" else ("label", "labels")
    shown = ", ".join(map(short, gone[:_GROUPS])) + (
        f" and {len(gone) - _GROUPS} more" if len(gone) > _GROUPS else ""
    )
    which = f"1 {noun}" if len(gone) == 1 else f"{len(gone):,} {nouns}"
    text = f"No test image of {which}, so no score measures how well it is recognized: {shown}."
    return Finding("untested", text if len(gone) == 1 else text.replace(" it is ", " they are "), len(gone))


def mode_finding(modes: Mapping[str, int], pixel_range: PixelRange = ()) -> Finding | None:
    """Return how images that are neither plain grey nor plain RGB are read, if there are any.

    `pixel_range` is the range from which those with more than 8 bits are scaled.
    """
    odd = {mode: n for mode, n in modes.items() if mode not in ("RGB", "L")}
    if not odd:
        return None
    read = ", ".join(f"{mode} ({n:,}) {_conversion(mode, pixel_range)}" for mode, n in odd.items())
    return Finding("modes", f"Unusual pixel formats: {read}.", sum(odd.values()))


def _conversion(mode: str, pixel_range: PixelRange) -> str:
    if is_deep_mode(mode) or mode in ("RGB;16", "RGBA;16"):
        span = f" from {pixel_range[0]:g}..{pixel_range[1]:g}, for all images alike" if pixel_range else ""
        return f"scaled to 256 levels{span}"
    if mode.endswith(";16"):
        return "by the upper 8 of their 16 bits, so values that use few of these lose detail"
    return _CONVERSIONS.get(mode, "converted to RGB")


def imbalance(counts: Mapping[str, int]) -> float:
    """Return the rows of the largest class over those of the smallest non-empty one; 1 without classes."""
    present = [n for n in counts.values() if n > 0]
    return max(present) / min(present) if present else 1.0


def _cases(found: npt.NDArray[np.int64]) -> list[list[int]]:
    """Return the rows of each number that two or more rows share."""
    values, counts = np.unique(found, return_counts=True)
    rows: dict[int, list[int]] = {}
    shared = np.flatnonzero(np.isin(found, values[counts > 1]))
    for row, number in zip(shared.tolist(), found[shared].tolist(), strict=True):
        rows.setdefault(number, []).append(row)
    return list(rows.values())


def _finding(inspected: InspectedRows, kind: str, cases: list[list[int]], text: str) -> Finding | None:
    if not cases:
        return None
    files = tuple(tuple(inspected.files[i] for i in rows) for rows in cases)
    return Finding(kind, f"{counted(len(cases), 'group')} {text}", len(cases), files)


def _class_findings(counts: Mapping[str, int], task: Task) -> list[Finding]:
    findings = []
    noun = "class" if task == "classification" else "label"
    few = [name for name, n in counts.items() if n < _FEW]
    if few:
        shown = ", ".join(f"{short(name)} ({counts[name]})" for name in few[:_NAMED])
        more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
        text = f"Too few images (under {_FEW}) to measure how well a {noun} is recognized: {shown}{more}."
        findings.append(Finding("small_class", text, len(few)))
    alike = _look_alike(counts)
    if alike:
        named = "; ".join(", ".join(repr(short(name)) for name in names) for names in alike[:_GROUPS])
        text = f"Names that differ only in case, spaces or punctuation: {named}. Rename them if they mean the same."
        findings.append(Finding("look_alike", text, len(alike)))
    if imbalance(counts) >= SKEWED:
        ranked = Counter(counts).most_common()
        large, small = ranked[0], next(pair for pair in reversed(ranked) if pair[1] > 0)
        names = short(large[0]), short(small[0])
        text = f"Imbalanced: {names[0]} has {large[1]:,} images, {names[1]} {small[1]:,} ({imbalance(counts):.0f}:1)."
        findings.append(Finding("skew", text, 1))
    return findings


def _look_alike(names: Iterable[str]) -> list[list[str]]:
    """Return names that look the same without case, spaces and punctuation, unless these are signs (+1 and -1)."""
    found: dict[str, list[str]] = {}
    for name in names:
        plain = _NO_SIGNS.sub("", unicodedata.normalize("NFKC", name).casefold().translate(_LATIN))
        found.setdefault(plain, []).append(name)
    return [alike for plain, alike in found.items() if len(alike) > 1 and not plain.isdecimal()]
