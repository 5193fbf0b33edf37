"""Find out what a model can be told, by building it; run with `python -m` it writes the table anew."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError
from automl.spaces.families import Capability
from automl.torch_setup import import_timm

if TYPE_CHECKING:
    from torch import nn

_SIZES = (32, 48, 64, 96, 112, 128, 160, 192, 224, 240, 256, 288, 320, 384, 448, 512)
_SMALL_PATCH = 4
_TABLE = Path(__file__).with_name("capabilities.json")


def measure(model: str) -> Capability:
    """Build `model` with each keyword and try input sizes from 32 px on. Raises SpaceError if none works.

    Nothing is computed: torch's meta device follows shapes alone.
    """
    img_size = _builds(model, img_size=224) is not None
    plain = None if img_size else _builds(model)
    for smallest in _SIZES:
        built = _builds(model, img_size=smallest) if img_size else plain
        if built is not None and _runs(built, smallest):
            break
    else:
        raise SpaceError(
            f"the model {model!r} must learn from square RGB pictures of 32 to 512 px, but it does from "
            "none: leave it out of the space"
        )
    sized = {"img_size": smallest} if img_size else {}
    return Capability(
        model=model,
        img_size=img_size,
        patch_size=_takes_smaller_patches(model, built, img_size),
        drop_path=_builds(model, drop_path_rate=0.1, **sized) is not None,
        channels=_channels(model, built),
        min_size=smallest,
        fixed_size=not (_runs(built, 2 * smallest) or _runs(built, smallest + 32)),
        params=round(sum(p.numel() for p in built.parameters()) / 1e6, 3),
    )


def write_table(models: list[str], path: Path = _TABLE) -> None:
    """Measure `models` and write the table, sorted by name."""
    rows: dict[str, Any] = {}
    for name in sorted(models):
        row = dataclasses.asdict(measure(name))
        del row["model"]
        rows[name] = row
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def preset_models() -> list[str]:
    """Every model that a preset names."""
    from automl.spaces.space import SearchSpace, presets

    return sorted(
        {
            model
            for preset in presets()
            for members in SearchSpace.load(preset).families.values()
            for model in members
        }
    )


def _builds(model: str, **keywords: Any) -> nn.Module | None:
    """The model without memory for its weights; None if timm refuses the keywords."""
    import torch

    try:
        with torch.device("meta"):
            built: nn.Module = import_timm().create_model(model, pretrained=False, num_classes=10, **keywords)
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, ZeroDivisionError):
        return None
    return built


def _runs(model: nn.Module, size: int) -> bool:
    """Whether two pictures go through forward and backward while training."""
    import torch

    try:
        model.train()(torch.zeros((2, 3, size, size), device="meta")).sum().backward()
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError, ZeroDivisionError):
        return False
    return True


def _takes_smaller_patches(model: str, built: nn.Module, img_size: bool) -> bool:
    """Whether the model cuts its input into patches of at least 8 px and also learns with patches of 4."""
    patch = getattr(getattr(built, "patch_embed", None), "patch_size", (0, 0))
    largest = max(patch) if isinstance(patch, (tuple, list)) else int(patch)
    if not img_size or largest < 2 * _SMALL_PATCH:
        return False
    small = _builds(model, img_size=32, patch_size=_SMALL_PATCH)
    return small is not None and _runs(small, 32)


def _channels(model: str, built: nn.Module) -> tuple[int, ...]:
    """The stage widths of a ResNet, where half of each gives a smaller model; () for other models."""
    widths = (64, 128, 256, 512)
    narrow = _builds(model, channels=[width // 2 for width in widths])
    if narrow is None or not _runs(narrow, 64):
        return ()
    count, narrow_count = (sum(p.numel() for p in each.parameters()) for each in (built, narrow))
    same = _builds(model, channels=list(widths))
    unchanged = same is not None and sum(p.numel() for p in same.parameters()) == count
    return widths if unchanged and narrow_count < count else ()


if __name__ == "__main__":
    write_table(sys.argv[1:] or preset_models())
