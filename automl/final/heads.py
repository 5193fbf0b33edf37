"""Linear heads in words, as trials of the study, and as models that may be delivered."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.records import VAL_ROWS, Config, DatasetInfo, HeadTrial
from automl.search.storage.reader import StoredTrial
from automl.spaces.architectures.factories import DEPTHS_WORDS
from automl.training.heads import Head
from automl.training.models.complexity import PARAMS, parameters


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
