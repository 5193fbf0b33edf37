"""The model folder: timm's own layout, plus what is needed to use the model without the study."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from automl.documents.digest import file_digest
from automl.documents.json_file import read_json
from automl.records import Config, DatasetInfo
from automl.spaces.architectures.factories import ALL_DEPTHS, is_factory
from automl.terminal.printable import printable
from automl.torch_setup import import_timm
from automl.training.models.build import model_arguments
from automl.training.models.depths.network import AllDepths
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import to_cpu
from automl.training.models.pretrained_weights import Weights

CONFIG, PREPROCESS, WEIGHTS = "config.json", "preprocess.json", "model.safetensors"
FACTORY = "factory"
# What timm says about its own weights.
_ABOUT_WEIGHTS = ("tag", "license", "origin_url", "paper_ids", "paper_name", "notes", "description")


def weights_sha256(folder: Path) -> str | None:
    """Return the SHA-256 of the weights in a model folder, in hexadecimal; None if they cannot be read."""
    try:
        return file_digest(folder / WEIGHTS)
    except OSError:
        return None


@dataclass(frozen=True)
class Preprocess:
    """How images become the model's input, `size` pixels a side, and how its output becomes scores.

    `mirrored`: scores are the mean over an image and its mirror image, which is more accurate if the network trained
    on both (Krizhevsky et al. 2012, section 4.1). `temperature` divides the logarithms of the probabilities.
    """

    info: DatasetInfo
    size: int
    mirrored: bool = False
    temperature: float = 1.0


def write_model_folder(
    folder: Path,
    model: nn.Module,
    config: Config,
    info: DatasetInfo,
    *,
    size: int,
    weights: Weights | None = None,
    mirrored: bool | None = None,
    temperature: float = 1.0,
) -> None:
    """Write config.json, model.safetensors, labels.txt and preprocess.json into `folder`.

    `timm.create_model("local-dir:FOLDER", pretrained=True)` builds the same model with the same weights; a user's own
    network is built by their function, and one with features from all depths by this package (`load_network`). `size`
    is the side in pixels of the model's input, `weights` are the pretrained weights that its training started from,
    `mirrored` says whether scores are the mean over an image and its mirror image (None: if it trained on both),
    `temperature` is that of its probabilities.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.from_config(config)
    both = recipe.hflip if mirrored is None else mirrored
    preprocess = Preprocess(info, size, mirrored=both, temperature=temperature)
    if is_factory(recipe.model):
        arguments = getattr(model, "folder_arguments", None) or model_arguments(recipe, info)
        _write_own(folder, model, recipe.model, info, arguments)
        _write_texts(folder, preprocess)
        return
    if isinstance(model, AllDepths):
        about = {"input_size": [info.in_chans, size, size], "mean": list(info.mean), "std": list(info.std)}
        about |= _stated(weights)
        _write_own(folder, to_cpu(model), ALL_DEPTHS, info, model.folder_arguments, about)
        _write_texts(folder, preprocess)
        return
    to_cpu(model)
    arguments = model_arguments(recipe, info, weights)
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
                "crop_mode": "center" if info.resize == "crop" else "squash",
                "interpolation": "bilinear",
            },
        },
        model_args={k: v for k, v in arguments.items() if k != "num_classes"},
        safe_serialization=True,
    )
    _state_weights(folder / CONFIG, weights)
    _write_texts(folder, preprocess)


def _state_weights(path: Path, weights: Weights | None) -> None:
    """Write the tag, licence and origin of the weights that the training started from into config.json.

    timm writes those of its default weights, also for a network that was trained from scratch.
    """
    said = read_json(path)
    about = {key: value for key, value in said["pretrained_cfg"].items() if key not in _ABOUT_WEIGHTS}
    text = json.dumps({**said, "pretrained_cfg": about | _stated(weights)}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _stated(weights: Weights | None) -> dict[str, str]:
    if weights is None:
        return {}
    stated = {
        "tag": weights.model.partition(".")[2],
        "license": weights.licence,
        "origin_url": weights.origin,
    }
    return {key: value for key, value in stated.items() if value}


def _write_own(
    folder: Path,
    model: nn.Module,
    name: str,
    info: DatasetInfo,
    arguments: dict[str, Any],
    about: dict[str, Any] | None = None,
) -> None:
    """Write the files of a network that is not timm's: the function that builds it, its arguments and weights."""
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    said = {FACTORY: name, "model_args": arguments, "label_names": list(info.classes)}
    said |= {"pretrained_cfg": about} if about else {}
    (folder / CONFIG).write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_texts(folder: Path, preprocess: Preprocess) -> None:
    # One line for each output, whatever its name holds.
    labels = "".join(f"{printable(label)}\n" for label in preprocess.info.classes)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    text = json.dumps(preprocess_to_json(preprocess), indent=2, ensure_ascii=False)
    (folder / PREPROCESS).write_text(text + "\n", encoding="utf-8")


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return preprocess.json: an image is turned upright, made a square of `img_size`, scaled to 0..1, normalised by
    mean and std, and enlarged to `input_size`. `resize`: "crop" (its short side is scaled, and its centre cut out) or
    "squeeze" (both sides are scaled); `mirrored` and `temperature`: see `Preprocess`."""
    own = {
        "format": 1,
        "input_size": preprocess.size,
        "mirrored": preprocess.mirrored,
        "temperature": preprocess.temperature,
    }
    known = asdict(preprocess.info)
    del known["large_size"]  # one size is what the model sees
    return {**own, **known}
