"""The networks that may learn from the model that would be delivered: smaller ones that the study knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automl.errors import ModelError, SpaceError
from automl.final.distillation.outcome import Size
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


def students(setup: Setup, found: SearchResult, teacher: Size, config: Config) -> list[Student]:
    """Return the students of a teacher with this `config`, from small to large: at most three, each clearly larger.

    They are those of the study's trials, of its portfolio, and of what the search space varies in the network of the
    teacher: smaller images, fewer channels. Of those of about the same size, it is one that starts from pretrained
    weights if the teacher did (and else none), with the best score of its trial or its family. All keep the limits of
    the model.
    """
    known = _values(setup, found.trials)
    smaller = (one for one in _all(setup, found, config, known) if one.size.is_smaller(teacher, SMALLER))
    return of_each_size(smaller, teacher, pretrained=bool(config.get(PRETRAINED)), sign=_sign(setup))


def of_each_size(found: Iterable[Student], teacher: Size, *, pretrained: bool, sign: float) -> list[Student]:
    """Return the most promising student of each of the three largest sizes, from small to large; of equal ones the
    first.

    Sizes are steps of four times the product of parameters and multiplications. `sign` is 1 if a larger value is
    better, else -1.
    """
    best: dict[int, Student] = {}

    def promise(one: Student) -> tuple[bool, float]:
        return one.is_pretrained == pretrained, -math.inf if math.isnan(one.value) else sign * one.value

    for one in found:
        step = int(math.log(1.0 / max(one.size.share_of(teacher), 1e-12), SIZE_STEP))
        if step not in best or promise(one) > promise(best[step]):
            best[step] = one
    largest = sorted(best)[:MOST_SIZES]
    return [best[step] for step in reversed(largest)]


def _all(setup: Setup, found: SearchResult, config: Config, known: dict[str, float]) -> Iterator[Student]:
    """Yield each network that the study knows and may train, with the score that is known of it."""
    networks = StudyNetworks(setup.data.splits.info, setup.pretrained.weights)
    trials = {one.number: one for one in found.trials if math.isfinite(one.value)}
    by_value = sorted(trials.values(), key=lambda one: -_sign(setup) * one.value)
    for trial in by_value:
        place = TrialFiles(setup.workspace.root, logs=False).checkpoint(trial.number)
        left = 0 < trial.rounds == checkpoint_round(place)
        yield from _student(setup, networks, trial.config, trial.value, trial, place if left else None)
    for other in (*setup.space.portfolio, *_varied(setup, config)):
        yield from _student(setup, networks, other, known.get(str(other.get("family")), math.nan))


def _student(
    setup: Setup,
    networks: StudyNetworks,
    config: Config,
    value: float,
    trial: StoredTrial | None = None,
    checkpoint: Path | None = None,
) -> Iterator[Student]:
    """Yield the student of a configuration, unless a limit or missing weights exclude it, or it cannot be built."""
    if not setup.space.allows(config) or (setup.fitting is not None and not setup.fitting(config)):
        return
    if config.get(PRETRAINED) and networks.weights_of(config) is None:
        return
    try:
        size = size_of(networks, config)
    except (ModelError, SpaceError) as error:
        setup.observer.note(str(error))
        return
    yield Student(config, size, value, trial, checkpoint)


def size_of(networks: StudyNetworks, config: Config) -> Size:
    """Return what the network of a configuration costs, without its latency."""
    network = networks.network(config)
    counts = network.counted()
    macs = network.multiplications()
    return Size(network.words, network.model, network.side, counts.params, macs, counts.size)


def _varied(setup: Setup, config: Config) -> Iterator[Config]:
    """Yield what the space varies in the network of a configuration; a linear head becomes a fine-tuning."""
    if config.get("freeze") == _FROZEN and config.get(PRETRAINED):
        recipe = next((one for one in setup.space.portfolio if one.get(PRETRAINED)), None)
        if recipe is None:
            return
        config = configuration(setup.space, str(config["model"]), {**recipe, "size": config.get("size")})
    yield from variations(setup.space, config)


def _values(setup: Setup, trials: Sequence[StoredTrial]) -> dict[str, float]:
    """Return the best value of each family's trials."""
    sign, best = _sign(setup), dict[str, float]()
    for trial in trials:
        family = str(trial.config.get("family"))
        if math.isfinite(trial.value):
            best[family] = max(best.get(family, trial.value), trial.value, key=lambda value: sign * value)
    return best


def _sign(setup: Setup) -> float:
    return 1.0 if setup.metric.mode == "max" else -1.0
