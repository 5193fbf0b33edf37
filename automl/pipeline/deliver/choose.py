"""Choose the trial whose model is to be delivered: by its number, or the best within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.errors import ConfigError, StudyError, unknown_name
from automl.machine import Moment
from automl.pipeline.deliver.opened import Opened
from automl.pipeline.plan.limits.asked import Asked
from automl.records import TrialRow, TrialState
from automl.review.front.kept import Kept, Where, kept_weights, named_formers, same_weights
from automl.review.front.latencies import Latencies
from automl.review.front.points import FLOAT, Point, points_of
from automl.review.studies import MODEL_FOLDER, StudyFolder
from automl.review.trials import study_mode


@dataclass(frozen=True)
class Wish:
    """Which model is asked for: that of a `trial`, a `former` model by its name, or the best within `limits`."""

    trial: int | None = None
    limits: Asked = Asked()
    former: str | None = None

    def __post_init__(self) -> None:
        given = (self.trial is not None, self.former is not None, bool(self.limits))
        if sum(given) != 1:
            raise ConfigError(
                "give either --trial N, --former NAME or limits (--max-latency, --max-size, --max-params); "
                "`automl leaderboard STUDY --pareto` shows what there is"
            )

    def in_words(self) -> str:
        """Return the wish as flags."""
        if self.former is not None:
            return f"--former {self.former}"
        return self.limits.in_words() if self.trial is None else f"--trial {self.trial}"


@dataclass(frozen=True)
class Chosen:
    """The weights that are to be delivered, in `words`, and their trial; None for a model of several."""

    kept: Kept
    words: str
    row: TrialRow | None = None


def choose(opened: Opened, trials: Sequence[TrialRow], wish: Wish) -> Chosen:
    """Return the model that is asked for. Only validation scores decide, never the holdout.

    Raises StudyError for a trial or a former model that is none or has no weights, and ConfigError if no model with
    weights keeps the limits.
    """
    kept = kept_weights(opened.study, list(trials))
    if wish.former is not None:
        return _by_name(opened.study, wish.former)
    if wish.trial is not None:
        return _by_number(opened, trials, kept, wish.trial)
    points = _points(opened, trials, kept, wish.limits)
    fitting = [point for point in points if not _excess(point, wish.limits)]
    with_weights = [point for point in fitting if point.weights]
    if not with_weights:
        raise ConfigError(_none_fits(opened, points, fitting, wish))
    best = with_weights[0]  # the best by metric first
    if fitting[0] is not best:
        opened.observer.note(
            f"{_name(fitting[0])} is better within these limits ({opened.metric} {fitting[0].value:.4f}), but its "
            "weights were not kept."
        )
    if best.trial is None:
        return Chosen(_place_of(opened.study, best), _name(best))
    row = next(row for row in trials if row.trial == best.trial)
    return Chosen(kept[best.trial], _name(best), row)


def _name(point: Point, trial: str = "Trial", the: str = "The") -> str:
    """Return a model, by default at the beginning of a sentence."""
    return f"{the} {point.kind}" if point.trial is None else f"{trial} {point.trial}"


def _place_of(study: StudyFolder, point: Point) -> Kept:
    """Return where the weights of a model of several are."""
    if point.weights == Where.MODEL:
        return Kept(Where.MODEL, study.model_dir)
    return Kept(Where.BEFORE, study.path / point.weights)


def _by_name(study: StudyFolder, name: str) -> Chosen:
    known = named_formers(study)
    if name not in known:
        raise StudyError(
            unknown_name("former model", name, list(known))
            if known
            else f"the study {study.name!r} has no former model, got --former {name!r}: `automl deliver` keeps one "
            "when another becomes the model"
        )
    folder = known[name].folder
    again = same_weights(folder / MODEL_FOLDER, study.model_dir)
    kept = Kept(Where.MODEL, study.model_dir) if again else Kept(Where.BEFORE, folder)
    return Chosen(kept, f"The former model {name!r}")


def _by_number(opened: Opened, trials: Sequence[TrialRow], kept: Mapping[int, Kept], number: int) -> Chosen:
    row = next((row for row in trials if row.trial == number), None)
    if row is None:
        most = max((row.trial for row in trials), default=-1)
        raise StudyError(f"the study {opened.study.name!r} has the trials 0 to {most}, got --trial {number}")
    if row.state is TrialState.FAILED or number not in kept:
        why = "failed" if row.state is TrialState.FAILED else "has no weights any more"
        raise StudyError(f"trial {number} {why}; {_with_weights(kept)}")
    return Chosen(kept[number], f"Trial {number}", row)


def _points(
    opened: Opened, trials: Sequence[TrialRow], kept: Mapping[int, Kept], limits: Asked
) -> list[Point]:
    """Return the trials with their costs; networks are measured only for a limit of the latency."""
    until = None
    if math.isinf(limits.latency):
        until = Moment.now()
    else:
        opened.observer.stage("measure", "measuring the latency of the trials' networks")
    mode = study_mode(opened.study, opened.metric)
    found = points_of(opened.study, trials, mode, Latencies.of_study(opened.study, until=until), kept)
    return [point for point in found if point.form == FLOAT]


def _excess(point: Point, limits: Asked) -> str:
    """Return which limit a model exceeds; "" if it keeps all."""
    if said := limits.exceeded_by(point.params, point.size):
        return said
    if math.isinf(limits.latency):
        return ""
    if point.latency is None:
        return "not measured in time"
    return limits.beside("latency", point.latency) if point.latency > limits.latency else ""


def _none_fits(opened: Opened, points: Sequence[Point], fitting: Sequence[Point], wish: Wish) -> str:
    if fitting:
        numbers = ", ".join(str(point.trial) for point in fitting[:5])
        kept = {point.trial for point in points if point.weights and point.trial is not None}
        return (
            f"within {wish.in_words()} there are only trials without weights ({numbers}); "
            f"{_with_weights(kept)}"
        )
    nearest = min(
        points,
        key=lambda point: (
            (point.latency or math.inf, point.size)
            if wish.limits.latency < math.inf
            else (float(point.size), point.params)
        ),
        default=None,
    )
    which = (
        ""
        if nearest is None
        else f": the nearest is {_name(nearest, 'trial', 'the')} with {_excess(nearest, wish.limits)}"
    )
    return f"no trial of the study {opened.study.name!r} keeps {wish.in_words()}{which}; raise the limit"


def _with_weights(kept: Mapping[int, Kept] | set[int]) -> str:
    numbers = sorted(kept)
    if not numbers:
        return "no trial of this study has any"
    return f"these have weights: {', '.join(map(str, numbers))}"
