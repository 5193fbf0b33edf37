"""The models of a study that may be delivered together, or stand in for the one that would be delivered alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from automl.errors import ModelError, StorageError
from automl.final.cost.network import Network
from automl.final.ensemble.network import Ensemble, Member
from automl.final.evidence.answers import answered
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.verdict import RETRAINS, Final
from automl.final.heads import number_of
from automl.final.retrain import Retrained
from automl.machine import slowdown
from automl.pipeline.deliver.trained import LeftWeights
from automl.pipeline.plan.budget import measured_closing
from automl.pipeline.plan.constants import MOST_COMBINED
from automl.pipeline.setup import Setup
from automl.records import Config, Task
from automl.review.front.kept import head_file
from automl.review.front.networks import StudyNetworks
from automl.search import SearchResult
from automl.search.storage.checkpoints import TrialFiles, checkpoint_round
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import ALL_DEPTHS, LINEAR_ON_PIXELS, is_factory
from automl.torch_setup import set_threads
from automl.training.models.pretrained_weights import Weights, arch

Array = npt.NDArray[Any]
# Of the time left beside closing: the rest is for scoring the holdout with several networks.
SCORING_SHARE = 0.6


@dataclass(frozen=True)
class PoolModel:
    """A model of the pool, its scores on the rows that decide, and the seconds that a row takes.

    `scores` (n, n_outputs) are of `model.trained`, which trained on none of these rows; `network` is what is delivered
    of it, which may have trained on them later, such as a head. `trial` is None for one that is of no trial.
    """

    model: Alternative
    member: Member
    words: str
    trial: int | None
    scores: Array
    per_row: float
    weights: dict[str, str] | None

    @property
    def network(self) -> nn.Module:
        """The network that is delivered."""
        return (self.model.whole or self.model.trained).model


class Pool:
    """The single model in `final` and the other models of a study, scored on rows that none of them trained on.

    `rows` are positions among the validation rows, and `targets` theirs. The others are trials that left the weights of
    their last score, and linear heads.
    """

    def __init__(self, setup: Setup, found: SearchResult, final: Final) -> None:
        self.setup, self._found, self._single = setup, found, final
        self.info, self.rows = setup.data.splits.info.detailed, final.unseen
        self._networks = StudyNetworks(setup.data.splits.info, setup.pretrained.weights)
        val = setup.data.splits.val
        self.targets = np.asarray(np.load(val.targets, mmap_mode="r")[np.load(val.index)[self.rows]])
        self.mirrored = final.model.is_mirrored

    @property
    def task(self) -> Task:
        """The task of the study."""
        return self.info.task

    @property
    def spare(self) -> float:
        """Seconds beside what the end of the study needs without scoring; infinite without a limit."""
        left = self.setup.clock.remaining()
        return math.inf if left is None else left - measured_closing(slowdown=slowdown(), scoring=0.0)

    @property
    def until(self) -> float:
        """The moment (time.monotonic()) until which models may be scored, from now."""
        return time.monotonic() + SCORING_SHARE * self.spare

    def candidates(self, known: Sequence[PoolModel] = ()) -> list[PoolModel]:
        """Return the single model, and the others from the best on, as far as the time allows.

        `known` are models with scores that stand in the place of the single one. The list is empty if the single model
        cannot be a member.
        """
        until, found = self.until, list(known)
        if not found and (single := self.single()) is not None:
            found.append(single)
        # Without the single model there is nothing to begin with.
        for trial in self._others() if found else ():
            if len(found) >= MOST_COMBINED or time.monotonic() >= until:
                break
            loaded = self._loaded(trial)
            scored = None if loaded is None else self.scored(loaded, *_named(trial), until=until)
            found += [] if scored is None else [scored]
        return found

    def single(self) -> PoolModel | None:
        """Return the single model with its scores; None without time for them, and for a network of another library."""
        model, words, number = self._base()
        return self.scored(model, words, number, until=self.until)

    def has_like(self, model: Alternative) -> bool:
        """Return whether `like` yields any, unless its weights turn out to be damaged. Nothing is loaded for it."""
        network = self._kind(model.config)
        return any(
            self._kind(trial.config) == network and self._place(trial) is not None for trial in self._others()
        )

    def like(self, model: Alternative) -> Iterator[tuple[Alternative, str, int | None]]:
        """Yield the others that have the network of `model` and began with the same weights, the best first."""
        network = self._kind(model.config)
        for trial in self._others():
            if self._kind(trial.config) == network and (loaded := self._loaded(trial)) is not None:
                yield loaded, *_named(trial)

    def start_of(self, model: Alternative) -> Weights | None:
        """Return the published weights that a model began with; None from scratch."""
        return self._networks.weights_of(model.config)

    def built_like(self, model: Alternative) -> nn.Module:
        """Return a new network of the architecture of a model, with random weights."""
        return self._networks.network(model.config).build()

    def together(self, members: Sequence[Member], networks: Sequence[nn.Module]) -> Retrained:
        """Return networks as one model."""
        info = self.info
        model = Ensemble(
            members, networks, task=info.task, mean=info.mean, std=info.std, num_classes=info.n_outputs
        ).eval()
        return replace(self._single.model.trained, model=model, size=info.img_size, info=info, weights=None)

    def scored(
        self, model: Alternative, words: str, trial: int | None, *, until: float = math.inf
    ) -> PoolModel | None:
        """Return a model with its scores, as it answers within an ensemble.

        None for one that cannot be a member, and if not all rows are scored before `until` (time.monotonic()).
        """
        name, trained = str(model.config["model"]), model.trained
        if not can_be_member(model):
            return None
        weights = self._networks.weights_of(model.config)
        network = self._networks.network(model.config)
        own = getattr(trained.model, "folder_arguments", None)  # with features of all depths
        member = Member(
            ALL_DEPTHS if own else name if name == LINEAR_ON_PIXELS else arch(name),
            own or network.arguments,
            trained.size,
            trained.info.img_size,
            trained.info.mean,
            trained.info.std,
        )
        alone = replace(model, trained=self.together([member], [trained.model]), mirrored=self.mirrored)
        n, setup = len(setup_val := self.setup.data.splits.val), self.setup
        set_threads(setup.device.all_threads)  # nothing else is running
        found = answered(
            alone,
            setup_val,
            self.rows,
            seen=np.zeros(n, dtype=bool),
            device=setup.device.kind,
            until=until,
        )
        scores = np.asarray(found.candidate.scores, dtype=np.float64)
        if len(scores) < len(self.rows) or not np.isfinite(scores).all():
            return None
        about = None if weights is None else weights.about()
        return PoolModel(model, member, words, trial, scores, found.seconds_per_row, about)

    def _base(self) -> tuple[Alternative, str, int | None]:
        number, made = self._number, self._made
        kind = "the retrain" if made in RETRAINS else made.value
        if self._single.earlier is not None:
            kind = "the earlier model"
        return self._single.model, f"{kind} of trial {number}", number

    @property
    def _made(self) -> Delivery:
        """How the single model was made, also if that was in an earlier run."""
        earlier = self._single.earlier
        return self._single.delivery if earlier is None else earlier.made

    @property
    def _number(self) -> int | None:
        """The trial that the single model is of."""
        if self._single.earlier is not None:
            return self._single.earlier.trial
        if self._made is Delivery.HEAD:
            return number_of(self._single.model, self._found.heads)
        return self._found.best.number

    def _others(self) -> list[StoredTrial]:
        """Return the trials that may be members beside the single model, the best first."""
        found, number = self._found, self._number
        sign = 1.0 if self.setup.metric.mode == "max" else -1.0
        retrained = self._made in RETRAINS  # its trial may be a member as well
        others = [one for one in (*found.heads, *found.trials) if retrained or one.number != number]
        return sorted((one for one in others if math.isfinite(one.value)), key=lambda one: -sign * one.value)

    def _kind(self, config: Config) -> tuple[str, Network, Weights | None]:
        """Return what is equal for models whose weights can be averaged."""
        network = self._networks.network(config)
        return arch(network.model), replace(network, model=""), self._networks.weights_of(config)

    def _loaded(self, trial: StoredTrial) -> Alternative | None:
        """Return the model of a trial; None if it left no weights of its last score, or they cannot be read."""
        place = self._place(trial)
        if place is None:
            return None
        try:
            return LeftWeights(self._networks, trial, place, self.setup.plan.share).model()
        except (ModelError, StorageError) as error:
            self.setup.observer.note(str(error))
            return None

    def _place(self, trial: StoredTrial) -> Path | None:
        """Return the weights of the last score of a trial; None if there are none."""
        root = self.setup.workspace.root
        if trial.is_head:
            place = head_file(root, trial.config)
            return place if place.is_file() else None
        place = TrialFiles(root, logs=False).checkpoint(trial.number)
        return place if 0 < trial.rounds == checkpoint_round(place) else None


def can_be_member(model: Alternative) -> bool:
    """Return whether models can be combined with this one: a model folder must not run code of other libraries."""
    name = str(model.config["model"])
    return not is_factory(name) or name == LINEAR_ON_PIXELS


def _named(trial: StoredTrial) -> tuple[str, int]:
    return f"trial {trial.number}{' (head)' if trial.is_head else ''}", trial.number
