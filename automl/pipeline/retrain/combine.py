"""Combine the model that would be delivered alone with others of the study, where validation images show a gain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from automl.errors import ModelError, StorageError
from automl.final.confidence.answers import KnownAnswers
from automl.final.cost.latency import measure_latency
from automl.final.cost.network import counts_of
from automl.final.ensemble.network import Ensemble, Member
from automl.final.ensemble.select import Selection, row_losses, select
from automl.final.evidence.answers import answered
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Combined, Delivery
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.paired import paired_difference
from automl.final.evidence.verdict import RETRAINS, Final
from automl.final.retrain import Retrained
from automl.machine import slowdown
from automl.pipeline.deliver.trained import LeftWeights
from automl.pipeline.plan.budget import measured_closing
from automl.pipeline.plan.constants import COMBINING_SHARE, FEWEST_COMBINED, MOST_COMBINED, SCORING_SPARE
from automl.pipeline.plan.heads import number_of
from automl.pipeline.setup import Setup
from automl.records import Config
from automl.review.front.kept import head_file
from automl.review.front.networks import StudyNetworks
from automl.search import SearchResult
from automl.search.storage.checkpoints import TrialFiles, checkpoint_round
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import ENSEMBLE, LINEAR_ON_PIXELS, is_factory
from automl.torch_setup import set_threads
from automl.training.models.pretrained_weights import arch

Array = npt.NDArray[Any]
SCORING_SHARE = (
    0.6  # of the time left beside closing: the rest is for scoring the holdout with several networks
)


def with_time_to_combine(setup: Setup) -> Setup:
    """Return the setup for making the single model: it leaves time for the others, if an ensemble may be delivered."""
    left = setup.clock.remaining()
    splits = setup.data.splits
    possible = setup.config.deliver != "single" and len(splits.val) >= FEWEST_COMBINED and not splits.folds
    if not possible or left is None:
        return setup
    return replace(setup, clock=setup.clock.shortened(COMBINING_SHARE * left))


def combined(setup: Setup, found: SearchResult, final: Final, should_stop: Callable[[], bool]) -> Final:
    """Return an ensemble that begins with the single model in `final`, or `final` if none is worth its cost.

    Members are chosen by validation rows that none of them trained on: if the single model is a retrain, those that
    were kept out of it. The others are the study's trials that left weights, and its linear heads. With --deliver auto,
    the loss of the ensemble must be lower by more than one standard error. The holdout takes no part.
    """
    if final.earlier is not None and (setup.config.deliver == "single") == _was_ensemble(final.earlier):
        setup.observer.note(
            "--deliver changes nothing here: no model of this run is better than that of the earlier one, which stays."
        )
    if setup.config.deliver == "single" or final.earlier is not None or final.stopped or should_stop():
        return final
    why = ""
    if setup.data.splits.folds:
        why = "under cross-validation no image is left by which all members could be compared"
    elif len(final.unseen) < FEWEST_COMBINED:
        n = len(setup.data.splits.val)
        why = (
            f"only {len(final.unseen)} of {n} validation images are left that the model did not train on, and "
            f"{FEWEST_COMBINED} are needed (a third is kept out of the final training)"
        )
    if why:
        setup.observer.note(f"No ensemble: {why}.")
        return final
    setup.observer.stage("combine", "looking for an ensemble")
    made = _ensemble_of(_Pool(setup, found, final), final)
    if isinstance(made, Final):
        return made
    setup.observer.note(f"No ensemble: {made}.")
    return final


def _was_ensemble(earlier: Earlier) -> bool:
    retrain = earlier.result["retrain"]
    return bool(retrain.get("made", retrain.get("how")) == Delivery.ENSEMBLE)


@dataclass(frozen=True)
class _Candidate:
    """A model that may be a member, its scores on the rows that decide, and the seconds that a row takes.

    `network` is what is delivered of it, which may have trained on these rows later, such as a head.
    """

    member: Member
    network: nn.Module
    words: str
    trial: int | None
    scores: Array
    per_row: float
    weights: dict[str, str] | None


class _Pool:
    """The models that may be members, scored on the validation rows that none of them trained on."""

    def __init__(self, setup: Setup, found: SearchResult, final: Final) -> None:
        self.setup, self._found, self._single = setup, found, final.model
        self.info, self.rows = setup.data.splits.info.detailed, final.unseen
        self._networks = StudyNetworks(setup.data.splits.info, setup.pretrained.weights)
        val = setup.data.splits.val
        self.targets = np.asarray(np.load(val.targets, mmap_mode="r")[np.load(val.index)[self.rows]])
        single = self._single
        self.mirrored = single.is_mirrored

    @property
    def spare(self) -> float:
        """Seconds beside what the end of the study needs without scoring; infinite without a limit."""
        left = self.setup.clock.remaining()
        return math.inf if left is None else left - measured_closing(slowdown=slowdown(), scoring=0.0)

    def candidates(self) -> list[_Candidate]:
        """Return the single model, and the others from the best on, as far as the time allows."""
        until, found = time.monotonic() + SCORING_SHARE * self.spare, list[_Candidate]()
        for model, words, number in self._models():
            scored = self._scored(model, words, number)
            if scored is not None:
                found.append(scored)
            if not found or len(found) >= MOST_COMBINED or time.monotonic() >= until:
                break  # without the single model there is nothing to begin with
        return found

    def together(self, members: Sequence[Member], networks: Sequence[nn.Module]) -> Retrained:
        """Return networks as one model."""
        info = self.info
        model = Ensemble(
            members, networks, task=info.task, mean=info.mean, std=info.std, num_classes=info.n_outputs
        ).eval()
        return replace(self._single.trained, model=model, size=info.img_size, info=info, weights=None)

    def _models(self) -> Iterator[tuple[Alternative, str, int | None]]:
        """Yield models with their words and trials, the single model first; others are loaded when they are next."""
        single, found = self._single, self._found
        head = single.delivery is Delivery.HEAD
        number = number_of(single, found.heads) if head else found.best.number
        yield (
            single,
            f"{'the retrain' if single.delivery in RETRAINS else single.delivery} of trial {number}",
            number,
        )
        sign = 1.0 if self.setup.metric.mode == "max" else -1.0
        retrained = single.delivery in RETRAINS  # its trial may be a member as well
        others = [one for one in (*found.heads, *found.trials) if retrained or one.number != number]
        for trial in sorted(others, key=lambda one: -sign * one.value):
            if math.isfinite(trial.value) and (loaded := self._loaded(trial)) is not None:
                yield loaded, f"trial {trial.number}{' (head)' if trial.is_head else ''}", trial.number

    def _loaded(self, trial: StoredTrial) -> Alternative | None:
        """Return the model of a trial; None if it left no weights of its last score, or they cannot be read."""
        root = self.setup.workspace.root
        place = TrialFiles(root, logs=False).checkpoint(trial.number)
        if trial.is_head:
            place = head_file(root, trial.config)
        if not (place.is_file() if trial.is_head else 0 < trial.rounds == checkpoint_round(place)):
            return None
        try:
            return LeftWeights(self._networks, trial, place, self.setup.plan.share).model()
        except (ModelError, StorageError) as error:
            self.setup.observer.note(str(error))
            return None

    def _scored(self, model: Alternative, words: str, trial: int | None) -> _Candidate | None:
        """Return a model with its scores, as it answers within an ensemble; None for one that cannot be a member."""
        name, trained = str(model.config["model"]), model.trained
        if is_factory(name) and name != LINEAR_ON_PIXELS:  # a model folder must not run other code
            return None
        weights = self._networks.weights_of(model.config)
        network = self._networks.network(model.config)
        member = Member(
            name if name == LINEAR_ON_PIXELS else arch(name),
            network.arguments,
            trained.size,
            trained.info.img_size,
            trained.info.mean,
            trained.info.std,
        )
        alone = replace(model, trained=self.together([member], [trained.model]), mirrored=self.mirrored)
        n, setup = len(setup_val := self.setup.data.splits.val), self.setup
        set_threads(setup.device.all_threads)  # nothing else is running
        found = answered(alone, setup_val, self.rows, seen=np.zeros(n, dtype=bool), device=setup.device.kind)
        scores = np.asarray(found.candidate.scores, dtype=np.float64)
        if len(scores) < len(self.rows) or not np.isfinite(scores).all():
            return None
        whole = model.whole or trained
        about = None if weights is None else weights.about()
        return _Candidate(member, whole.model, words, trial, scores, found.seconds_per_row, about)


def _ensemble_of(pool: _Pool, final: Final) -> Final | str:
    """Return the ensemble, or why there is none."""
    candidates, task = pool.candidates(), pool.info.task
    if len(candidates) < 2:
        return "there is no other model with weights, or no time to score one"
    scores = [one.scores for one in candidates]
    chosen = select(scores, pool.targets, task)
    wanted = len(chosen.counts)
    while len(chosen.counts) > 1 and not _is_affordable(pool, chosen, candidates):
        chosen = Selection(chosen.order[:-1], chosen.losses[:-1])
    if len(chosen.counts) < min(2, wanted):
        return "it would exceed the limits of the model, or the time left for scoring the holdout"
    if len(chosen.counts) < 2 or not _is_better(pool, chosen, scores):
        return f"none of {len(candidates) - 1} other models lowers the loss on validation images enough"
    total = len(chosen.order)
    members = [replace(candidates[k].member, weight=n / total) for k, n in chosen.counts.items()]
    trained = pool.together(members, [candidates[k].network for k in chosen.counts])
    rows = _rows_of(pool, chosen, candidates)
    config: Config = {"model": ENSEMBLE, "lr": 1.0, "hflip": pool.mirrored}
    model = Alternative(Delivery.ENSEMBLE, config, trained, final.model.value, mirrored=pool.mirrored)
    losses = (chosen.losses[0], chosen.losses[-1])
    why = Combined(tuple(row["words"] for row in rows), final.delivery, losses, len(pool.rows))
    return replace(
        final,
        model=model,
        reasons=(*final.reasons, why),
        evidence={**final.evidence, "ensemble": {"rows": len(pool.rows), "losses": list(chosen.losses)}},
        answers=KnownAnswers(pool.targets, chosen.mean(scores)),
        members=tuple(rows),
    )


def _is_affordable(pool: _Pool, chosen: Selection, candidates: Sequence[_Candidate]) -> bool:
    """Return whether an ensemble keeps the limits of the model, and whether there is time to score it."""
    used = [candidates[k] for k in chosen.counts]
    seconds = pool.setup.data.splits.info.n_holdout * sum(one.per_row for one in used)
    if SCORING_SPARE * seconds > pool.spare:
        return False
    fitting = pool.setup.fitting
    if fitting is None:
        return True
    trained, asked = pool.together([one.member for one in used], [one.network for one in used]), fitting.asked
    counts = counts_of(trained.model)
    if asked.exceeded_by(counts.params, counts.size):
        return False
    if math.isinf(asked.latency):
        return True
    latency = measure_latency(
        trained.model,
        channels=pool.info.in_chans,
        side=trained.size,
        threads=fitting.threads,
        device=fitting.device,
        limit=asked.latency,
    )
    return latency.p50 <= asked.latency


def _is_better(pool: _Pool, chosen: Selection, scores: Sequence[Array]) -> bool:
    """Return whether the metric is not lower by more than one standard error, and for `auto` the loss clearly lower."""
    setup, task = pool.setup, pool.info.task
    mean = chosen.mean(scores)
    metric = paired_difference(setup.metric.name, pool.targets, scores[0], mean, task, seed=setup.config.seed)
    if metric.exceeds(1.0):  # the single model is better
        return False
    gain = row_losses(scores[0], pool.targets, task) - row_losses(mean, pool.targets, task)
    error = math.sqrt(float(np.mean(gain**2)) / len(gain))
    return setup.config.deliver == "ensemble" or float(gain.mean()) > error


def _rows_of(pool: _Pool, chosen: Selection, candidates: Sequence[_Candidate]) -> list[dict[str, Any]]:
    """Return the members for result.json: each with its share, what it gained when it came in, and what it costs."""
    total, rows = len(chosen.order), list[dict[str, Any]]()
    for place, count in chosen.counts.items():
        first = chosen.order.index(place)
        one = candidates[place]
        gain = 0.0 if first == 0 else chosen.losses[first - 1] - chosen.losses[first]
        milliseconds = 1e3 * one.per_row
        rows.append(
            {
                "trial": one.trial,
                "model": one.member.architecture,
                "weight": round(count / total, 4),
                "loss_gain": round(gain, 6),
                "ms_per_image": round(milliseconds, 3),
                "weights": one.weights,
                "words": f"{one.words} ({count / total:.0%}, {milliseconds:.1f} ms)",
            }
        )
    return rows
