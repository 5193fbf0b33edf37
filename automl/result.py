"""The result of `fit`."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.documents.json_file import read_json
from automl.documents.table_file import table_lines
from automl.errors import StudyError, reason_of
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.words import of_document
from automl.records import Config, Interval
from automl.terminal.html_table import html_table, html_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from automl.final.predictor import Predictor
    from automl.review.plots.study import Kind


@dataclass(frozen=True)
class FitResult:
    """The outcome of a study; everything in it is also in the study's directory.

    `val_score` is the best trial's score on the validation rows. The search optimised it, so it is too optimistic.
    `holdout` maps metric names to values with 95 % intervals, on rows that were not used before. `unchanged_after`: the
    seconds of a command that changed nothing; the result, with its times, is then of an earlier one.
    """

    directory: Path
    document: Mapping[str, Any]
    unchanged_after: float | None = field(default=None, repr=False, compare=False)

    @property
    def study(self) -> str:
        """The study's name."""
        return str(self.document["study"])

    @property
    def metric(self) -> str:
        """The metric that the search optimised."""
        return str(self.document["metric"])

    @property
    def best_config(self) -> Config:
        """The best trial's configuration; the first one if no trial had a score.

        The delivered model may be of another: `retrain.config` in result.json.
        """
        return dict(self.document["best"]["config"])

    @property
    def val_score(self) -> float:
        """The best trial's `metric` on the validation rows; NaN if no trial had a score."""
        value = self.document["best"]["val_score"]
        return math.nan if value is None else float(value)

    @property
    def holdout(self) -> dict[str, Interval]:
        """Metrics of the delivered model on the sealed holdout."""
        return {name: Interval(**value) for name, value in self.document["holdout"].items()}

    @property
    def trivial(self) -> dict[str, float]:
        """The scores of the trivial answer (majority class, mean, chance) on the holdout; NaN if not defined.

        Empty for a result of an earlier version.
        """
        scores = self.document.get("trivial", {})
        return {name: math.nan if value is None else float(value) for name, value in scores.items()}

    @property
    def usable(self) -> bool:
        """Whether the delivered model is better than the trivial answer by more than chance explains.

        By `metric` on the holdout, at 95 % (one-sided). True for a result of an earlier version, which did not test it.
        """
        return bool(self.document.get("usable", True))

    @property
    def evaluation(self) -> Evaluation | None:
        """How good the delivered model is on the holdout, in all detail; None for a result of an earlier version."""
        return of_document(self.document)

    @property
    def trials(self) -> dict[str, int]:
        """Numbers of trials: total, complete, pruned, unfinished, failed, paused; and of linear heads: heads."""
        return dict(self.document["trials"])

    @property
    def time(self) -> dict[str, float | None]:
        """Seconds of the last command: the limit, in total and by stage; `all_runs_s`: of all commands of the study."""
        return dict(self.document["time"])

    @property
    def data_notes(self) -> tuple[str, ...]:
        """What was assumed about the data and found in them, as `automl.inspect` reports it."""
        report = read_json(self.directory / "data_report.json")
        return (*report["notes"], *(finding["headline"] for finding in report["findings"]))

    @property
    def model_dir(self) -> Path:
        """The folder of the delivered model."""
        return self.directory / "model"

    @property
    def predictor(self) -> Predictor:
        """The delivered model, loaded."""
        from automl.final.predictor import Predictor

        return Predictor.load(self.model_dir, factory=self.factory)

    @property
    def factory(self) -> str:
        """The name of the delivered network: of timm, or of the function that builds it."""
        return str(self._delivered["model"])

    @property
    def _delivered(self) -> Config:
        """The configuration of the delivered model, if it is not the best trial's: of a head, or of an earlier run."""
        return dict(self.document["retrain"].get("config", self.best_config))

    def leaderboard(self) -> pd.DataFrame:
        """Return a table with a row for each trial, best first. Raises StudyError if trials.csv is gone or damaged."""
        import pandas as pd

        path = self.directory / "trials.csv"
        try:
            with table_lines(path) as lines:
                return pd.read_csv(io.StringIO("".join(lines)))
        except (OSError, ValueError) as error:  # of pandas, too
            raise StudyError(
                f"the trials must be in {str(path)!r}, which cannot be read ({reason_of(error)}); "
                "`automl leaderboard` reads the study itself"
            ) from error

    def report(self, out: str | Path | None = None) -> Path:
        """Write report.html again (or the file `out`), from the study's folder and database, and return its path.

        Raises StudyError for damaged files and UsageError if it cannot be written, or would replace something else than
        an earlier report.
        """
        from automl.review.report.study_report import report_of

        return report_of(self.directory, out=None if out is None else Path(out)).path

    def to_json(self) -> dict[str, Any]:
        """Return the content of result.json."""
        return dict(self.document)

    def plot(self, *kinds: Kind) -> Figure:
        """Return a figure of matplotlib: "curves" of all trials, their "timeline", "confusion" on the holdout.

        Without `kinds`, all of them that the study has. Raises ConfigError if matplotlib is missing
        (`pip install 'automl[plot]'`) or for an unknown kind.
        """
        from automl.review.plots.study import study_figure
        from automl.review.studies import read_study

        return study_figure(read_study(self.directory), kinds)

    def _repr_html_(self) -> str:
        """Return the summary as a notebook shows it."""
        from automl.final.evidence.words import not_usable
        from automl.review.describe import summary

        rows = [row for row in summary(self.document, self.model_dir, "") if row[1]]
        unusable = not_usable(self.document)
        return (f"<p>{html_text(unusable)}</p>" if unusable else "") + html_table(rows, title=self.study)

    def __repr__(self) -> str:
        held = self.holdout[self.metric]
        usable = "" if self.usable else ", usable=False"
        return f"FitResult(study={self.study!r}, holdout_{self.metric}={held}{usable}, model={str(self.model_dir)!r})"
