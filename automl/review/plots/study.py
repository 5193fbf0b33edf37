"""The figure of a study: curves of its trials, when they ran, and the confusion matrix of the delivered model."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from automl.errors import ConfigError, unknown_name
from automl.final.evaluation.record import Evaluation
from automl.final.evaluation.words import of_document
from automl.records import TrialState
from automl.review.studies import StudyFolder
from automl.review.trials import stored_trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from automl.search.storage.reader import StoredTrial

Kind = Literal["curves", "timeline", "confusion"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LARGEST_MATRIX = 40
_COLOURS = {
    TrialState.COMPLETE: "tab:blue",
    TrialState.PRUNED: "tab:orange",
    TrialState.UNFINISHED: "tab:purple",
    TrialState.PAUSED: "tab:gray",
    TrialState.RUNNING: "tab:green",
    TrialState.FAILED: "tab:red",
}


def study_figure(study: StudyFolder, kinds: Sequence[str] = ()) -> Figure:
    """Return a figure with one plot of each kind; without `kinds` those that the study has.

    Raises ConfigError if matplotlib is not installed, for an unknown kind, and for a confusion matrix that there is
    not; StorageError if the study's database cannot be read.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(unknown_name("plot", kind, KINDS))
    evaluation = of_document(study.result or {})
    has_matrix = (
        evaluation is not None and len(evaluation.confusion) > 0 and len(evaluation.classes) <= LARGEST_MATRIX
    )
    if "confusion" in kinds and not has_matrix:
        raise ConfigError(
            f"study {study.name!r} has no confusion matrix: it needs a classification of at most "
            f"{LARGEST_MATRIX} classes that is finished"
        )
    chosen = kinds or [kind for kind in KINDS if kind != "confusion" or has_matrix]
    metric, _, trials = stored_trials(study)
    draw: dict[str, Callable[[Any], None]] = {
        "curves": lambda axes: _curves(axes, trials, metric),
        "timeline": lambda axes: _timeline(axes, trials),
        "confusion": lambda axes: _confusion(axes, evaluation),
    }
    figure = _new_figure(len(chosen))
    figure.suptitle(study.name)
    for axes, kind in zip(figure.axes, chosen, strict=True):
        draw[kind](axes)
    return figure


def _new_figure(plots: int) -> Figure:
    """Return a figure that no window manager knows, and that a notebook shows as an image."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("matplotlib is not installed: run `pip install 'automl[plot]'`") from error

    class StudyFigure(Figure):
        def _repr_png_(self) -> bytes:
            image = io.BytesIO()
            self.savefig(image, format="png")
            return image.getvalue()

    figure = StudyFigure(figsize=(6.0 * plots, 4.5), layout="constrained")
    figure.subplots(1, plots, squeeze=False)
    return figure


def _curves(axes: Any, trials: Sequence[StoredTrial], metric: str) -> None:
    for trial in trials:
        rounds = [0] if trial.is_head else [report.round for report in trial.reports]
        marker = "D" if trial.is_head else "."
        axes.plot(
            rounds,
            [report.value for report in trial.reports],
            color=_COLOURS[trial.state],
            marker=marker,
            linewidth=1,
            alpha=0.7,
        )
    _label(axes, "round", f"val {metric}", "curves")
    _legend(axes, trials)


def _timeline(axes: Any, trials: Sequence[StoredTrial]) -> None:
    for trial in trials:
        if trial.started is None:
            continue
        last = max((trial.started, *trial.report_times, *([trial.ended] if trial.ended is not None else [])))
        axes.barh(
            trial.number, last - trial.started, left=trial.started, color=_COLOURS[trial.state], alpha=0.6
        )
        axes.plot(trial.report_times, [trial.number] * len(trial.report_times), "k|", markersize=5)
    axes.invert_yaxis()
    _label(axes, "seconds of the search", "trial", "timeline; a stroke is a round")


def _confusion(axes: Any, evaluation: Evaluation | None) -> None:
    if evaluation is None:
        return
    counts = evaluation.matrix()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places, names = range(len(evaluation.classes)), evaluation.classes
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    for i, row in enumerate(counts.tolist()):
        for j, count in enumerate(row):
            if count:
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, count, ha="center", va="center", color=colour, fontsize=8)
    _label(axes, "predicted class", "true class", "confusion on the holdout")


def _label(axes: Any, across: str, up: str, title: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title)


def _legend(axes: Any, trials: Sequence[StoredTrial]) -> None:
    """Say which colour is which state, of those that occur."""
    for state in dict.fromkeys(trial.state for trial in trials):
        axes.plot([], [], color=_COLOURS[state], label=str(state))
    if trials:
        axes.legend(fontsize=8)
