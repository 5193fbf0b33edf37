"""Linear heads in words, as trials of the study, and as models that may be delivered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from automl.config.metrics import METRICS
from automl.data.balance import EVEN_METRICS
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.resampling.weighted_metrics import weighted
from automl.final.retrain import Retrained
from automl.records import VAL_ROWS, Config, DatasetInfo, HeadTrial
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import DEPTHS_WORDS
from automl.training.evaluate import Answers
from automl.training.heads import Head
from automl.training.models.complexity import PARAMS, parameters
from automl.training.steps.losses import in_units


def number_of(model: Alternative, heads: Sequence[StoredTrial]) -> int | None:
    """Return the number of the trial that a delivered head is; None if the study has none for it."""
    known = {head_key(head.config): head.number for head in heads}
    size = model.trained.size if model.config.get("pretrained") else None
    return known.get(head_key({**model.config, "size": size}))


def value_words(head: Head, metric: str, info: DatasetInfo) -> str:
    """Return the metric of a head, its value, and what it was computed on."""
    crossed, n_val = head.out_of_fold, info.n_scored
    if crossed is None:
        few = f"{head.n_val:,} of {n_val:,}" if head.n_val < n_val else "the"
        return f"{metric} {head.val_score:.4f} on {few} validation images"
    times = f", mean of {len(crossed.values)} times" if len(crossed.values) > 1 else ""
    said = f"{crossed.value:.4f} by cross-validation ({len(crossed.rows):,} images in {crossed.folds} folds{times})"
    return (
        f"{metric} {said}"
        if info.folds
        else f"{metric} {head.val_score:.4f} on the validation images and {said}"
    )


def head_key(config: Config) -> str:
    """Return the name of a head within its study: a resumed study knows it by that."""
    if not config.get("pretrained"):
        return "pixels"
    pool = config.get("global_pool")
    said = f"features of {config['model']} at {config['size']} px" + (f", {pool}" if pool else "")
    return said + (f", {DEPTHS_WORDS}" if config.get("depths") else "")


def features_in_words(head: Head) -> str:
    """Return what a head sees, with the tag of the weights and the size of the images."""
    name = head.config["model"] if head.weights is None else head.weights.model
    pool = {"token": " (class token)", "avg": " (mean of its tokens)"}.get(
        head.config.get("global_pool", ""), ""
    )
    depths = f" {DEPTHS_WORDS}" if head.config.get("depths") else ""
    return f"features of {name}{depths}{pool} at {head.size} px"


def proved(heads: Sequence[Head], metric: str) -> list[Head]:
    """Return the heads without those on features from all depths that are not better than the simpler ones.

    Better is: by the metric, and by the loss of the same rows, which says more of few images. Where the metric weighs
    classes alike, so does the loss. The simpler head is a network of timm, which anybody can load.
    """
    simple = {head_key(head.config): head for head in heads if not head.config.get("depths")}
    kept = []
    for head in heads:
        other = simple.get(head_key({**head.config, "depths": 0})) if head.config.get("depths") else None
        if other is None or _better(head, other, metric):
            kept.append(head)
    return kept


def _better(head: Head, other: Head, metric: str) -> bool:
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0
    crossed = head.out_of_fold is not None and other.out_of_fold is not None
    (value, one), (lower, two) = (_scored(each, crossed) for each in (head, other))
    if sign * (value - lower) <= 0.0:
        return False
    if one is None or two is None or not np.array_equal(one.rows, two.rows):  # too many to be kept
        return True
    return _loss(one, head.info, metric) < _loss(two, head.info, metric)


def _loss(answers: Answers, info: DatasetInfo, metric: str) -> float:
    """Return the root of the mean squared error or the log loss, with classes weighed as the metric weighs them."""
    targets, scores = answers.targets.numpy(), in_units(answers.logits, info).numpy()
    weights = np.ones((1, len(targets)))
    if info.task == "classification" and metric in EVEN_METRICS:
        weights[0] = 1.0 / np.bincount(targets)[targets]
    loss = "rmse" if info.task == "regression" else "log_loss"
    return float(weighted(loss, targets, scores, info.task, weights)[0])


def _scored(head: Head, crossed: bool) -> tuple[float, Answers | None]:
    """Return what a head is compared by: its cross-validation, or else the validation rows."""
    if crossed and head.out_of_fold is not None:
        return head.out_of_fold.value, head.out_of_fold.answers
    return head.val_score, head.answers


def head_trial(head: Head) -> HeadTrial:
    """Return a head as a trial of the study."""
    config: Config = {"model": head.config["model"]}
    if head.weights is not None:
        config |= {"pretrained": True, "weights": head.weights.model, "size": head.size}
        config |= {key: head.config[key] for key in ("global_pool", "depths") if key in head.config}
    config |= {"estimator": head.estimator, "strength": head.strength}
    metrics = {
        PARAMS: parameters(head.model),
        "train_rows": float(head.n_train),
        VAL_ROWS: float(head.n_val),
    }
    if head.out_of_fold is not None:
        metrics |= {"cv": head.out_of_fold.value, "cv_rows": float(len(head.out_of_fold.rows))}
    return HeadTrial(head_key(config), config, head.val_score, head.seconds, metrics)


def head_alternative(head: Head) -> Alternative:
    """Return a head as a model that may be delivered."""

    def trained(model: nn.Module, n: int) -> Retrained:
        return Retrained(
            model=model,
            size=head.size,
            epochs=1.0,
            seconds=head.seconds,
            n_train=n,
            images_trained=0,
            info=head.info,
            weights=head.weights,
        )

    return Alternative(
        Delivery.HEAD,
        head.config,
        trained(head.model, head.n_train),
        head.val_score,
        whole=None if head.full is None else trained(head.full, head.n_full),
        out_of_fold=head.out_of_fold,
        answers=head.answers,
    )
