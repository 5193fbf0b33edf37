"""Find out what arguments a model accepts, by building it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError
from automl.spaces.architectures.capability import POOLS, Capability
from automl.spaces.architectures.factories import create

if TYPE_CHECKING:
    from torch import nn

_SIZES = (32, 48, 64, 96, 112, 128, 160, 192, 224, 240, 256, 288, 320, 384, 448, 512)
_SMALL_PATCH = 4
_RESIZED = (
    "pos_embed",
    "relative_position_bias_table",
)  # weights of positions that timm brings to another size
_STEM = 4  # px; patch size of networks whose stem of patches is not called patch_embed


def measure(model: str) -> Capability:
    """Build `model` with each keyword and try input sizes from 32 px on. Raises SpaceError if none works.

    torch's meta device computes only shapes.
    """
    img_size = _builds(model, img_size=224) is not None
    plain = None if img_size else _builds(model)
    for smallest in _SIZES:
        built = _builds(model, img_size=smallest) if img_size else plain
        if built is not None and _runs(built, smallest):
            break
    else:
        raise SpaceError(
            f"the model {model!r} must train on square RGB images of 32 to 512 px, but it accepts no such size: "
            "remove it from the space"
        )
    sized = {"img_size": smallest} if img_size else {}
    native = _native(built, smallest)
    whole = _builds(model, img_size=native) if img_size else built
    writes, layers = _writes(whole, native)
    pool, pool_norm = _pool(model, built, **sized)
    return Capability(
        model=model,
        img_size=img_size,
        drop_path=_builds(model, drop_path_rate=0.1, **sized) is not None,
        patch_size=_patch_size(model, built, img_size),
        stride=_stride(built),
        channels=_channels(model, built),
        stem=_stem(model, built),
        min_size=smallest,
        fixed_size=not (_runs(built, 2 * smallest) or _runs(built, smallest + 32)),
        params=_params(built),
        input_size=native,
        macs=round(_macs(whole, native), 4),
        writes=round(writes, 3),
        layers=layers,
        weights=_weights(built),
        licence=str(_cfg(built).get("license") or "unknown").lower() if _weights(built) else "",
        pool=pool,
        pool_norm=pool_norm,
        one_size=img_size and _of_one_size(model, native),
    )


def measure_size(model: str) -> tuple[float, float, str]:
    """Return what limits need: millions of parameters with 10 outputs, billions of multiplications, tag of the weights.

    The multiplications are those at the model's own size. This takes a fraction of the time of `measure`. Raises
    SpaceError for a model that cannot be built.
    """
    built = _builds(model)
    if built is None:
        raise SpaceError(f"the model {model!r} cannot be built with 10 outputs: remove it from the space")
    return _params(built), round(_macs(built, _native(built, 224)), 4), _weights(built)


def _builds(model: str, **keywords: Any) -> nn.Module | None:
    """Return the model without memory for its weights; None if timm refuses the keywords."""
    import torch

    try:
        with torch.device("meta"):
            return create(model, **{"num_classes": 10, "in_chans": 3, **keywords})
    except (
        TypeError,
        ValueError,
        RuntimeError,
        AssertionError,
        AttributeError,
        LookupError,
        ArithmeticError,
    ):
        return None


def _runs(model: nn.Module, size: int) -> bool:
    """Return whether forward and backward work for two images in training mode."""
    import torch

    try:
        model.train()(torch.zeros((2, 3, size, size), device="meta")).sum().backward()
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError, ArithmeticError):
        return False
    return True


def _patch_size(model: str, built: nn.Module, img_size: bool) -> int:
    """Return the side of the patches (of a ConvNeXt: of its stem) if it also trains with smaller ones, else 0."""
    patch = getattr(getattr(built, "patch_embed", None), "patch_size", None) or _STEM
    largest = max(patch) if isinstance(patch, (tuple, list)) else int(patch)
    smaller = _SMALL_PATCH if largest > _SMALL_PATCH else largest // 2
    small = _builds(model, patch_size=smaller, **({"img_size": 32} if img_size else {}))
    return largest if small is not None and _runs(small, 32) else 0


def _of_one_size(model: str, native: int) -> bool:
    """Return whether weights have other shapes at another size, and are none of those that timm brings to it."""
    whole, smaller = (_builds(model, img_size=size) for size in (native, native // 2))
    if whole is None or smaller is None:
        return True
    shapes = {name: value.shape for name, value in smaller.state_dict().items()}
    return any(
        shapes.get(name) != value.shape and not name.endswith(_RESIZED)
        for name, value in whole.state_dict().items()
    )


def _pool(model: str, built: nn.Module, **sized: int) -> tuple[str, dict[str, bool]]:
    """Return how a network pools its tokens if it takes both ways, and what keeps its weights the same; "" otherwise.

    timm's transformers move their last norm behind the pooling, under another name, if they take the mean. Then the
    weights of that norm would not be loaded.
    """
    import torch

    own: str = getattr(built, "global_pool", "")
    classifier: Any = getattr(built, "get_classifier", lambda: None)()
    if own not in POOLS or getattr(built, "cls_token", None) is None:
        return "", {}
    if not isinstance(classifier, torch.nn.Linear):  # two tokens with a classifier each
        return "", {}
    wanted = next(pool for pool in POOLS if pool != own)
    behind = bool(list(getattr(built, "fc_norm", torch.nn.Identity()).parameters()))
    for keep in ({}, {"fc_norm": behind}, {"use_fc_norm": behind}):
        other = _builds(model, global_pool=wanted, **keep, **sized)
        if other is not None and other.state_dict().keys() == built.state_dict().keys():
            taken = getattr(other, "global_pool", "") == wanted
            return (own, keep) if taken and _runs(other, next(iter(sized.values()), 224)) else ("", {})
    return "", {}


def _params(built: nn.Module) -> float:
    return round(sum(p.numel() for p in built.parameters()) / 1e6, 3)


def _native(built: nn.Module, otherwise: int) -> int:
    """Return the side in pixels of the images that a model was designed for."""
    return int((_cfg(built).get("input_size") or (3, otherwise, otherwise))[-1])


def _weights(built: nn.Module) -> str:
    cfg = _cfg(built)
    return str(cfg.get("tag") or "") if cfg.get("hf_hub_id") or cfg.get("url") else ""


def _cfg(built: nn.Module) -> dict[str, Any]:
    return dict(getattr(built, "pretrained_cfg", None) or {})


def _stride(built: nn.Module) -> int:
    """Return how many times smaller than the image the last features are; 0 if unknown."""
    features: Any = getattr(built, "feature_info", None)
    return int(features[-1]["reduction"]) if isinstance(features, list) and features else 0


def _macs(built: nn.Module | None, size: int) -> float:
    """Return billions of multiplications for one image of `size` pixels; 0 without a model."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    if built is None:
        return 0.0
    # With gradients: without, torch's counter fails on parameters that are inputs of a layer (CaiT's token).
    with FlopCounterMode(display=False) as counter:
        built.eval()(torch.zeros((1, 3, size, size), device="meta"))
    return float(counter.get_total_flops()) / 2e9


def _writes(built: nn.Module | None, size: int) -> tuple[float, int]:
    """Return millions of numbers that layers write for one image of `size` pixels, and the number of layer calls.

    These are the activations of Radosavovic et al., "Designing Network Design Spaces" (2020), but of all layers. 0
    without a model.
    """
    import torch

    if built is None:
        return 0.0, 0
    idle = (torch.nn.Identity, torch.nn.Dropout)
    written: list[int] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        written.append(output.numel() if isinstance(output, torch.Tensor) else 0)

    leaves = [
        module for module in built.modules() if not (list(module.children()) or isinstance(module, idle))
    ]
    hooks = [module.register_forward_hook(note) for module in leaves]
    with torch.no_grad():
        built.eval()(torch.zeros((1, 3, size, size), device="meta"))
    for hook in hooks:
        hook.remove()
    return sum(written) / 1e6, len(written)


def _channels(model: str, built: nn.Module) -> tuple[int, ...]:
    """Return the stage widths of a ResNet if half of each gives a smaller model; () for other models."""
    widths = (64, 128, 256, 512)
    narrow = _builds(model, channels=[width // 2 for width in widths])
    if narrow is None or not _runs(narrow, 64):
        return ()
    count, narrow_count = (sum(p.numel() for p in each.parameters()) for each in (built, narrow))
    same = _builds(model, channels=list(widths))
    unchanged = same is not None and sum(p.numel() for p in same.parameters()) == count
    return widths if unchanged and narrow_count < count else ()


def _stem(model: str, built: nn.Module) -> int:
    """Return the width of a ResNet's deep stem if half of it gives a smaller model; 0 for other models."""
    layers: Any = getattr(built, "conv1", None)
    try:
        width = int(layers[-1].out_channels) // 2  # timm's stems end at twice their width
    except (TypeError, AttributeError, IndexError):
        return 0
    same, narrow = _builds(model, stem_width=width), _builds(model, stem_width=width // 2)
    if same is None or narrow is None or not _runs(narrow, 64):
        return 0
    count, same_count, narrow_count = (_params(each) for each in (built, same, narrow))
    return width if same_count == count > narrow_count else 0
