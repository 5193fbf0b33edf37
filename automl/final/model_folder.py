"""The model folder: timm's own layout, plus what is needed to use the model without the study."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from safetensors.torch import load_file, save_file
from torch import nn

from automl.errors import ModelError
from automl.records import Config, DatasetInfo, LabelType, Resize
from automl.spaces.architectures.factories import is_built_in, is_factory, load_factory
from automl.terminal.printable import printable
from automl.torch_setup import import_timm
from automl.training.models.build import model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import to_cpu
from automl.training.models.pretrained_weights import Weights
from automl.training.models.safe_arguments import plain_arguments

CONFIG, PREPROCESS = "config.json", "preprocess.json"
FACTORY = "factory"
# What timm says about its own weights.
_ABOUT_WEIGHTS = ("tag", "license", "origin_url", "paper_ids", "paper_name", "notes", "description")
MAX_SIZE = 8192  # px; a larger size in a file would exhaust memory


@dataclass(frozen=True)
class Preprocess:
    """How images become the model's input, `size` pixels a side, and how its output becomes scores.

    `mirrored`: scores are the mean over an image and its mirror image, which is more accurate if the network trained
    on both (Krizhevsky et al. 2012, section 4.1).
    """

    info: DatasetInfo
    size: int
    mirrored: bool = False


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

    `timm.create_model("local-dir:FOLDER", pretrained=True)` builds the same model with the same weights; a user's own
    network is built by their function (`load_network`). `size` is the side in pixels of the model's input, `weights`
    are the pretrained weights that its training started from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.from_config(config)
    preprocess = Preprocess(info, size, mirrored=recipe.hflip)
    if is_factory(recipe.model):
        _write_own(folder, model, recipe.model, info, model_arguments(recipe, info))
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


def read_preprocess(folder: Path) -> Preprocess:
    """Read preprocess.json of a model folder.

    Raises OSError, KeyError or ValueError if it cannot be read.
    """
    said = json.loads((folder / PREPROCESS).read_text(encoding="utf-8"))
    try:
        info, size, mirrored = info_from_json(said), int(said["input_size"]), said.get("mirrored", False)
        sizes, labels = (size, int(info.img_size), int(info.in_chans)), info.classes
        whole = all(1 <= side <= MAX_SIZE for side in sizes) and all(
            isinstance(label, str) for label in labels
        )
    except TypeError as error:
        raise ValueError(f"{PREPROCESS} does not fit this version ({error})") from error
    if info.label_type not in get_args(LabelType):
        raise ValueError(
            f"{PREPROCESS} must have one of {get_args(LabelType)} as label_type, not {info.label_type!r}"
        )
    typed_labels(info)
    if info.pixel_range and not (len(info.pixel_range) == 2 and info.pixel_range[0] < info.pixel_range[1]):
        raise ValueError(f"{PREPROCESS} must have black and white in pixel_range, not {info.pixel_range}")
    if not whole or not isinstance(mirrored, bool) or info.resize not in get_args(Resize):
        raise ValueError(
            f"{PREPROCESS} must have sizes up to {MAX_SIZE}, texts as labels, true or false for mirrored, and crop or "
            "squeeze for resize"
        )
    return Preprocess(info, size, mirrored)


def typed_labels(info: DatasetInfo) -> tuple[Any, ...]:
    """Return the classes in the type in which the labels were given. Raises ValueError if they are of another."""
    if info.task == "regression" or info.label_type == "text":
        return info.classes
    make: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda text: text == "True"}
    return tuple(make[info.label_type](name) for name in info.classes)


def load_network(folder: Path, factory: str | Callable[..., nn.Module] | None) -> nn.Module:
    """Return the network of a model folder, with its weights.

    Nothing in the folder runs as code. A network that a user's function built needs that function as `factory`, itself
    or by the name that the folder gives: whoever passes it trusts it. This package's own network needs none. Raises
    ModelError without it, and KeyError, ValueError, RuntimeError, OSError or SafetensorError for a damaged folder.
    """
    said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    name = said.get(FACTORY)
    if name is None:
        return _timm_network(folder, said)
    if is_built_in(name):
        factory = str(name)
    if factory is None or (isinstance(factory, str) and factory != name):
        raise ModelError(
            f"the model folder {str(folder)!r} needs the function {name!r}, which is code outside the folder; "
            f"if you trust it, pass factory={name!r} in Python or --factory {name} to a command"
        )
    made = (load_factory(factory) if isinstance(factory, str) else factory)(**said["model_args"])
    made.load_state_dict(load_file(folder / "model.safetensors"))
    return made


def _timm_network(folder: Path, said: dict[str, Any]) -> nn.Module:
    """Return timm's network with the folder's weights.

    timm can open the folder by itself, but would then follow addresses and paths in its config.json. That file may
    come from a stranger, so only the architecture and its sizes are taken from it.
    """
    timm = import_timm()
    name, arguments = said["architecture"], plain_arguments(said.get("model_args") or {})
    if not (isinstance(name, str) and timm.is_model(name)):
        raise ValueError(f"timm has no architecture {name!r}")
    network: nn.Module = timm.create_model(
        name, pretrained=False, **{**arguments, "num_classes": int(said["num_classes"])}
    )
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network


def _state_weights(path: Path, weights: Weights | None) -> None:
    """Write the tag, licence and origin of the weights that the training started from into config.json.

    timm writes those of its default weights, also for a network that was trained from scratch.
    """
    said = json.loads(path.read_text(encoding="utf-8"))
    about = {key: value for key, value in said["pretrained_cfg"].items() if key not in _ABOUT_WEIGHTS}
    if weights is not None:
        stated = {"tag": weights.model.partition(".")[2], "license": weights.licence}
        about |= {key: value for key, value in {**stated, "origin_url": weights.origin}.items() if value}
    text = json.dumps({**said, "pretrained_cfg": about}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _write_own(
    folder: Path, model: nn.Module, name: str, info: DatasetInfo, arguments: dict[str, Any]
) -> None:
    """Write the files of a network that is not timm's: the function that builds it, its arguments and weights."""
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    said = {FACTORY: name, "model_args": arguments, "label_names": list(info.classes)}
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
    "squeeze" (both sides are scaled); `mirrored`: see `Preprocess`."""
    own = {"format": 1, "input_size": preprocess.size, "mirrored": preprocess.mirrored}
    known = asdict(preprocess.info)
    del known["large_size"]  # one size is what the model sees
    return {**own, **known}


def info_from_json(preprocess: dict[str, Any]) -> DatasetInfo:
    """Return the data set in preprocess.json. Raises KeyError or ValueError if it cannot be read."""
    if preprocess["format"] != 1:
        raise ValueError(f"its format is {preprocess['format']}, this version reads 1")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in preprocess.items()
        if key not in ("format", "input_size", "mirrored")
    }
    return DatasetInfo(**fields)
