"""The published weights of a search space: name, licence, size, and whether they are on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.spaces.architectures.families import capabilities
from automl.training.models.pretrained_weights import licence_of, origin_of
from automl.training.models.weight_sources import cached_file, published
from automl.training.published.download import BYTES_PER_WEIGHT
from automl.training.published.licences import is_allowed


@dataclass(frozen=True)
class Offer:
    """Published weights of the network that a space calls `model`.

    `weights` is timm's name with the tag, `cfg` timm's entry for it. `size` is in bytes: that of the file if it is on
    this machine (`cached`), otherwise an estimate from the number of parameters. `allowed`: whether a study with this
    choice of licences would load them.
    """

    model: str
    weights: str
    licence: str
    allowed: bool
    size: int
    cached: Path | None
    origin: str
    cfg: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the offer for JSON."""
        return {
            "model": self.model,
            "weights": self.weights,
            "licence": self.licence,
            "allowed": self.allowed,
            "size": self.size,
            "size_is_estimated": self.cached is None,
            "cached": None if self.cached is None else str(self.cached),
            "origin": self.origin,
        }


def offers(models: Iterable[str], licences: str) -> list[Offer]:
    """Return the weights that a study would load for these models, without those that have none.

    Of several weights of one network these are, in this order: allowed ones on this machine, allowed ones, any.
    """
    found = (_offer(model, licences) for model in dict.fromkeys(models))
    return [offer for offer in found if offer is not None]


def _offer(model: str, licences: str) -> Offer | None:
    known = [
        (not is_allowed(licence_of(cfg), licences), cached_file(cfg), name, cfg)
        for name, cfg in published(model).items()
    ]
    if not known:
        return None
    refused, cached, name, cfg = min(
        known, key=lambda row: (row[0], row[1] is None)
    )  # the first of equal ones
    estimate = round(capabilities(model).params * 1e6 * BYTES_PER_WEIGHT)
    return Offer(
        model=model,
        weights=name,
        licence=licence_of(cfg),
        allowed=not refused,
        size=cached.stat().st_size if cached is not None else estimate,
        cached=cached,
        origin=origin_of(cfg),
        cfg=cfg,
    )
