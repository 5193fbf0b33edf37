"""The model folder: timm's own layout, and what is needed to use it without the study."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from automl.records import Config, DatasetInfo
from automl.torch_setup import import_timm
from automl.training.models import model_arguments
from automl.training.weights import Weights

CONFIG, PREPROCESS = "config.json", "preprocess.json"


def write_model_folder(
    folder: Path,
    model: nn.Module,
    config: Config,
    info: DatasetInfo,
    *,
    size: int,
    weights: Weights | None = None,
) -> None:
    """Write config.json, model.safetensors, labels.txt and preprocess.json into `folder`.

    `timm.create_model("local-dir:FOLDER", pretrained=True)` builds the same model with the same weights.
    `size` is the side in pixels of the model's input, `weights` what its training began with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.cpu().to(memory_format=_contiguous())  # type: ignore[call-overload]  # torch's stub lacks this form
    arguments = model_arguments(config, info, weights)
    import_timm()
    from timm.models import save_for_hf

    save_for_hf(
        model,
        str(folder),
        model_config={
            "label_names": list(info.classes),
            "pretrained_cfg": {
                "input_size": [info.in_chans, size, size],
                "mean": list(info.mean),
                "std": list(info.std),
                "crop_pct": 1.0,
                "interpolation": "bilinear",
            },
        },
        model_args={k: v for k, v in arguments.items() if k != "num_classes"},
        safe_serialization=True,
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in info.classes), encoding="utf-8")
    text = json.dumps(info_to_json(info, size), indent=2, ensure_ascii=False)
    (folder / PREPROCESS).write_text(text + "\n", encoding="utf-8")


def info_to_json(info: DatasetInfo, size: int) -> dict[str, Any]:
    """What `Predictor` must know: a picture is turned upright, its short side scaled to `img_size`, cropped in the
    centre, scaled to 0..1, normalised by mean and std, and enlarged to `input_size`."""
    return {"format": 1, "input_size": size, **asdict(info)}


def info_from_json(preprocess: dict[str, Any]) -> DatasetInfo:
    """The inverse of `info_to_json`. Raises KeyError or ValueError for what this version cannot read."""
    if preprocess["format"] != 1:
        raise ValueError(f"its format is {preprocess['format']}, this version reads 1")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in preprocess.items()
        if key not in ("format", "input_size")
    }
    return DatasetInfo(**fields)


def _contiguous() -> Any:
    import torch

    return torch.contiguous_format
