"""Write an evaluation as one self-contained page, with the worst errors as images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import UsageError
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.score_data import DataEvaluation
from automl.review.data_page import SIDE, escape, figure
from automl.review.evaluation.diagrams import reliability_diagram, risk_diagram
from automl.review.evaluation.text import Table, sentences, tables

MOST_ERRORS = 60
LARGEST_MATRIX = 40
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color-scheme: light dark; }}
table {{ border-collapse: collapse; margin: .75rem 0; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .15rem .6rem; border-bottom: 1px solid #8884; text-align: left; overflow-wrap: anywhere; }}
.right {{ text-align: right; }}
.matrix td, .matrix th {{ text-align: center; border: 1px solid #8883; padding: .1rem .4rem; font-size: 12px; }}
.matrix th:first-child {{ text-align: left; }}
.wide {{ overflow-x: auto; }}
.note {{ border-left: 4px solid #c60; padding: .2rem .8rem; margin: .5rem 0; }}
.errors, .plots {{ display: flex; flex-wrap: wrap; gap: .75rem; }}
figure {{ margin: 0; width: {side}px; }}
figcaption {{ font-size: 11px; overflow-wrap: anywhere; }}
svg text {{ font: 11px system-ui, sans-serif; fill: currentColor; }}
svg rect {{ fill: none; stroke: #8888; }}
svg circle {{ fill: #2563eb; fill-opacity: .8; }}
svg polyline {{ fill: none; stroke: #2563eb; }}
.ideal {{ stroke: #8888; stroke-dasharray: 4 4; }}
</style>
<h1>{title}</h1>
<p>{n} images for {task}.</p>
{body}
</html>
"""


def write_page(
    evaluation: Evaluation, path: Path, *, title: str, answers: DataEvaluation | None = None
) -> None:
    """Write the page: notes, metrics, classes, confusions, diagrams and, from `answers`, the worst errors as images.

    Names of files and classes are escaped, and nothing on the page comes from elsewhere. Raises UsageError if `path`
    cannot be written.
    """
    page = _PAGE.format(
        title=escape(title),
        side=SIDE,
        n=f"{evaluation.n:,}",
        task=evaluation.task,
        body="\n".join(part for part in _parts(evaluation, answers) if part),
    )
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(
            f"--html must be a file that can be written, got {str(path)!r} ({error.strerror or error})"
        ) from error


def _parts(evaluation: Evaluation, answers: DataEvaluation | None) -> list[str]:
    found = [f'<p class="note">{escape(note)}</p>' for note in evaluation.notes]
    found += [f"<p>{escape(text)}</p>" for text in sentences(evaluation)]
    shown = [
        table for table in tables(evaluation, everything=True) if not table.title.startswith("Confusion")
    ]
    found += [_table(table) for table in shown[:2]]
    if evaluation.confusion and len(evaluation.classes) <= LARGEST_MATRIX:
        found.append(_matrix(evaluation))
    found += [_table(_shortened(table)) for table in shown[2:]]
    found.append(_plots(evaluation))
    if answers is not None:
        found.append(_errors(answers))
    if evaluation.skipped:
        items = "".join(
            f"<li>{escape(file)}: {escape(reason)}</li>" for file, reason in evaluation.skipped.items()
        )
        found.append(f"<h2>Unreadable</h2><ul>{items}</ul>")
    return found


def _shortened(table: Table) -> Table:
    """Return at most 100 rows: pairs of many classes would fill the page."""
    return Table(table.title, table.columns, table.rows[:100], table.right)


def _table(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        parts = [
            f'<{tag} class="right">{escape(cell)}</{tag}>'
            if name in table.right
            else f"<{tag}>{escape(cell)}</{tag}>"
            for name, cell in zip(table.columns, row, strict=True)
        ]
        return f"<tr>{''.join(parts)}</tr>"

    title = f"<h2>{escape(table.title)}</h2>" if table.title else ""
    rows = "".join(cells(row, "td") for row in table.rows)
    return f'{title}<div class="wide"><table>{cells(table.columns, "th")}{rows}</table></div>'


def _matrix(evaluation: Evaluation) -> str:
    """Return the confusion matrix with the share of each true class as the shade of a cell."""
    counts = evaluation.matrix()
    numbers = "".join(f'<th title="{escape(name)}">{k + 1}</th>' for k, name in enumerate(evaluation.classes))
    rows = []
    for k, (name, row) in enumerate(zip(evaluation.classes, counts.tolist(), strict=True)):
        total, cells = max(1, sum(row)), []
        for j, count in enumerate(row):
            colour = "37 99 235" if j == k else "200 60 0"
            style = f' style="background:rgb({colour} / {0.8 * count / total:.2f})"' if count else ""
            cells.append(f"<td{style}>{count or ''}</td>")
        rows.append(f"<tr><th>{k + 1} {escape(name)}</th>{''.join(cells)}</tr>")
    return (
        "<h2>Confusion matrix</h2><p>Rows are true classes, columns predicted ones.</p>"
        f'<div class="wide"><table class="matrix"><tr><th></th>{numbers}</tr>{"".join(rows)}</table></div>'
    )


def _plots(evaluation: Evaluation) -> str:
    found = []
    if evaluation.calibration is not None:
        found.append(f"<div><h2>Calibration</h2>{reliability_diagram(evaluation.calibration.bins)}</div>")
    if evaluation.risk_coverage:
        found.append(f"<div><h2>Risk and coverage</h2>{risk_diagram(evaluation.risk_coverage)}</div>")
    return f'<div class="plots">{"".join(found)}</div>' if found else ""


def _errors(answers: DataEvaluation) -> str:
    """Return the worst errors as thumbnails: the most confident ones, or the largest of a regression."""
    positions, captions = worst_errors(answers)
    if not positions:
        return "<h2>Errors</h2><p>None.</p>"
    shown = [
        figure(f"{answers.scored.files[i]}: {caption}", partial(answers.load, i))
        for i, caption in zip(positions, captions, strict=True)
    ]
    first = "largest" if answers.info.task == "regression" else "most confident"
    return f'<h2>Errors, the {first} first</h2><div class="errors">{"".join(shown)}</div>'


def worst_errors(answers: DataEvaluation, most: int = MOST_ERRORS) -> tuple[list[int], list[str]]:
    """Return the positions of the worst errors among the answers, and what is wrong with each."""
    scored, info = answers.scored, answers.info
    targets, scores = scored.targets, scored.scores
    if info.task == "classification":
        said = scores.argmax(axis=1)
        places = _first(np.where(said != targets, scores.max(axis=1), -np.inf), most)
        return places, [
            f"{info.classes[targets[i]]}, taken for {info.classes[said[i]]} ({scores[i, said[i]]:.3f})"
            for i in places
        ]
    if info.task == "multilabel":
        gaps = np.abs(scores - targets)
        which = gaps.argmax(axis=1)
        worst = gaps[np.arange(len(gaps)), which]
        places = _first(np.where(worst > 0.5, worst, -np.inf), most)
        return places, [
            f"{'missed' if targets[i, k] > 0 else 'wrongly'} {info.classes[k]} ({scores[i, k]:.3f})"
            for i, k in zip(places, which[places].tolist(), strict=True)
        ]
    scale = np.array(info.target_std or (1.0,) * len(info.classes))
    errors = np.abs(scores - targets) / scale
    which = errors.argmax(axis=1)
    places = _first(errors[np.arange(len(errors)), which], most)
    return places, [
        f"{info.classes[which[i]]} {targets[i, which[i]]:.4g}, predicted {scores[i, which[i]]:.4g}"
        for i in places
    ]


def _first(values: npt.NDArray[Any], most: int) -> list[int]:
    """Return the places of the largest finite values, at most `most` of them."""
    order = np.argsort(-values, kind="stable")[:most]
    return [int(i) for i in order if np.isfinite(values[i])]
