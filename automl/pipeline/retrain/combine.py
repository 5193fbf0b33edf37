"""Combine the model that would be delivered alone with others of the study, where validation images show a gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from automl.config.names import directory_flag
from automl.final.confidence.answers import KnownAnswers
from automl.final.cost.latency import measure_latency
from automl.final.cost.network import counts_of
from automl.final.ensemble.select import Selection, clearly_lower, select
from automl.final.evidence.candidates import KEPT_PART, Alternative
from automl.final.evidence.delivery import DERIVED, NAMES, Combined, Delivery
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.paired import Difference, paired_difference
from automl.final.evidence.verdict import Final
from automl.pipeline.plan.constants import COMBINING_SHARE, FEWEST_COMBINED, SCORING_SPARE
from automl.pipeline.retrain.pool import Pool, PoolModel, can_be_member
from automl.pipeline.retrain.soup import soup_of, without_partner
from automl.pipeline.setup import Setup
from automl.records import Config
from automl.search import SearchResult
from automl.spaces.architectures.factories import ENSEMBLE

Array = npt.NDArray[Any]
WISHES = ("auto", "soup", "ensemble")  # the values of --deliver that combine models
SMALL = "small"


def with_time_to_combine(setup: Setup, found: SearchResult) -> Setup:
    """Return the setup for making the single model: it leaves time for the others, if they may be combined."""
    left = setup.clock.remaining()
    wish, splits = setup.config.deliver, setup.data.splits
    possible = wish in WISHES and len(splits.val) >= FEWEST_COMBINED and not splits.folds
    if wish == "soup":
        possible = possible and any(trial.config.get("pretrained") for trial in found.trials)
    if not possible or left is None:
        return setup
    return replace(setup, clock=setup.clock.shortened(COMBINING_SHARE * left))


def asked_before(result: Mapping[str, Any]) -> str:
    """Return what --deliver was when a result was made; earlier versions say it only if they made an ensemble."""
    retrain = result["retrain"]
    made = retrain.get("made", retrain.get("how"))
    return str(result.get("deliver") or ("ensemble" if made == Delivery.ENSEMBLE else "single"))


def asks_anew(setup: Setup, earlier: Earlier) -> bool:
    """Return whether this run is asked for more than a single model, and the earlier one for something else."""
    wish = setup.config.deliver
    return wish in (*WISHES, SMALL) and wish != asked_before(earlier.result)


def as_it_is(setup: Setup, earlier: Earlier) -> Final | None:
    """Return the earlier model as the one that others are combined with or learn from; None if it must be another.

    It may be used if it is a single model and enough validation images are left that it did not train on, or if there
    are too few of them in all, so that a new training would not help.
    """
    splits = setup.data.splits
    if earlier.made in DERIVED:
        return None
    hopeless = bool(splits.folds) or len(splits.val) < KEPT_PART * FEWEST_COMBINED
    if len(earlier.unseen) < FEWEST_COMBINED and not hopeless:
        return None
    evidence = dict(earlier.result["retrain"].get("evidence") or {})
    return Final(earlier.model, earlier=earlier, unseen=earlier.unseen, evidence=evidence)


def single_stays(setup: Setup, earlier: Earlier) -> str:
    """Return that a single model is asked for and the earlier one is none, with what to do; "" otherwise."""
    if setup.config.deliver != "single" or earlier.made not in DERIVED:
        return ""
    study, trial = setup.config.study, earlier.result["best"]["trial"]
    flag = directory_flag(setup.config.directory)
    return (
        f"The model stays {NAMES[earlier.made]} of the earlier run; `automl deliver {study} --trial {trial}{flag}` "
        "makes a single one the model."
    )


def combined(setup: Setup, found: SearchResult, final: Final, should_stop: Callable[[], bool]) -> Final:
    """Return a soup or an ensemble that begins with the single model in `final`, or `final` if none is worth its cost.

    All is decided by validation rows that no member trained on: if the single model is a retrain, those that were kept
    out of it. The others are the study's trials that left weights, and its linear heads. A soup costs nothing more at
    prediction time. With --deliver auto, its loss must be lower than that of the single model by more than one standard
    error, and that of an ensemble lower than that of the better one of both. The holdout takes no part.
    """
    if setup.config.deliver not in WISHES or final.stopped or should_stop():
        return final
    if final.earlier is not None:
        if not asks_anew(setup, final.earlier):
            return final
        final = replace(final, unseen=final.earlier.unseen)
    if why := _no_rows(setup, final):
        setup.observer.note(f"{_NONE[setup.config.deliver]}: {why}.")
        return final
    return _decided(Pool(setup, found, final), final)


def _decided(pool: Pool, final: Final) -> Final:
    """Return the best of the single model, a soup and an ensemble, of those that are asked for."""
    wish, observer = pool.setup.config.deliver, pool.setup.observer
    observer.stage("combine", f"looking for {_IN_WORDS[wish]}")
    why = without_partner(pool, final.model) if wish == "soup" else ""
    if not can_be_member(final.model):
        why = "models of timm can be combined, and this one is none"
    base = None if why else pool.single()
    if base is None:
        observer.note(f"{_NONE[wish]}: {why or 'there is no time to score the model itself'}.")
        return final
    decision = _Decision(pool, final, base)
    if wish == "soup" or (wish == "auto" and pool.start_of(base.model) is not None):
        decision.note("soup", decision.try_soup())
    if wish != "soup":
        decision.note("ensemble", decision.try_ensemble())
    return decision.final


_NONE = {"auto": "No soup and no ensemble", "soup": "No soup", "ensemble": "No ensemble"}
_IN_WORDS = {"auto": "a soup or an ensemble", "soup": "a soup", "ensemble": "an ensemble"}


def _no_rows(setup: Setup, final: Final) -> str:
    """Return why no rows are left by which models could be compared; "" if there are enough."""
    if setup.data.splits.folds:
        return "under cross-validation no image is left by which all members could be compared"
    if len(final.unseen) >= FEWEST_COMBINED:
        return ""
    return (
        f"only {len(final.unseen)} of {len(setup.data.splits.val)} validation images are left that the model did not "
        f"train on, and {FEWEST_COMBINED} are needed (a third is kept out of the final training)"
    )


class _Decision:
    """What is delivered by now: `final`, whose scores on the rows of the pool are those of `best`."""

    def __init__(self, pool: Pool, final: Final, base: PoolModel) -> None:
        self.pool, self.final, self.best = pool, final, base
        self._single = base

    def note(self, what: str, why: str) -> None:
        """Tell why there is no soup or ensemble; nothing if `why` is empty."""
        if why:
            self.pool.setup.observer.note(f"No {what}: {why}.")

    def try_soup(self) -> str:
        """Deliver a soup if it is better; return why there is none, "" if there is one."""
        found = soup_of(self.pool, self._single)
        if isinstance(found, str):
            return found
        if not self._is_better(found.model.scores):
            return "the mean of the weights is not clearly better on validation images"
        losses, total = found.losses, len(found.members)
        rows = [
            {
                "trial": trial,
                "model": found.model.member.architecture,
                "weight": round(1 / total, 4),
                "loss_gain": round(losses[place - 1] - losses[place], 6) if place else 0.0,
                "weights": self._single.weights,
                "words": words,
            }
            for place, (words, trial) in enumerate(found.members)
        ]
        self._deliver(found.model.model, found.model.scores, losses, rows)
        self.best = found.model
        return ""

    def try_ensemble(self) -> str:
        """Deliver an ensemble that begins with the best model by now if it is better; return why there is none."""
        pool = self.pool
        known = [self._single] if self.best is self._single else [self.best, self._single]
        candidates = pool.candidates(known)
        if len(candidates) < 2:
            return "there is no other model with weights, or no time to score one"
        scores = [one.scores for one in candidates]
        chosen = select(scores, pool.targets, pool.task)
        wanted = len(chosen.counts)
        while len(chosen.counts) > 1 and not _is_affordable(pool, chosen, candidates):
            chosen = Selection(chosen.order[:-1], chosen.losses[:-1])
        if len(chosen.counts) < min(2, wanted):
            return "it would exceed the limits of the model, or the time left for scoring the holdout"
        mean = chosen.mean(scores)
        if len(chosen.counts) < 2 or not self._is_better(mean):
            return f"none of {len(candidates) - 1} other models lowers the loss on validation images enough"
        total = len(chosen.order)
        members = [replace(candidates[k].member, weight=n / total) for k, n in chosen.counts.items()]
        trained = pool.together(members, [candidates[k].network for k in chosen.counts])
        config: Config = {"model": ENSEMBLE, "lr": 1.0, "hflip": pool.mirrored}
        value = self.final.model.value
        model = Alternative(Delivery.ENSEMBLE, config, trained, value, mirrored=pool.mirrored)
        self._deliver(model, mean, chosen.losses, _rows_of(chosen, candidates))
        return ""

    def _is_better(self, scores: Array) -> bool:
        """Return whether the metric is not clearly lower, and for `auto` the loss lower by more than its error."""
        pool, before = self.pool, self.best.scores
        if self._difference(before, scores).exceeds(1.0):  # what is delivered by now is better
            return False
        wish = pool.setup.config.deliver
        return wish != "auto" or clearly_lower(before, scores, pool.targets, pool.task)

    def _difference(self, first: Array, second: Array) -> Difference:
        setup, pool = self.pool.setup, self.pool
        seed = setup.config.seed
        return paired_difference(setup.metric.name, pool.targets, first, second, pool.task, seed=seed)

    def _deliver(
        self, model: Alternative, scores: Array, losses: Sequence[float], rows: list[dict[str, Any]]
    ) -> None:
        """Deliver a model of several, which `rows` describe, in the place of what was delivered by now."""
        final, pool, kind = self.final, self.pool, model.delivery
        values = self._difference(self._single.scores, scores)
        about = {
            "rows": len(pool.rows),
            "losses": list(losses),
            "trial": self._single.trial,
            "single_value": values.first,
            "value": values.second,
        }
        words = tuple(row["words"] for row in rows)
        why = Combined(words, final.delivery, (losses[0], losses[-1]), len(pool.rows), kind)
        self.final = replace(
            final,
            model=model,
            reasons=(*final.reasons, why),
            earlier=None,
            evidence={**final.evidence, kind.value: about},
            answers=KnownAnswers(pool.targets, scores),
            members=tuple(rows),
        )


def _is_affordable(pool: Pool, chosen: Selection, candidates: Sequence[PoolModel]) -> bool:
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


def _rows_of(chosen: Selection, candidates: Sequence[PoolModel]) -> list[dict[str, Any]]:
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
