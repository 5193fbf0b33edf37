"""Where the network looks: LayerCAM (Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from automl.data.pixels import load_pixels, upright_size
from automl.data.sources.unlabelled import NamedImage, images_of
from automl.errors import DataError, ModelError, unknown_name
from automl.final.scoring import in_float32
from automl.records import Resize
from automl.training.models.depths.network import alone

if TYPE_CHECKING:
    from automl.final.predictor import Predictor

LEAST_SIDE = 4  # cells: a deeper map with fewer of them says nothing about a place


def explained(predictor: Predictor, image: Any, label: Any) -> npt.NDArray[np.float32]:
    """Return the heat map of a label for one image (`Predictor.explain`)."""
    info = predictor.info
    (named,) = _one(images_of(image, info))
    opened = named.load()
    width, height = upright_size(opened)
    pixels = torch.from_numpy(load_pixels(opened, info)[None].copy()).to(predictor.device)
    with in_float32(predictor.device):
        inputs = predictor.normalised(pixels)
        place = _place(predictor, label)
        heat = heat_map(predictor.model, inputs, lambda out: out[0].max() if place is None else out[0, place])
    return on_image(heat, width, height, info.resize)


def _one(images: Iterator[NamedImage]) -> list[NamedImage]:
    found = list(islice(images, 2))
    if len(found) != 1:
        raise DataError(
            f"an explanation is of one image, got {'several' if found else 'none'}: give one at a time"
        )
    return found


def _place(predictor: Predictor, label: Any) -> int | None:
    """Return which output a label is, None for the highest. Raises DataError for an unknown one."""
    if label is None:
        return 0 if len(predictor.classes) == 1 else None
    for known in (predictor.labels, predictor.classes):
        if label in known:
            return known.index(label)
    raise DataError(unknown_name("label", str(label), predictor.classes))


def heat_map(network: nn.Module, images: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Return how much each place of an image adds to its score, (H, W) from 0 to 1, for normalised images (1, C, H, W).

    Each number of the last feature map counts times its gradient, where both are positive. The map is that of the last
    layer with at least 4 x 4 cells, or else of the last one with any; of a network of tokens, that of the patches
    before its last block. `score` picks the score from the outputs (1, n). It is 0 everywhere if nothing adds to the
    score. Raises ModelError for a network without a map.
    """
    with torch.enable_grad(), _weights_frozen(network):
        images = images.detach().clone().requires_grad_()  # inference tensors have no gradients
        layer = _layer(network, images)
        with _output_kept(layer) as kept:
            value = score(network(images))
            (gradient,) = torch.autograd.grad(value, kept[-1], allow_unused=True)
    features = kept[-1].detach()
    if gradient is None:
        raise ModelError(f"the score of {type(network).__name__} does not depend on its feature map")
    parts = _as_map(network, (features * gradient.clamp(min=0)).clamp(min=0))
    found = functional.interpolate(
        parts.sum(1, keepdim=True).float(), images.shape[2:], mode="bilinear", align_corners=False
    )[0, 0]
    most = found.max()
    return found / most if most > 0 else torch.zeros_like(found)


def on_image(heat: Tensor, width: int, height: int, resize: Resize) -> npt.NDArray[np.float32]:
    """Return a heat map of the model's input as one of the whole image, (height, width).

    What "crop" cut off is 0: the model did not see it.
    """
    side = min(width, height)
    inner = (side, side) if resize == "crop" else (height, width)
    fitted = functional.interpolate(heat[None, None], inner, mode="bilinear", align_corners=False)[0, 0]
    found = np.zeros((height, width), dtype=np.float32)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    found[top : top + inner[0], left : left + inner[1]] = fitted.clamp(0, 1).cpu().numpy()
    return found


def _layer(network: nn.Module, images: Tensor) -> nn.Module:
    """Return the layer whose output is the feature map: found by a pass through the network."""
    blocks = getattr(alone(network), "blocks", None)
    if isinstance(blocks, nn.Sequential | nn.ModuleList) and len(blocks):  # of tokens, where there is a norm
        norm = getattr(blocks[-1], "norm1", getattr(blocks[-1], "norm", None))
        if isinstance(norm, nn.Module):
            return norm
    seen: list[tuple[int, nn.Module]] = []

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(module, nn.Dropout | nn.Identity) or not isinstance(output, Tensor):
            return
        if output.ndim == 4 and len(output) == len(images) and output.requires_grad:
            side = min(output.shape[1:3]) if _channels_last(output) else min(output.shape[2:])
            seen.append((side, module))

    leaves = [module for module in network.modules() if not any(True for _ in module.children())]
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        raise ModelError(
            f"an explanation needs a feature map, and no layer of {type(network).__name__} has one"
        )
    enough = min(LEAST_SIDE, max(side for side, _ in seen))
    return next(module for side, module in reversed(seen) if side >= enough)


@contextmanager
def _output_kept(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a layer gives in this block."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, output: kept.append(output))
    try:
        yield kept
    finally:
        handle.remove()


@contextmanager
def _weights_frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of the weights in this block."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)


def _as_map(network: nn.Module, parts: Tensor) -> Tensor:
    """Return features (1, C, h, w) from those of any layout: channels first or last, or tokens after others."""
    if parts.ndim == 3:
        tokens = parts[:, int(getattr(alone(network), "num_prefix_tokens", 0)) :]
        side = int(tokens.shape[1] ** 0.5)
        if side * side != tokens.shape[1]:
            raise ModelError(f"the tokens of {type(network).__name__} form no square")
        return tokens.transpose(1, 2).reshape(1, -1, side, side)
    return parts.permute(0, 3, 1, 2) if _channels_last(parts) else parts


def _channels_last(output: Tensor) -> bool:
    """Return whether a map of a square image is (B, h, w, C)."""
    return output.shape[1] == output.shape[2] != output.shape[3]
