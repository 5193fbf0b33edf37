"""The networks that may learn from the model that would be delivered: smaller ones that the study knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from automl.errors import ModelError, SpaceError
from automl.final.distillation.outcome import Size
from automl.machine import Moment
from automl.pipeline.plan.constants import MOST_SIZES, SIZE_STEP, SMALLER
from automl.pipeline.plan.limits.grid import variations
from automl.pipeline.setup import Setup
from automl.records import Config
from automl.review.front.networks import StudyNetworks
from automl.search import SearchResult
from automl.search.storage.checkpoints import TrialFiles, checkpoint_round
from automl.search.storage.reader import StoredTrial
from automl.spaces.narrow import configuration
from automl.spaces.space import PRETRAINED

_FROZEN = "head"  # the value of `freeze` of a linear head: a student learns with more than that


@dataclass(frozen=True)
class Student:
    """A configuration whose network may learn from a teacher.

    `value` is the validation score of its trial, or else the best one of its family; NaN if there is none. It begins
    with the weights of a `trial`, which left them at `checkpoint`; without one as its configuration says.
    """

    config: Config
    size: Size
    value: float = math.nan
    trial: StoredTrial | None = None
    checkpoint: Path | None = None

    @property
    def is_pretrained(self) -> bool:
        """Whether its configuration starts from pretrained weights."""
        return bool(self.config.get(PRETRAINED))

    @property
    def begun(self) -> str:
        """What it starts from, in words."""
        if self.trial is not None and self.checkpoint is not None:
            return f"weights of trial {self.trial.number}"
        return "pretrained weights" if self.is_pretrained else "random weights"


def students(
    setup: Setup, found: SearchResult, teacher: Size, config: Config, *, until: Moment | None = None
) -> list[Student]:
    """Return the students of a teacher with this `config`, from small to large: at most three, each clearly larger.

    They are those of the study's trials, of what the search space varies in the network of the teacher (smaller images,
    fewer channels), and of its portfolio, as many as can be counted until then. All keep the limits of the model.
    """
    sign = 1.0 if setup.metric.mode == "max" else -1.0
    trials = sorted(
        (one for one in found.trials if math.isfinite(one.value)), key=lambda one: -sign * one.value
    )
    known = _values(trials)
    smaller = list[Student]()
    for other, trial in chain(
        ((one.config, one) for one in trials),
        ((one, None) for one in (*_varied(setup, config), *setup.space.portfolio)),
    ):
        if until is not None and until.passed():
            break
        value = known.get(str(other.get("family")), math.nan) if trial is None else trial.value
        size = _size(setup, other, teacher)
        if size is not None and size.is_smaller(teacher, SMALLER):
            smaller.append(Student(other, size, value, trial, _left(setup, trial)))
    return of_each_size(smaller, teacher, pretrained=bool(config.get(PRETRAINED)), sign=sign)


def of_each_size(found: Sequence[Student], teacher: Size, *, pretrained: bool, sign: float) -> list[Student]:
    """Return the most promising student of each of the three largest sizes, from small to large.

    That is the one with the best value, of equal ones the first. All start from pretrained weights if their teacher
    did, else none does, if there is any such student. Sizes are steps of four times the product of parameters and
    multiplications. `sign` is 1 if a larger value is better, else -1.
    """
    best: dict[int, Student] = {}

    def promise(one: Student) -> float:
        return -math.inf if math.isnan(one.value) else sign * one.value

    alike = [one for one in found if one.is_pretrained == pretrained]
    for one in alike or found:
        step = int(math.log(1.0 / max(one.size.share_of(teacher), 1e-12), SIZE_STEP))
        if step not in best or promise(one) > promise(best[step]):
            best[step] = one
    largest = sorted(best)[:MOST_SIZES]
    return [best[step] for step in reversed(largest)]


def _size(setup: Setup, config: Config, teacher: Size) -> Size | None:
    """Return what the network of a configuration costs, without its latency.

    None if a limit or missing weights exclude it, if it has more parameters than its teacher, or cannot be built.
    """
    networks = StudyNetworks(setup.data.splits.info, setup.pretrained.weights)
    allowed = setup.space.allows(config) and (setup.fitting is None or setup.fitting(config))
    if not allowed or (config.get(PRETRAINED) and networks.weights_of(config) is None):
        return None
    try:
        network = networks.network(config)
        counts = network.counted()
        macs = network.multiplications() if counts.params <= teacher.params else math.nan
    except (ModelError, SpaceError) as error:
        setup.observer.note(str(error))
        return None
    return Size(network.words, network.model, network.side, counts.params, macs, counts.size)


def _left(setup: Setup, trial: StoredTrial | None) -> Path | None:
    """Return the checkpoint of a trial if it is of its last score."""
    if trial is None:
        return None
    place = TrialFiles(setup.workspace.root, logs=False).checkpoint(trial.number)
    return place if 0 < trial.rounds == checkpoint_round(place) else None


def _varied(setup: Setup, config: Config) -> Iterator[Config]:
    """Yield what the space varies in the network of a configuration; a linear head becomes a fine-tuning."""
    if config.get("freeze") == _FROZEN and config.get(PRETRAINED):
        recipe = next((one for one in setup.space.portfolio if one.get(PRETRAINED)), None)
        if recipe is None:
            return
        config = configuration(setup.space, str(config["model"]), {**recipe, "size": config.get("size")})
    yield from variations(setup.space, config)


def _values(trials: Sequence[StoredTrial]) -> dict[str, float]:
    """Return the best value of each family's trials, which come from the best on."""
    best: dict[str, float] = {}
    for trial in trials:
        best.setdefault(str(trial.config.get("family")), trial.value)
    return best
