"""The first models of a study, within seconds: linear heads on small pixels and on features of pretrained networks.

They may be delivered, every later model must beat them, and fine-tuning begins with those on features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.machine import Moment, cache_folder, cores
from automl.pipeline.context import Context
from automl.pipeline.plan.constants import (
    FEATURES_FIRST,
    FEATURES_FIRST_SHARE,
    FEATURES_SECONDS,
    FEATURES_SHARE,
    HEAD_SECONDS,
    HEAD_SHARE,
)
from automl.pipeline.plan.plan import Basis
from automl.records import Config
from automl.spaces.architectures.families import capabilities
from automl.torch_setup import set_threads
from automl.training.heads import Head, fit_feature_head, fit_linear_head
from automl.training.models.finetune import save_head

FOLDER = "heads"  # in the study's folder: a file for each network, with which its fine-tuning begins


@dataclass(frozen=True)
class Heads:
    """The heads as models that may be delivered, and the files of those on features, by network."""

    models: tuple[Alternative, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)


def fit_heads(context: Context, basis: Basis) -> Heads:
    """Fit the head on pixels, if there is a time limit, and one for each pretrained network while there is time."""
    found = [] if context.clock.limit is None else [*_on_pixels(context, basis)]
    files: dict[str, Path] = {}
    for model, head in _on_features(context, basis):
        found.append(_alternative(head))
        files[model] = context.workspace.root / FOLDER / f"{model}.safetensors"
        files[model].parent.mkdir(exist_ok=True)
        classifier = head.model.get_classifier()  # type: ignore[operator]
        save_head(classifier.weight, classifier.bias, files[model])
        context.observer.note(
            f"A linear head on features of {model} at {head.size} px: {basis.metric.name} {head.val_score:.4f} on the "
            f"validation images, after {context.clock.elapsed():.0f} s."
        )
    return Heads(tuple(found), files)


def _on_pixels(context: Context, basis: Basis) -> Iterator[Alternative]:
    """Yield the head on small pixels: what every model must beat."""
    context.observer.stage("head", "fitting a linear head on 16 x 16 pixels")
    set_threads(cores())
    head = fit_linear_head(
        basis.splits,
        metric=basis.metric.name,
        mode=basis.metric.mode,
        until=Moment.now().later(min(HEAD_SECONDS, HEAD_SHARE * (context.clock.remaining() or 0.0))),
        balance=basis.balance,
        seed=context.config.seed,
    )
    if head is not None:
        yield _alternative(head)


def _on_features(context: Context, basis: Basis) -> Iterator[tuple[str, Head]]:
    """Yield the heads on frozen features, of the best network first."""
    pretrained, device = basis.pretrained, basis.device
    recipe = next((config for config in pretrained.space.portfolio if config.get("pretrained")), None)
    for place, (model, weights) in enumerate(pretrained.weights.items()):
        if recipe is None:
            return
        context.observer.stage("head", f"fitting a linear head on features of {model}")
        head = fit_feature_head(
            basis.splits,
            weights,
            _config(recipe, model),
            metric=basis.metric.name,
            mode=basis.metric.mode,
            until=Moment.now().later(_seconds(context.clock.remaining(), first=place == 0)),
            balance=basis.balance,
            seed=context.config.seed,
            threads=device.all_threads if device.kind == "cpu" else 1,
            device=device.kind,
            cache=cache_folder(),
            views=1,  # mirror images double the time and gain little: decision 88
        )
        if head is None:
            return
        yield model, head


def _config(recipe: Config, model: str) -> Config:
    """Return the configuration of a head: the network at the size of its weights, with nothing that augments."""
    return {
        **recipe,
        "model": model,
        "pretrained": True,
        "size": capabilities(model).input_size,
        "freeze": "head",
    }


def _seconds(remaining: float | None, *, first: bool) -> float:
    """Return the seconds for the features of a network. Those of the first have more: it is the floor of the study."""
    if remaining is None:
        return FEATURES_SECONDS
    share = FEATURES_SHARE * remaining
    return min(
        FEATURES_SECONDS,
        max(share, min(FEATURES_FIRST, FEATURES_FIRST_SHARE * remaining)) if first else share,
    )


def _alternative(head: Head) -> Alternative:
    def trained(model: object, n: int) -> Retrained:
        return Retrained(
            model=model,  # type: ignore[arg-type]
            size=head.size,
            epochs=1.0,
            seconds=head.seconds,
            n_train=n,
            images_trained=0,
            info=head.info,
            weights=head.weights,
        )

    whole = None if head.full is None else trained(head.full, head.n_train + head.n_val)
    return Alternative(
        Delivery.HEAD, head.config, trained(head.model, head.n_train), head.val_score, whole=whole
    )
