"""Features of images: what the network hands to its classifier."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from automl.errors import ModelError, reason_of


def pooled_features(network: nn.Module, images: Tensor) -> Tensor:
    """Return the pooled features (B, d) of normalised images (B, C, H, W), by timm's two halves of a network.

    Raises ModelError for a network that does not have them, such as a user's own.
    """
    body, head = getattr(network, "forward_features", None), getattr(network, "forward_head", None)
    if not (callable(body) and callable(head)):
        raise ModelError(
            f"features need a network of timm, with forward_features and forward_head, and {type(network).__name__} is "
            "none: add these two methods to it"
        )
    try:
        found: Any = head(body(images), pre_logits=True)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:  # anybody's network
        raise ModelError(f"the network cannot give features of these images: {reason_of(error)}") from error
    if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(images):
        raise ModelError(f"the features of {type(network).__name__} must be one row for each image")
    return torch.flatten(found, 1).float()
