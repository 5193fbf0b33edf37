"""Score a model on the sealed holdout, and count that."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from automl.data import PreparedData
from automl.data.splits import HOLDOUT
from automl.final.confidence.known_features import write_known_features
from automl.final.confidence.measure_known import measure_known
from automl.final.evaluation.answers import write_answers
from automl.final.evaluation.record import ANSWERS_FILE
from automl.final.holdout import score_holdout
from automl.final.predictor import Predictor
from automl.pipeline.results import Scores, finite
from automl.pipeline.retrain.judge import targets_of
from automl.pipeline.study_folder import Workspace
from automl.torch_setup import set_threads


@dataclass(frozen=True)
class Sealed:
    """The holdout of a study, with what scoring it needs: the metric, the seed of intervals, and threads."""

    workspace: Workspace
    data: PreparedData
    metric: str
    seed: int
    threads: int

    def score(self, predictor: Predictor, answers: Path | None = None) -> tuple[Scores, float]:
        """Score a model, once, and write its answers. Return its scores and the seconds of a row.

        The read is counted before the holdout is opened. `answers`: the file for them, by default that of the study.
        """
        reads = self.workspace.count_holdout_read()
        set_threads(self.threads)  # nothing else is running
        begun = time.monotonic()
        held = score_holdout(
            predictor,
            self.data.holdout,
            self.metric,
            train_targets=targets_of(self.data.splits.train),
            seed=self.seed,
            files=self._files(),
            again=reads > 1,
        )
        per_row = (time.monotonic() - begun) / max(1, len(self.data.holdout))
        write_answers(answers or self.workspace.root / ANSWERS_FILE, held.scored, self.data.splits.info)
        scores = Scores(
            holdout={name: asdict(value) for name, value in held.scores.items()},
            trivial={name: finite(trivial.value) for name, trivial in held.trivial.items()},
            trivial_words={name: trivial.words for name, trivial in held.trivial.items()},
            usable=held.usability.usable,
            usable_test=held.usability.to_json(),
            evaluation=held.evaluation.to_json(),
            reads=reads,
        )
        return scores, per_row

    def write_known(self, folder: Path, predictor: Predictor, *, seconds: float, per_row: float) -> None:
        """Add features of training images to a model folder, by which it tells unknown images, if there is time."""
        splits = self.data.splits
        known = measure_known(
            predictor, splits.train, splits.val, seconds=seconds, seed=self.seed, per_row=per_row
        )
        if known is not None:
            write_known_features(folder, known)

    def _files(self) -> list[str]:
        data = self.data
        return [
            file for file, part in zip(data.labelled.files, data.split.parts, strict=True) if part == HOLDOUT
        ]
