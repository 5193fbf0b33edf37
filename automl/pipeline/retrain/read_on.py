"""Let a linear head see more images, where that promises more than the retrain.

The first look at the features of a network has a small part of the time, and reads as many images as that holds. When
the search is over, the time left goes to the head if its usual error with more images is below what the retrain would
have with the steepest of curves: the first rounds of a training say little about its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from automl.errors import StorageError, StudyError
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.projection import project
from automl.final.heads import features_in_words, head_alternative, head_key, head_trial, proved, value_words
from automl.machine import Moment, cache_folder
from automl.pipeline.plan.constants import HEAD_EXPONENT, READ_ON_SHARE, READ_ON_TIMES
from automl.pipeline.plan.heads import feature_heads, save_files, within_limits
from automl.pipeline.retrain.promise import Promise
from automl.pipeline.retrain.retrain_time import RetrainTime, interrupted
from automl.pipeline.setup import Setup
from automl.records import Config
from automl.review.front.kept import HEADS_FOLDER
from automl.search import SearchResult, SearchSettings
from automl.search.run import keep_heads
from automl.training.heads import Head
from automl.training.heads.feature_head import READING_SHARE
from automl.training.heads.features import MOST_TRAIN
from automl.training.models.finetune import head_name
from automl.training.models.hyperparameters import Recipe


@dataclass(frozen=True)
class Further:
    """A head that could be fitted on `rows` images in `seconds`, and the value of the metric expected then."""

    head: Alternative
    rows: int
    seconds: float
    expected: float


def read_on(
    setup: Setup, promise: Promise, settings: Callable[[], SearchSettings], asked: Callable[[], bool]
) -> tuple[Setup, SearchResult]:
    """Return setup and search result with heads that have seen more images, if those promise more than the retrain.

    The heads replace those of the same network, also in the study, which `settings` describe. `asked` returns whether
    Ctrl-C was pressed: then they are fitted on what was read by then. Without such heads, nothing changes.
    """
    found, better = promise.found, 1.0 if setup.metric.mode == "max" else -1.0
    further = further_of(setup, found)
    if further is None or not better * (further.expected - promise.at_best) > 0.0:  # False for NaN
        return setup, found
    head, metric = further.head, setup.metric.name
    setup.observer.stage("head", f"reading features of {_network(head)} of more images")
    setup.observer.note(
        f"With {further.rows:,} images in place of {head.trained.n_train:,}, the linear head on features of "
        f"{_network(head)} promises {metric} {further.expected:.4f}, the retrain {promise.at_best:.4f} at best: so the "
        "time left goes to its features."
    )
    heads = _fitted(setup, further, asked)
    if not heads:
        return setup, found
    for one in heads:
        value = value_words(one, metric, setup.data.splits.info)
        setup.observer.note(f"A linear head on {features_in_words(one)}: {value} ({one.n_train:,} images).")
    return _with_heads(setup, heads), _stored(setup, found, settings(), heads)


def further_of(setup: Setup, found: SearchResult) -> Further | None:
    """Return the best head on features that the time left holds clearly more images for; None if there is none."""
    if setup.clock.remaining() is None or interrupted(found) or setup.config.deliver != "single":
        return None
    if setup.config.retrain_workers > 1:
        return None
    seconds = READ_ON_SHARE * RetrainTime(setup, found).left([setup.row_seconds])
    every = min(setup.data.splits.train.n, MOST_TRAIN)
    known = [one for one in setup.alternatives if _may_read(one, every)]
    better = 1.0 if setup.metric.mode == "max" else -1.0
    best = max(known, key=lambda one: better * one.value, default=None)
    if best is None or seconds <= 0.0:
        return None
    seen = best.trained.n_train * (1.0 + setup.data.splits.val.n / setup.data.splits.train.n)
    per_row = max(setup.row_seconds, READING_SHARE * best.trained.seconds / seen)
    known_share = 0.0 if cache_folder() is None else 1.0  # what was read is in the cache
    more = known_share + READING_SHARE * seconds / (per_row * seen)
    times = min(every / best.trained.n_train, more)
    if times < READ_ON_TIMES:
        return None
    expected = project([1.0], [best.value], times, setup.metric.name, usual=HEAD_EXPONENT)
    return Further(best, round(times * best.trained.n_train), seconds, expected)


def _may_read(model: Alternative, every: int) -> bool:
    """Return whether a model is a head on features of a part of the images, compared by the validation rows."""
    on_features = model.delivery is Delivery.HEAD and model.trained.weights is not None
    known = math.isfinite(model.value) and model.out_of_fold is None
    return on_features and known and model.trained.n_train < every


def _fitted(setup: Setup, further: Further, asked: Callable[[], bool]) -> list[Head]:
    """Fit the heads of a network again, within their time. Features that were read are in the cache."""
    head = further.head
    assert head.trained.weights is not None  # it is on features
    fitter = feature_heads(
        setup.data.splits,
        setup.metric.name,
        setup.identity["balance"],
        setup.device,
        seed=setup.config.seed,
        should_stop=asked,
    )
    config = {name: value for name, value in head.config.items() if name != "depths"}
    until = Moment.now().later(further.seconds)
    return within_limits(fitter.fit_both(head.trained.weights, config, until=until), setup.fitting)


def _with_heads(setup: Setup, heads: list[Head]) -> Setup:
    """Return the setup with these heads in place of those of the same network, whose files are replaced."""
    folder = setup.workspace.root / HEADS_FOLDER
    for head in heads:
        assert head.weights is not None
        save_files(head, folder / f"{head_name(Recipe.from_config(head.config), head.weights)}.safetensors")
    new = [head_alternative(head) for head in proved(heads, setup.metric.name)]
    replaced = {_key(one.config, one.trained.size) for one in new}
    others = [
        one
        for one in setup.alternatives
        if one.delivery is not Delivery.HEAD or _key(one.config, one.trained.size) not in replaced
    ]
    trials = {one.key: one for one in (*setup.heads, *map(head_trial, heads))}
    return replace(setup, alternatives=(*others, *new), heads=tuple(trials.values()))


def _key(config: Config, size: int) -> str:
    return head_key({**config, "size": size, "depths": 0})


def _stored(setup: Setup, found: SearchResult, settings: SearchSettings, heads: list[Head]) -> SearchResult:
    """Write the heads into the study, and return the result of the search with them."""
    try:
        stored = keep_heads(setup.space, settings, [head_trial(head) for head in heads])
    except (StorageError, StudyError) as error:
        setup.observer.note(f"The study keeps the earlier values of these heads: {error}.")
        return found
    return replace(found, heads=stored)


def _network(head: Alternative) -> str:
    assert head.trained.weights is not None
    return head.trained.weights.model
