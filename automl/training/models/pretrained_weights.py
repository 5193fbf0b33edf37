"""Pretrained weights: their file, the arguments of their network, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from automl.documents.json_file import read_json
from automl.errors import ModelError
from automl.records import DatasetInfo
from automl.torch_setup import import_timm
from automl.training.models.hyperparameters import Recipe
from automl.training.models.safe_arguments import plain_arguments
from automl.training.published.checkpoint_file import Checkpoint, read_checkpoint
from automl.training.published.licences import UNKNOWN, licence_words

# The share of a network's values that may be missing in the file: a head with hidden layers is new.
MAX_MISSING = 0.05
# For networks that files are compared with. It must be none with which somebody draws weights.
_SEED = 5_284_719_306
# What a config.json beside the weights may say about them.
_FACTS = frozenset({"classifier", "first_conv", "fixed_input_size", "input_size", "mean", "pool_size", "std"})

# How files begin that stand in the place of weights, in small letters, and what they are.
_NO_WEIGHTS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS, and `git lfs pull` fetches the weights"),
    (b"<!doctype", "it is a web page"),
    (b"<html", "it is a web page"),
)


@dataclass(frozen=True)
class Weights:
    """Weights in a local file for timm's network `model`, which may have a tag ("resnet18.a1_in1k").

    `source` is "folder", "cache" or "hub". `mean` and `std` are those of the pixels (0..1) that the network was trained
    on. `facts` replaces parts of timm's `pretrained_cfg`. `arguments` are the keywords that the network was built with,
    such as other stage widths. `licence` is timm's name of their licence, "unknown" if timm knows none; a file in a
    user's folder has the licence in its config.json, or that of the tag in its name, or "". `origin` is the page that
    published them, or "".
    """

    model: str
    file: Path
    source: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    origin: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON; `from_dict` is the inverse."""
        return {
            "model": self.model,
            "file": str(self.file),
            "source": self.source,
            "mean": list(self.mean),
            "std": list(self.std),
            "facts": dict(self.facts),
            "arguments": dict(self.arguments),
            "licence": self.licence,
            "origin": self.origin,
        }

    def about(self) -> dict[str, str]:
        """Return what people and files are told about the weights: name with tag, licence, source and origin."""
        return {
            "weights": self.model,
            "licence": licence_words(self.licence),
            "source": self.source,
            "origin": self.origin,
        }

    @staticmethod
    def from_dict(row: Mapping[str, Any]) -> Weights:
        """Return the weights that `to_dict` described."""
        lists = {key: tuple(row[key]) for key in ("mean", "std")}
        return Weights(**{**row, **lists, "file": Path(row["file"])})


def describe_weights(name: str, file: Path, source: str, config: Mapping[str, Any] | None = None) -> Weights:
    """Describe a file with weights of the timm network `name` (with or without tag).

    `config` is the content of a config.json beside it, in timm's own layout. Raises ModelError if it cannot be used.
    """
    own = dict((config or {}).get("pretrained_cfg") or {})
    cfgs = import_timm().models.get_arch_pretrained_cfgs(arch(name))
    cfg = cfgs.get(name, next(iter(cfgs.values()), None))
    facts = {key: own[key] for key in sorted(_FACTS & set(own))}
    try:
        shape = plain_arguments((config or {}).get("model_args") or {})
    except (AttributeError, ValueError) as error:
        raise ModelError(f"config.json beside the weights {str(file)!r} cannot be used: {error}") from error
    arguments = {k: v for k, v in shape.items() if k not in ("num_classes", "in_chans", "img_size")}
    mean, std = (own.get(key) or getattr(cfg, key, None) or (0.5,) for key in ("mean", "std"))
    try:
        statistics = tuple(float(v) for v in mean), tuple(float(v) for v in std)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"config.json beside the weights {str(file)!r} must have numbers as mean and std, not {mean!r} and {std!r}"
        ) from error
    if source == "folder":
        licence, origin = _stated(own, cfgs.get(name))
    else:
        licence, origin = licence_of(cfg), origin_of(cfg)
    return Weights(
        name, file, source, *statistics, facts=facts, arguments=arguments, licence=licence, origin=origin
    )


def _stated(own: Mapping[str, Any], cfg: Any) -> tuple[str, str]:
    """Return licence and origin of a user's file as its config.json states them, or else as timm knows them of its tag.

    `cfg` is timm's entry for the name with the tag, None if there is none.
    """
    known = licence_of(cfg) if getattr(cfg, "license", None) else ""
    licence, origin = own.get("license"), own.get("origin_url")
    licence = licence if isinstance(licence, str) and licence else known
    if isinstance(origin, str) and origin:
        return licence, origin
    return licence, "" if cfg is None else origin_of(cfg)


def licence_of(cfg: Any) -> str:
    """Return the licence in timm's `pretrained_cfg`; "unknown" without one."""
    return str(getattr(cfg, "license", None) or UNKNOWN).lower()


def origin_of(cfg: Any) -> str:
    """Return the page on the hub, or the address, that publishes the weights of timm's `pretrained_cfg`; or ""."""
    if getattr(cfg, "hf_hub_id", None):
        return f"https://huggingface.co/{str(cfg.hf_hub_id).partition('@')[0]}"
    url = getattr(cfg, "url", None) or ""
    return url if isinstance(url, str) else str(url[1])


def read_config(path: Path) -> dict[str, Any]:
    """Read a config.json in timm's layout. Raises ModelError that names the file if it is none."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{str(path)!r} must be JSON as timm writes it, but cannot be read: {error}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("architecture"), str):
        raise ModelError(f"{str(path)!r} must name its timm model as `architecture`, but does not")
    for key in ("pretrained_cfg", "model_args"):
        if not isinstance(content.get(key), dict | None):
            raise ModelError(f"{str(path)!r} must hold an object as `{key}`, not {content[key]!r:.80}")
    return content


def arch(name: str) -> str:
    """Return the name of a network without the tag of its weights."""
    return name.partition(".")[0]


def normalised(info: DatasetInfo, weights: Weights | None) -> DatasetInfo:
    """Return `info` with the pixel statistics that the weights expect.

    If the channels differ (grey images, colour weights), their mean is used for all.
    """
    if weights is None:
        return info
    return replace(
        info, mean=_for_channels(weights.mean, info.in_chans), std=_for_channels(weights.std, info.in_chans)
    )


def weights_for(recipe: Recipe, weights: Mapping[str, Weights]) -> Weights | None:
    """Return the weights that a training starts from, or None if it starts from scratch.

    Raises ModelError if its weights are missing: it must not silently start from scratch.
    """
    if not recipe.pretrained:
        return None
    found = weights.get(recipe.model)
    if found is None:
        raise ModelError(
            f"the configuration needs pretrained weights of {recipe.model!r}, but there are none; "
            "use --pretrained never, or a folder with weights"
        )
    return found


def load_model(weights: Weights, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network with these weights and a new head, on the CPU; `arguments` are timm's keywords.

    timm adapts the first layer to other channels and position embeddings to another size. Raises ModelError that names
    the file if it is missing, damaged, or of another network.
    """
    timm = import_timm()
    try:
        found = _checkpoint(weights, arguments)
        tensors: dict[str, Any] = (
            {"file": str(weights.file)} if found is None else {"state_dict": found.values}
        )
        # -1 classes never match the model's, so timm always leaves the head out.
        overlay = {**weights.facts, **tensors, "num_classes": -1}
        model: nn.Module = timm.create_model(
            _known(weights.model), pretrained=True, pretrained_cfg_overlay=overlay, **arguments
        )
    except Exception as error:  # readers of weight files raise many types of errors
        raise ModelError(_unusable(weights, error)) from error
    getattr(model, "pretrained_cfg", {}).pop("state_dict", None)  # timm keeps the tensors
    return model


def part_taken(weights: Weights, arguments: Mapping[str, Any]) -> str:
    """Return which part of a checkpoint is used, in words; "" for a file that holds the network alone.

    `arguments` are timm's keywords. Raises ModelError that names the file if it cannot be read.
    """
    try:
        found = _checkpoint(weights, arguments)
    except Exception as error:  # readers of weight files raise many types of errors
        raise ModelError(_unusable(weights, error)) from error
    return "" if found is None or not (found.part or found.prefix) else found.in_words()


def _checkpoint(weights: Weights, arguments: Mapping[str, Any]) -> Checkpoint | None:
    def names() -> list[str]:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network: nn.Module = import_timm().create_model(_known(weights.model), **arguments)
        return list(network.state_dict())

    return read_checkpoint(weights.file, names)


def verify(weights: Weights, arguments: Mapping[str, Any]) -> nn.Module:
    """Return the network of `load_model`; raise ModelError that names the file unless its values are in the network.

    timm ignores missing and unexpected values. So the network is built twice from the same seed, with weights and
    without: values that are equal in both were not in the file.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = load_model(weights, arguments)
        loaded = dict(network.named_parameters())
        torch.manual_seed(_SEED)
        scratch: nn.Module = import_timm().create_model(_known(weights.model), **arguments)
    heads = classifier_names(scratch)
    total = missing = whole = 0
    lacking, tensors = list[str](), 0
    for name, value in scratch.named_parameters():
        if value.ndim < 2 or name.startswith(heads) or bool((value == value.flatten()[0]).all()):
            continue  # the file may hold the same constants
        total, tensors = total + value.numel(), tensors + 1
        if torch.equal(value, loaded[name]):
            missing += value.numel()
            lacking.append(name)
        whole += value.numel() if bool((loaded[name] == loaded[name].round()).all()) else 0
    if missing > MAX_MISSING * total:
        why = (
            f"{missing / total:.0%} of its values are not in the file: it lacks {len(lacking)} of {tensors} tensors, "
            f"such as {lacking[0]!r:.60}"
        )
        raise ModelError(_unusable(weights, why))
    if total and whole == total:
        raise ModelError(
            _unusable(weights, "all its values are whole numbers, as those of a quantised network")
        )
    if wrong := wrong_values(network):
        raise ModelError(_unusable(weights, wrong))
    return network


def wrong_values(network: nn.Module) -> str:
    """Return which weights are infinite or no number, or variances below 0, of which the root is none; "" without."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return f"the weights of {name!r:.100} are not finite numbers"
        if name.endswith("running_var") and bool((value < 0).any()):
            return f"the weights of {name!r:.100} are variances below 0"
    return ""


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the names of the head's parameters; () if unknown."""
    names = getattr(model, "pretrained_cfg", {}).get("classifier")
    return () if not names else (names,) if isinstance(names, str) else tuple(names)


def _known(name: str) -> str:
    """Return the name with its tag if timm knows the tag, else without: users may choose their own."""
    return name if name in import_timm().models.get_arch_pretrained_cfgs(arch(name)) else arch(name)


def _unusable(weights: Weights, why: object) -> str:
    reason = _seen_in(weights.file) or " ".join(str(why).split()) or type(why).__name__
    if "TorchScript" in reason:
        reason = (
            "it is a TorchScript program, which could run code; save the `state_dict` of its network instead"
        )
    reason = reason if len(reason) <= 200 else reason[:200] + " ..."
    return (
        f"the weights {str(weights.file)!r} cannot be used for {arch(weights.model)!r} ({reason}); "
        "replace or remove the file"
    )


def _seen_in(file: Path) -> str:
    """Return what a file is that never held weights, or ""."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(64)
    except OSError:
        return ""
    return (
        next((words for start, words in _NO_WEIGHTS if begin.lower().startswith(start)), "")
        if begin
        else "it is empty"
    )


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels
