"""Find pretrained weights: in a user's folder, and in the caches of the Hugging Face hub and of torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from automl.errors import ModelError
from automl.machine import expanded
from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import Weights, arch, describe_weights, licence_of, read_config
from automl.training.published.licences import is_allowed

_CONFIG = "config.json"
_NAMES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_ENDINGS = (".safetensors", ".pth.tar", ".pth", ".pt", ".ckpt", ".bin")
_UNFINISHED = (".part", ".partial", ".incomplete", ".crdownload", ".download")  # what downloads end in
_HASH = re.compile(r"-[0-9a-f]{8,}\Z")  # in the names of published files


class _UnnamedError(ModelError):
    """A file may hold weights, but its name does not say of which network."""


def in_folder(folder: str | Path, problems: list[str] | None = None) -> dict[str, Weights]:
    """Return the weights in a folder, by name with the tag if it has one, sorted.

    It may hold files and folders named after timm's models, with or without a tag (`resnet18.a1_in1k.safetensors`,
    `resnet18/model.safetensors`, `.pth`, `.ckpt`), files with the names under which timm's weights were published
    (`resnet50_a1_0-14fe96d1.pth`), folders of any name with a config.json in timm's layout, such as the `model` of a
    study, and those of the hub's cache (`models--timm--resnet18.a1_in1k`). It may be such a folder itself, or HF_HOME,
    or one file. Other files are ignored. What is wrong with a config.json, unfinished downloads and weights without a
    known name go to `problems`.
    Raises ModelError if there are no weights, for two files of the same name, and for a wrong config.json or an
    unfinished download without a list for `problems`, or if there is nothing else.
    """
    root = expanded(folder).absolute()  # workers have other working directories
    found: dict[str, Weights] = {}
    wrong, unnamed = list[str](), list[str]()
    for place in _places(root):
        try:
            weights = _weights_at(place)
        except _UnnamedError as error:
            unnamed.append(str(error))
            continue
        except ModelError as error:
            wrong.append(str(error))
            continue
        if weights is None:
            continue
        earlier = found.setdefault(weights.model, weights)
        if earlier is not weights:
            raise ModelError(
                f"a folder with weights may hold one file for each name, but {str(root)!r} has "
                f"{earlier.file.name if earlier.file.parent == root else earlier.file.parent.name!r} and "
                f"{place.name!r} for {weights.model!r}; keep one"
            )
    if wrong and (problems is None or not found):
        raise ModelError(wrong[0])
    if not found:
        raise ModelError(
            f"the folder with weights {str(folder)!r} must hold files such as resnet18.safetensors or "
            "resnet18.a1_in1k/model.safetensors, named after timm's models, but holds none"
            + (f": {unnamed[0]}" if unnamed else "")
        )
    if problems is not None:
        problems += wrong + unnamed
    return found


def in_caches(models: Iterable[str], licences: str = "any") -> dict[str, Weights]:
    """Return the weights of these models in the caches of this machine, by name, without network access.

    Of several weights of one network with allowed `licences`, those that timm lists first are taken.
    """
    found: dict[str, Weights] = {}
    if not _anything_cached():
        return found
    for model in models:
        for name, cfg in published(model).items():
            file = cached_file(cfg) if is_allowed(licence_of(cfg), licences) else None
            if file is not None:
                found[model] = describe_weights(name, file, "cache")
                break
    return found


def published(model: str) -> dict[str, Any]:
    """Return timm's entries of weights for a model, by name with tag, the default ones first.

    With a tag in the name of the model, only those. Files in other formats than PyTorch's are left out; on the hub, all
    but those marked so are in PyTorch's format.
    """
    cfgs: dict[str, Any] = import_timm().models.get_arch_pretrained_cfgs(arch(model))
    if "." in model:
        cfgs = {name: cfg for name, cfg in cfgs.items() if name == model}
    return {
        name: cfg
        for name, cfg in cfgs.items()
        if (cfg.hf_hub_id and cfg.custom_load != "hf") or (cfg.url and not cfg.custom_load)
    }


def hub_file(cfg: Any) -> tuple[str, str, str | None]:
    """Return the repository, the file and the revision of weights on the hub."""
    repository, _, revision = str(cfg.hf_hub_id).partition("@")
    return repository, cfg.hf_hub_filename or _NAMES[0], revision or None


def _anything_cached() -> bool:
    """Return whether the caches have any file, because looking for each model is slow."""
    from huggingface_hub import constants
    from torch.hub import get_dir

    places = (Path(constants.HF_HUB_CACHE), "models--*"), (Path(get_dir()) / "checkpoints", "*")
    return any(next(folder.glob(pattern), None) is not None for folder, pattern in places)


def cached_file(cfg: Any) -> Path | None:
    """Return the file with the weights of timm's `pretrained_cfg` in the caches of this machine, or None."""
    from huggingface_hub import constants, try_to_load_from_cache

    if cfg.hf_hub_id:
        repository, _, revision = str(cfg.hf_hub_id).partition("@")
        for name in (cfg.hf_hub_filename,) if cfg.hf_hub_filename else _NAMES[:2]:
            path = try_to_load_from_cache(repository, name, revision=revision or None)
            if isinstance(path, str):
                return Path(path)
        if not revision:
            place = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
            names = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else _NAMES[:2]
            if (found := _in_snapshots(place, names)) is not None:
                return found
    if cfg.url and not cfg.custom_load:
        from torch.hub import get_dir

        url = cfg.url if isinstance(cfg.url, str) else cfg.url[1]
        file = Path(get_dir()) / "checkpoints" / url.rpartition("/")[2]
        return file if file.is_file() else None
    return None


def _in_snapshots(repository: Path, names: Sequence[str]) -> Path | None:
    """Return the file of one of these names in a folder of the hub's cache: of its `main`, or else of the newest.

    A cache that was copied or made by hand may have no `main`.
    """
    main, snapshots = repository / "refs" / "main", repository / "snapshots"
    if not snapshots.is_dir():
        return None
    revisions = sorted(snapshots.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
    if main.is_file():
        revisions = [snapshots / main.read_text(encoding="utf-8").strip(), *revisions]
    return next((place / name for place in revisions for name in names if (place / name).is_file()), None)


def _places(root: Path) -> list[Path]:
    """Return where weights may be: the files and folders of a folder, or the folder of one network, or one file."""
    if not (root.is_dir() or root.is_file()):
        raise ModelError(f"the weights must be in a folder or a file, but {str(root)!r} is none")
    if root.is_file() or (root / _CONFIG).is_file() or (root / "snapshots").is_dir():
        return [root]
    cache = root / "hub"
    return sorted(root.iterdir()) + sorted(cache.glob("models--*") if cache.is_dir() else ())


def _weights_at(place: Path) -> Weights | None:
    """Return the weights of a file or a folder, or None if it has none."""
    if (place / "snapshots").is_dir():  # of the hub's cache
        file, name = _in_snapshots(place, _NAMES), place.name.rpartition("--")[2]
        if file is None and any((place / "blobs").glob("*.incomplete")) and _is_model(name):
            raise ModelError(_unfinished(place))
        return describe_weights(name, file, "folder") if file is not None and _is_model(name) else None
    if place.is_dir():
        file = _file_in(place)
        return None if file is None else _of_folder(place, file)
    if place.name in _NAMES:
        return _of_folder(place.parent, place)
    if place.name.endswith(_UNFINISHED) and _stem(place.name.rpartition(".")[0]):
        raise ModelError(_unfinished(place))
    stem = _stem(place.name)
    if not stem:
        return None
    name = stem if _is_model(stem) else _published_files().get(_HASH.sub("", stem), "")
    if name:
        return describe_weights(name, place, "folder")
    if _is_known(place.parent):
        return _of_folder(place.parent, place)
    raise _UnnamedError(f"{str(place)!r} is not named after a timm model, as resnet18.safetensors is")


def _of_folder(place: Path, file: Path) -> Weights:
    """Return the weights in a file of a folder, which has a config.json or is named after a model."""
    if (place / _CONFIG).is_file():
        said = read_config(place / _CONFIG)
        name = place.name if arch(place.name) == said["architecture"] else said["architecture"]
        name = name if "." in name else _with_tag(name, said)
        if not import_timm().is_model(arch(name)):
            raise ModelError(f"{str(place / _CONFIG)!r} names {name!r}, which timm does not have")
        return describe_weights(name, file, "folder", said)
    if _is_model(place.name):
        return describe_weights(place.name, file, "folder")
    raise _UnnamedError(
        f"{str(file)!r} has no config.json beside it, and its folder is not named after a timm model"
    )


def _file_in(place: Path) -> Path | None:
    """Return the file with the weights of a folder: one of the usual names, or the only one; None without any."""
    usual = next((place / name for name in _NAMES if (place / name).is_file()), None)
    if usual is not None:
        return usual
    every = sorted(path for path in place.iterdir() if path.is_file()) if _is_known(place) else []
    files = [path for path in every if _stem(path.name)]
    if len(files) > 1:
        raise ModelError(
            f"the folder {str(place)!r} must hold one file with weights, but holds {files[0].name!r} and "
            f"{files[1].name!r}; keep one, or call it model.safetensors"
        )
    if not files and any(path.name.endswith(_UNFINISHED) for path in every):
        raise ModelError(_unfinished(place))
    return files[0] if files else None


def _is_known(place: Path) -> bool:
    """Return whether a folder says of which network its weights are."""
    return (place / _CONFIG).is_file() or _is_model(place.name)


def _unfinished(place: Path) -> str:
    return f"{str(place)!r} is an unfinished download; fetch it again"


def _stem(name: str) -> str:
    """Return the name of a file without an ending of files with weights; "" for another ending."""
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), "")


@cache
def _published_files() -> dict[str, str]:
    """Return timm's names with tags of weights by the names of their published files, without hash and ending."""
    found: dict[str, str] = {}
    for name in import_timm().list_pretrained():
        url = import_timm().models.get_pretrained_cfg(name).url or ""
        file = (url if isinstance(url, str) else url[1]).rpartition("/")[2]
        if stem := _HASH.sub("", _stem(file)):
            found.setdefault(stem, name)
    return found


def _with_tag(name: str, said: dict[str, Any]) -> str:
    """Return the name with the tag in a config.json, if it has one."""
    tag = (said.get("pretrained_cfg") or {}).get("tag")
    return f"{name}.{tag}" if isinstance(tag, str) and tag else name


def _is_model(name: str) -> bool:
    return bool(import_timm().is_model(arch(name)))
