"""Keep the scores of a trial's best round."""

from __future__ import annotations

import math
from pathlib import Path

from automl.errors import StorageError
from automl.records import DatasetInfo, Mode
from automl.training.evaluate import Answers
from automl.training.steps.losses import in_units
from automl.training.validation.scores_file import ValidationScores, can_be_kept, read_scores, write_scores


def scores_of(answers: Answers, info: DatasetInfo, *, round: int, value: float) -> ValidationScores:
    """Return the answers as they are kept."""
    scores = in_units(answers.logits, info).numpy()
    return ValidationScores(
        round, value, info.task, info.classes, answers.rows, answers.targets.numpy(), scores
    )


def if_small(answers: Answers, info: DatasetInfo) -> Answers | None:
    """Return the answers if they can be kept."""
    return answers if can_be_kept(info.task, *answers.logits.shape) else None


class BestRound:
    """Writes the scores of the best round of a trial.

    Of equal values the later round is the best. One that was scored on more rows is better than any on fewer: those are
    what was possible before a deadline.
    """

    def __init__(self, mode: Mode) -> None:
        self._sign = 1.0 if mode == "max" else -1.0
        self._best: tuple[int, float] | None = None  # rows and value

    def keep(self, path: Path, answers: Answers, info: DatasetInfo, *, round: int, value: float) -> None:
        """Write the scores into `path` if no earlier round was better; nothing for NaN. Raises OSError.

        A file of an earlier process counts with its round, unless this round, or a later one, is in it: then the trial
        stands again where it was before.
        """
        if not math.isfinite(value) or not can_be_kept(info.task, len(answers.rows), info.n_outputs):
            return
        if self._best is None:
            self._best = self._before(path, round)
        this = (len(answers.rows), self._sign * value)
        if this >= self._best:
            self._best = this
            write_scores(path, scores_of(answers, info, round=round, value=value))

    def _before(self, path: Path, round: int) -> tuple[int, float]:
        try:
            found = read_scores(path)
        except StorageError:  # it is written anew
            found = None
        if found is None or found.round >= round:
            return 0, -math.inf
        return len(found.rows), self._sign * found.value
