"""The layers of a network in timm's order: stages of a convolutional network, blocks of a transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.torch_setup import import_timm

if TYPE_CHECKING:
    from torch import nn

_GROUPS = 6  # of a network that does not describe its layers


def layers(model: nn.Module, *, coarse: bool) -> dict[str, int]:
    """Return the number of each parameter's layer, from 0 at the input to the head."""
    timm = import_timm()
    matcher: Any = getattr(model, "group_matcher", None)
    try:
        found: dict[str, int] = timm.models.group_parameters(model, matcher(coarse=coarse), reverse=True)
    except (TypeError, AssertionError):  # no matcher, or not of this kind
        found = timm.optim.auto_group_layers(model, num_groups=_GROUPS)
    top = max(found.values(), default=0)
    return {name: found.get(name, top) for name, _ in model.named_parameters()}
