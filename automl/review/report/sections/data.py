"""The data: sizes, classes and parts, samples, findings, likely label errors, what was left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.review.evaluation.text import Table
from automl.review.report.answers import LabelError
from automl.review.report.facts import Facts
from automl.review.report.shots import Camera, Shot

MOST_LABEL_ERRORS, MOST_FINDINGS, MOST_CASES, OF_A_CASE = 24, 12, 6, 4
MOST_CLASSES, OF_A_CLASS, MOST_SAMPLES = 40, 4, 80
MOST_BAD = 200
PARTS = ("train", "val", "holdout")


@dataclass(frozen=True)
class FoundCase:
    """A finding with the images of its first cases; `more` cases are not shown."""

    headline: str
    cases: tuple[tuple[Shot, ...], ...]
    more: int


@dataclass(frozen=True)
class Samples:
    """Some training images of a class."""

    name: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class DataSection:
    """What the section shows; `label_errors` are likely ones, of which `more_label_errors` are not shown."""

    rows: tuple[tuple[str, str], ...]
    counts: Table | None
    samples: tuple[Samples, ...]
    findings: tuple[FoundCase, ...]
    label_errors: tuple[Shot, ...]
    more_label_errors: int
    notes: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]
    more_bad: int


def data_section(facts: Facts, camera: Camera) -> DataSection:
    """Return the section. Of a study without a data report there is only what its plan says."""
    report = facts.data
    bad = [(str(one["file"]), str(one["reason"])) for one in report.get("bad", ())]
    errors = facts.label_errors[:MOST_LABEL_ERRORS]
    findings = report.get("findings", ())[:MOST_FINDINGS]
    return DataSection(
        rows=tuple((name, text) for name, text in _rows(facts) if text),
        counts=_counts(report),
        label_errors=tuple(_label_error(error, camera) for error in errors),
        more_label_errors=len(facts.label_errors) - len(errors),
        findings=tuple(_finding(one, camera) for one in findings),
        samples=_samples(facts, camera),
        notes=tuple(str(note) for note in report.get("notes", ())),
        bad=tuple(bad[:MOST_BAD]),
        more_bad=max(0, len(bad) - MOST_BAD),
    )


def _rows(facts: Facts) -> list[tuple[str, str]]:
    report, plan = facts.data, facts.study.plan
    counts = facts.result.get("data") or plan
    rows = [
        ("name", str(report.get("name") or plan.get("data_name") or facts.study.config.get("data") or ""))
    ]
    rows.append(("task", str(facts.task)))
    if report:
        rows.append(("images", f"{report['n_images']:,}" + _skipped(report)))
    if counts.get("folds"):
        parts = f"{counts['n_val']:,} in {counts['folds']} folds, {counts['n_holdout']:,} in the holdout"
        rows.append(("split", parts))
    elif "n_train" in counts:
        numbers = [f"{counts[f'n_{part}']:,} {part}" for part in PARTS]
        rows.append(("split", ", ".join(numbers)))
    if report:
        rows.append(("width, px", _span(report["widths"])))
        rows.append(("height, px", _span(report["heights"])))
        modes = ", ".join(f"{count:,} {mode}" for mode, count in report.get("modes", {}).items())
        rows.append(("kinds of pixels", modes))
    sizes = [str(plan[name]) for name in ("img_size", "large_size") if plan.get(name)]
    how = {"crop": "cut to the central square", "squeeze": "squeezed to a square"}.get(
        str(plan.get("resize")), ""
    )
    rows.append(("stored at, px", " and ".join(sizes) + (f", {how}" if sizes and how else "")))
    rows.append(("fingerprint", str(report.get("fingerprint") or plan.get("data") or "")[:16]))
    return rows


def _skipped(report: Mapping[str, Any]) -> str:
    return f", and {len(report['bad']):,} skipped" if report.get("bad") else ""


def _span(values: tuple[int, int, int]) -> str:
    low, middle, high = values
    return f"{low:,}" if low == high else f"{low:,} to {high:,}, median {middle:,}"


def _counts(report: Mapping[str, Any]) -> Table | None:
    counts, values = report.get("class_counts", {}), report.get("values", {})
    if counts:
        shown = [part for part in PARTS if any(part in parts for parts in counts.values())]
        rows = tuple(
            (name, *(f"{parts.get(part, 0):,}" for part in shown), f"{sum(parts.values()):,}")
            for name, parts in counts.items()
        )
        noun = "label" if report.get("task") == "multilabel" else "class"
        columns = (noun, *shown, "all")
        return Table(f"Images of each {noun}", columns, rows, columns[1:])
    if values:
        columns = ("value", "part", "least", "mean", "most")
        rows = tuple(
            (name, part, *(f"{number:.4g}" for number in numbers))
            for name, parts in values.items()
            for part, numbers in parts.items()
        )
        return Table("Values", columns, rows, columns[2:])
    return None


def _label_error(error: LabelError, camera: Camera) -> Shot:
    said = f"labelled {error.given}, probably {error.suggested} ({error.confidence:.2f}): {error.file}"
    return camera(error.file, said, alt=f"image labelled {error.given}")


def _finding(found: Mapping[str, Any], camera: Camera) -> FoundCase:
    cases = found.get("files", ())
    shown = tuple(
        tuple(camera(file, file) for file in case[:OF_A_CASE]) for case in cases[:MOST_CASES] if case
    )
    return FoundCase(str(found["headline"]), shown, max(0, len(cases) - len(shown)))


def _samples(facts: Facts, camera: Camera) -> tuple[Samples, ...]:
    """Return some training images of each class, spread over its rows; of a regression, of all rows."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for row in facts.parts:
        if row.get("split") == "train" and row.get("file"):
            by_class[_class_of(row, facts)].append(row["file"])
    names = list(facts.data.get("class_counts", {})) or sorted(by_class)
    shown = [name for name in names if by_class.get(name)][:MOST_CLASSES]
    each = max(1, min(OF_A_CLASS, MOST_SAMPLES // max(1, len(shown))))
    each = 12 if shown == [""] else each
    found = []
    for name in shown:
        files = by_class[name]
        step = max(1, len(files) // each)
        found.append(Samples(name, tuple(camera(file, file) for file in files[::step][:each])))
    return tuple(found)


def _class_of(row: Mapping[str, str], facts: Facts) -> str:
    label = row.get("label", "")
    if facts.task == "regression":
        return ""
    return label.partition("|")[0] if facts.task == "multilabel" else label
