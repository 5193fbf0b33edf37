"""Linear heads in words, as trials of the study, and as models that may be delivered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from automl.config.metrics import METRICS
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.records import VAL_ROWS, Config, DatasetInfo, HeadTrial
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import DEPTHS_WORDS
from automl.training.evaluate import Answers
from automl.training.heads import Head
from automl.training.models.complexity import PARAMS, parameters
from automl.training.steps.losses import standardised


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
    """Return the heads without those on features from all depths that are not clearly better than the simpler ones.

    Clearly is: by the metric, and by more than one standard error of the mean difference between their losses for the
    same rows. The simpler head is a network of timm, which anybody can load.
    """
    simple = {head_key(head.config): head for head in heads if not head.config.get("depths")}
    kept = []
    for head in heads:
        other = simple.get(head_key({**head.config, "depths": 0})) if head.config.get("depths") else None
        if other is None or _clearly_better(head, other, metric):
            kept.append(head)
    return kept


def _clearly_better(head: Head, other: Head, metric: str) -> bool:
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0
    if sign * (_value(head) - _value(other)) <= 0.0:
        return False
    one, two = _answers(head), _answers(other)
    if one is None or two is None or not np.array_equal(one.rows, two.rows):  # too many to be kept
        return True
    gain = (row_losses(two, other.info) - row_losses(one, head.info)).double()
    error = float(gain.std()) / max(1, len(gain)) ** 0.5
    return bool(float(gain.mean()) > error)


def _value(head: Head) -> float:
    return head.val_score if head.out_of_fold is None else head.out_of_fold.value


def _answers(head: Head) -> Answers | None:
    return head.answers if head.out_of_fold is None else head.out_of_fold.answers


def row_losses(answers: Answers, info: DatasetInfo) -> Tensor:
    """Return the loss for each row (n,): log loss, its mean over labels, or the mean squared error in deviations."""
    if info.task == "classification":
        return F.cross_entropy(answers.logits, answers.targets.long(), reduction="none")
    wanted = standardised(answers.targets, info).float()
    if info.task == "multilabel":
        return F.binary_cross_entropy_with_logits(answers.logits, wanted, reduction="none").mean(dim=1)
    return (answers.logits - wanted).square().flatten(1).mean(dim=1)


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
    )
