"""How good the model is: scores, classes, confusions with their images, errors, calibration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.words import untested, weakest
from automl.final.evidence import words
from automl.final.evidence.delivery import DERIVED, Delivery
from automl.records import Task
from automl.review.describe import delivered_kind, delivered_val
from automl.review.evaluation.diagrams import reliability_diagram, risk_diagram
from automl.review.evaluation.matrix import LARGEST_MATRIX, Matrix, matrix_of
from automl.review.evaluation.text import Table, sentences, tables
from automl.review.report.answers import Answer
from automl.review.report.charts.quality import score_bar, true_and_predicted
from automl.review.report.facts import Facts
from automl.review.report.shots import Camera, Shot, caption, worst
from automl.review.report.verdict import LEFT_OUT, leaks

MOST_ERRORS, MOST_CELLS, OF_A_CELL, MOST_PAIRS = 24, 60, 6, 100


@dataclass(frozen=True)
class CellImages:
    """The images behind a cell of the confusion matrix; `more` are not shown."""

    id: str
    title: str
    shots: tuple[Shot, ...]
    more: int


@dataclass(frozen=True)
class Quality:
    """What the section shows."""

    bar: Markup
    metrics: Table
    gap: str
    reads: str
    believe: tuple[str, ...]
    texts: tuple[str, ...]
    classes: Table | None
    matrix: Matrix | None
    cells: tuple[CellImages, ...]
    pairs: Table | None
    sizes: tuple[Table, ...]
    scatters: tuple[Markup, ...]
    reliability: Markup
    risk: Markup
    errors: tuple[Shot, ...]
    right: bool  # no answer is wrong


def quality(facts: Facts, camera: Camera) -> Quality | None:
    """Return the section of a finished study; None without an evaluation."""
    said, held = facts.evaluation, facts.held
    if said is None or held is None:
        return None
    shown = tables(said, everything=True)
    cells = _cells(facts, camera) if said.confusion else ()
    links = {(cell.id): cell for cell in cells}
    matrix = None
    if said.confusion and len(said.classes) <= LARGEST_MATRIX:
        matrix = matrix_of(said, set(links))
    worst_first = worst(facts.answers, facts.task, MOST_ERRORS)
    return Quality(
        bar=score_bar(
            held["value"],
            held["low"],
            held["high"],
            val=delivered_val(facts.result),
            val_of=_scored(facts.result),
            trivial=facts.result.get("trivial", {}).get(facts.metric),
        ),
        metrics=shown[0],
        gap=str(facts.result.get("gap", {}).get("explained") or ""),
        reads=words.reads(facts.result),
        believe=_believe(facts, said),
        texts=tuple(sentences(said)[1:] if weakest(said) else sentences(said)),
        classes=_classes(shown, said),
        matrix=matrix,
        cells=cells,
        pairs=_pairs(shown),
        sizes=tuple(table for table in shown[1:] if said.task == "regression"),
        scatters=_scatters(facts.answers, said),
        reliability=reliability_diagram(said.calibration.bins) if said.calibration else Markup(""),
        risk=risk_diagram(said.risk_coverage) if said.risk_coverage else Markup(""),
        errors=tuple(
            camera(
                answer.file,
                f"{caption(answer, facts.task, said.classes)}: {answer.file}",
                heat=True,
                alt=_alt(answer, facts.task),
            )
            for answer in worst_first
        ),
        right=bool(facts.answers) and not worst_first,
    )


def _scored(result: Mapping[str, Any]) -> str:
    """Return what has the validation score that `delivered_val` gives."""
    kind, trial = delivered_kind(result), result.get("best", {}).get("trial")
    retrain = result.get("retrain", {})
    if retrain.get("how") == Delivery.HEAD:
        return "linear head"
    if retrain.get("made", retrain.get("how")) in DERIVED:
        return kind
    trial = retrain.get("trial", trial)
    return "" if trial is None else f"trial {trial}"


def _believe(facts: Facts, said: Evaluation) -> tuple[str, ...]:
    """Return what speaks for and against the number, each from the study's own record."""
    found = []
    count = facts.result.get("holdout_reads", 1)
    if count == 1:
        found.append(f"The {said.n:,} holdout images were opened once, after everything was chosen.")
    else:
        found.append(
            f"The holdout was read {count} times, so the models scored on it before could have led the choice: "
            "the score is a little less independent."
        )
    doubts, kinds = leaks(facts), {one.get("kind") for one in facts.data.get("findings", ())}
    found += [f"Doubt it: {headline}." for headline in doubts]
    handled = [str(note) for note in facts.data.get("notes", ()) if LEFT_OUT in note]
    if "too_alike" in kinds:
        found.append(
            "Whether nearly equal images lie across the parts of the split is unknown: all look alike."
        )
    elif handled and not doubts:
        found.append(f"No copies lie across the parts of the split any more: {handled[0]}")
    elif facts.data and "leak" not in kinds:
        found.append("No equal or nearly equal images were found across the parts of the split.")
    if said.task != "regression" and (unknown := untested(said)):
        found.append(unknown)
    return tuple(found)


def _classes(shown: Sequence[Table], said: Evaluation) -> Table | None:
    if said.task == "regression" or len(shown) < 2:
        return None
    noun = "class" if said.task == "classification" else "label"
    table = shown[1]
    order = {row.label: k for k, row in enumerate(said.worst())}
    rows = sorted(table.rows, key=lambda row: order.get(row[0], len(order)))
    return Table(f"Each {noun} on the holdout, the worst first", table.columns, tuple(rows), table.right)


def _pairs(shown: Sequence[Table]) -> Table | None:
    found = next((table for table in shown if table.title == "Most confused"), None)
    if found is None:
        return None
    return Table("Most confused pairs", found.columns, found.rows[:MOST_PAIRS], found.right)


def _cells(facts: Facts, camera: Camera) -> tuple[CellImages, ...]:
    """Return the images behind cells: errors first, those with most images first, then the right answers."""
    by_cell: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in facts.answers:
        by_cell[answer.label, answer.predicted].append(answer)
    order = sorted(by_cell.items(), key=lambda item: (item[0][0] == item[0][1], -len(item[1]), item[0]))
    assert facts.evaluation is not None
    places = {name: k for k, name in enumerate(facts.evaluation.classes)}
    found = []
    for (true, said), answers in order[:MOST_CELLS]:
        right = true == said
        # Of errors the surest, of right answers the least sure.
        answers.sort(key=lambda one: one.confidence if right else -one.confidence)
        shots = tuple(
            camera(one.file, caption(one, facts.task), alt=_alt(one, facts.task))
            for one in answers[:OF_A_CELL]
        )
        title = f"{true}, answered rightly" if right else f"{true}, answered {said}"
        found.append(
            CellImages(
                f"cell-{places.get(true, -1)}-{places.get(said, -1)}",
                f"{title}: {len(answers):,} image{'' if len(answers) == 1 else 's'}",
                shots,
                len(answers) - len(shots),
            )
        )
    return tuple(found)


def _scatters(answers: Sequence[Answer], said: Evaluation) -> tuple[Markup, ...]:
    if said.task != "regression" or not answers:
        return ()
    return tuple(
        true_and_predicted([answer.values[k] for answer in answers], name)
        for k, name in enumerate(said.classes)
    )


def _alt(answer: Answer, task: Task) -> str:
    if task == "regression":
        return f"image with the value {answer.label}, predicted {answer.predicted}"
    return f"image of {answer.label or 'no label'}, answered {answer.predicted or 'no label'}"
