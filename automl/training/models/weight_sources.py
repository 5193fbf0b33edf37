"""Find pretrained weights: in a user's folder, and in the caches of the Hugging Face hub and of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from automl.errors import ModelError
from automl.machine import expanded
from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import Weights, arch, describe_weights, licence_of, read_config
from automl.training.published.licences import is_allowed

_NAMES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


def in_folder(folder: str | Path, problems: list[str] | None = None) -> dict[str, Weights]:
    """Return the weights in a folder, by name with the tag if it has one, sorted.

    It may hold files and folders named after timm's models, with or without a tag (`resnet18.a1_in1k.safetensors`,
    `resnet18/model.safetensors`, `.pth`), folders of any name with a config.json in timm's layout, such as the `model`
    of a study, and those of the hub's cache (`models--timm--resnet18.a1_in1k`). It may be such a folder itself, or
    HF_HOME. Other files are ignored. What is wrong with a config.json goes to `problems`.
    Raises ModelError if there are no weights, for two files of the same name, and for a wrong config.json without a
    list for `problems`, or if there is nothing else.
    """
    root = expanded(folder).absolute()  # workers have other working directories
    if not root.is_dir():
        raise ModelError(f"the folder with weights must be a folder, but {str(folder)!r} is none")
    cache = root / "hub"
    places = sorted(root.iterdir()) + sorted(cache.glob("models--*") if cache.is_dir() else ())
    found: dict[str, Weights] = {}
    wrong: list[str] = []
    for place in [root] if _is_whole(root) else places:
        try:
            weights = _weights_at(place)
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
        )
    if problems is not None:
        problems += wrong
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


def _is_whole(root: Path) -> bool:
    """Return whether the folder is that of one network."""
    return (root / "config.json").is_file() or (root / "snapshots").is_dir()


def _weights_at(place: Path) -> Weights | None:
    """Return the weights of a file or a folder, or None if it has none."""
    if (place / "snapshots").is_dir():  # of the hub's cache
        file, name = _in_snapshots(place, _NAMES), place.name.rpartition("--")[2]
        return describe_weights(name, file, "folder") if file is not None and _is_model(name) else None
    if place.is_dir():
        file = next((place / name for name in _NAMES if (place / name).is_file()), None)
        if file is None:
            return None
        if (place / "config.json").is_file():
            said = read_config(place / "config.json")
            name = place.name if arch(place.name) == said["architecture"] else said["architecture"]
            name = name if "." in name else _with_tag(name, said)
            if not import_timm().is_model(arch(name)):
                raise ModelError(f"{str(place / 'config.json')!r} names {name!r}, which timm does not have")
            return describe_weights(name, file, "folder", said)
        return describe_weights(place.name, file, "folder") if _is_model(place.name) else None
    ending = next((ending for ending in _ENDINGS if place.name.endswith(ending)), None)
    name = place.name.removesuffix(ending) if ending else ""
    return describe_weights(name, place, "folder") if ending and _is_model(name) else None


def _with_tag(name: str, said: dict[str, Any]) -> str:
    """Return the name with the tag in a config.json, if it has one."""
    tag = (said.get("pretrained_cfg") or {}).get("tag")
    return f"{name}.{tag}" if isinstance(tag, str) and tag else name


def _is_model(name: str) -> bool:
    return bool(import_timm().is_model(arch(name)))
