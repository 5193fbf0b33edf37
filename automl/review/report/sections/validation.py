"""What the trials that were the best answer wrong on the validation rows, from the scores of their best rounds."""

from __future__ import annotations

from dataclasses import dataclass

from automl.errors import StorageError
from automl.records import Task, TrialRow
from automl.review.describe import score
from automl.review.evaluation.text import Table
from automl.review.incumbents.answers import TrialAnswers, file_names, scores_path, trial_answers
from automl.review.incumbents.leaders import leaders_of
from automl.review.report.answers import Answer
from automl.review.report.facts import Facts
from automl.review.report.shots import Camera, Shot, caption, worst
from automl.review.tables import ranked
from automl.search.storage.kinds import HEADS

MOST_TRIALS, MOST_ERRORS = 8, 12


@dataclass(frozen=True)
class Validation:
    """What the section shows: the trials, and errors of the best of them as images, or as a table without images."""

    intro: str
    trials: Table
    best: str
    shots: tuple[Shot, ...]
    errors: Table | None


def validation_section(facts: Facts, camera: Camera) -> Validation | None:
    """Return the section, also of a search that still runs; None if no trial that was the best has left scores."""
    rows = [row for row in _were_best(facts) if scores_path(facts.study.path, row).is_file()][-MOST_TRIALS:]
    if not rows:
        return None
    names = file_names(facts.study.path, facts.parts)
    found = [(row, said) for row in rows if (said := _read(facts, row, names)) is not None]
    if not found:
        return None
    row, said = found[-1]
    task = said.evaluation.task
    errors = worst(said.answers, task, MOST_ERRORS)
    pictures = camera.thumbnails.load is not None or bool(camera.thumbnails.earlier)
    return Validation(
        intro=_intro([each for _, each in found], task),
        trials=_trials(found, facts.history.metric),
        best=_best(row, said, errors),
        shots=tuple(_shot(camera, each, said) for each in errors) if pictures else (),
        errors=_errors(errors, task) if errors and not pictures else None,
    )


def _were_best(facts: Facts) -> list[TrialRow]:
    """Return the trials that were the best, in the order in which they became it, the best one of all last."""
    rows = {row.trial: row for row in facts.history.rows}
    best = next(
        (row.trial for row in ranked(rows.values(), facts.history.mode) if row.value is not None), None
    )
    numbers = [number for number in leaders_of(facts.history) if number in rows and number != best]
    return [rows[number] for number in (*numbers, *([] if best is None else [best]))]


def _read(facts: Facts, row: TrialRow, names: dict[int, str]) -> TrialAnswers | None:
    try:
        return trial_answers(facts.study, row, facts.history.metric, names)
    except StorageError:  # a damaged file costs its row, not the report
        return None


def _intro(found: list[TrialAnswers], task: Task) -> str:
    said = (
        "From the scores of their best rounds: the search chose by these rows, so this says where its trials differ "
        "and what is hard, not how good the model is."
    )
    if task == "regression" or len(found) < 2:
        return said
    wrong = [{answer.file for answer in each.answers} for each in found]
    common = set.intersection(*wrong)
    if not common:
        return said
    one = len(common) == 1
    return (
        f"{said} {len(common):,} image{'' if one else 's'} {'is' if one else 'are'} answered wrongly by all of these "
        "trials: look there for wrong labels first."
    )


def _trials(found: list[tuple[TrialRow, TrialAnswers]], metric: str) -> Table:
    numbers = ("trial", "round", f"val {metric}", "images")
    classes = found[-1][1].evaluation.task != "regression"
    columns = ("trial", "kind", "round", f"val {metric}", "images", *(("wrong",) if classes else ()), "worst")
    rows = tuple(
        (
            str(row.trial),
            row.kind or "-",
            "-" if row.kind in HEADS else str(said.round),
            score(said.value),
            f"{said.evaluation.n:,}",
            *((f"{said.wrong:,}",) if classes else ()),
            _worst_words(said),
        )
        for row, said in found
    )
    return Table("Trials that were the best, the latest last", columns, rows, (*numbers, "wrong"))


def _worst_words(said: TrialAnswers) -> str:
    """Return the most frequent confusion, or the largest error."""
    pairs = said.evaluation.confused(1)
    if pairs:
        return f"{pairs[0].label} taken for {pairs[0].predicted} ({pairs[0].count:,})"
    errors = worst(said.answers, said.evaluation.task, 1)
    return caption(errors[0], said.evaluation.task, said.evaluation.classes) if errors else "-"


def _best(row: TrialRow, said: TrialAnswers, errors: list[Answer]) -> str:
    which = f"Trial {row.trial} ({row.kind})" if row.kind else f"Trial {row.trial}"
    if not errors:
        return "" if said.wrong else f"{which} answers every validation image rightly."
    order = "largest" if said.evaluation.task == "regression" else "most confident"
    if said.evaluation.task == "multilabel":
        return f"{which}: the images with the most wrong labels."
    return f"{which}: its {order} errors."


def _shot(camera: Camera, answer: Answer, said: TrialAnswers) -> Shot:
    words = caption(answer, said.evaluation.task, said.evaluation.classes)
    return camera(answer.file, f"{words}: {answer.file}", alt=f"validation image: {words}")


def _errors(errors: list[Answer], task: Task) -> Table:
    sure = task == "classification"
    columns = ("file", "label", "answered", *(("confidence",) if sure else ()))
    rows = tuple(
        (each.file, each.label, each.predicted, *((f"{each.confidence:.2f}",) if sure else ()))
        for each in errors
    )
    return Table("Errors on the validation images", columns, rows, ("confidence",))
