"""Files of networks: model folders of all kinds, weights and heads, and what the cache keeps of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import automl
from automl.data.cache.checksums import CHECKSUMS, write_checksums
from benchmarks.fuzz.pictures import SIDE, members, picture, written

_FEATURES = {"model": "test_resnet"}
_ROWS = np.arange(12)


def model(folder: Path) -> list[Path]:
    """Write the folders of networks of timm, of this package's own ones, and what lies beside them."""
    import torch

    from automl.final.ensemble.network import Ensemble, Member
    from automl.final.model_folder import write_model_folder
    from automl.spaces.architectures.factories import ENSEMBLE, LINEAR_ON_PIXELS
    from automl.torch_setup import import_timm
    from automl.training.models.build import build_model, input_size
    from automl.training.models.depths.network import with_all_depths
    from automl.training.models.hyperparameters import Recipe

    info = _info()
    torch.manual_seed(0)
    places = []
    for name in ("test_resnet", "test_vit", LINEAR_ON_PIXELS):
        config = {"model": name, "opt": "sgd", "lr": 0.1, "batch_size": 2}
        recipe = Recipe.from_config(config)
        places.append(folder / name.split(":")[-1])
        size = input_size(recipe, info)
        write_model_folder(places[-1], build_model(recipe, info), config, info, size=size)
    inside = {"num_classes": 3, "in_chans": 3}
    network = with_all_depths(
        import_timm().create_model("test_resnet", **inside), "test_resnet", inside, side=SIDE
    )
    assert network is not None
    about: dict[str, Any] = {"model": "test_resnet", "lr": 0.1}
    places.append(folder / "depths")
    write_model_folder(places[-1], network, about, info, size=SIDE)
    rows = [
        Member(name, inside, SIDE, SIDE, info.mean, info.std, 0.5)
        for name in ("test_resnet", LINEAR_ON_PIXELS)
    ]
    whole = Ensemble(
        rows, [row.build() for row in rows], task=info.task, mean=info.mean, std=info.std, num_classes=3
    )
    places.append(folder / "ensemble")
    write_model_folder(places[-1], whole.eval(), {**about, "model": ENSEMBLE}, info, size=SIDE)
    beside = _beside(places[0])
    names = ("config.json", "preprocess.json", "model.safetensors")
    return [*(place / name for place in places for name in names), *beside]


def _info() -> Any:
    from automl.records import DatasetInfo

    return DatasetInfo(
        name="damaged", task="classification", classes=("cat", "dog", "owl"), in_chans=3, img_size=SIDE,
        mean=(0.5,) * 3, std=(0.25,) * 3, class_counts=(5, 5, 5), fingerprint="0", n_train=15, n_val=5, n_holdout=5,
        n_skipped=0,
    )  # fmt: skip


def _beside(place: Path) -> list[Path]:
    """Write what a folder says about the confidence of its answers."""
    from automl.final.confidence.folder import CONFIDENCE, write_confidence
    from automl.final.confidence.known_features import KNOWN_FEATURES, KnownFeatures, write_known_features
    from automl.final.confidence.selective import RiskTable

    points = tuple((1.0 - k / 500, k, k // 100) for k in range(1, 401))
    write_confidence(place, RiskTable(400, points))
    predictor = automl.load(place)
    pixels = np.stack([np.asarray(picture(k)) for k in range(24)])
    _, features = predictor.predict_with_features(pixels)
    assert features is not None
    write_known_features(place, KnownFeatures.of(features[::2], features[1::2]))
    return [place / CONFIDENCE, place / KNOWN_FEATURES]


def load_model(path: Path) -> None:
    """Load the folder of a file, and use it."""
    predictor = automl.load(path.parent)
    predictor.predict([picture(0), picture(1)])
    if path.name == "confidence.json":
        predictor.predict([picture(0)], reject=0.9)
    if path.name == "known_features.safetensors":
        predictor.unknown([picture(0)])


def weights(folder: Path) -> list[Path]:
    """Write weights as people have them, with timm's config.json beside one, and the head of a network."""
    import torch
    from safetensors.torch import save_file

    from automl.torch_setup import import_timm
    from automl.training.models.finetune import save_head

    torch.manual_seed(7)
    network = import_timm().create_model("test_resnet", num_classes=5)
    values = dict(network.state_dict())
    said = {
        "architecture": "test_resnet",
        "num_classes": 5,
        "model_args": {"in_chans": 3},
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 160, 160]},
    }
    written(folder, {"timm/config.json": json.dumps(said).encode()})
    for place in ("plain", "torch", "lightning"):
        (folder / place).mkdir(exist_ok=True)
    save_file(values, folder / "timm/model.safetensors")
    save_file(values, folder / "plain/test_resnet.safetensors")
    torch.save(values, folder / "torch/test_resnet.pth")
    around = {f"model.{name}": value for name, value in values.items()}
    kept = {"epoch": 3, "state_dict": around, "hyper_parameters": {"lr": 0.1}, "score": np.float64(0.5)}
    torch.save(kept, folder / "lightning/test_resnet.pth")
    (folder / "head").mkdir(exist_ok=True)
    save_head(torch.randn(3, network.num_features), torch.zeros(3), folder / "head/head.safetensors")
    names = (
        "timm/config.json",
        "timm/model.safetensors",
        "plain/test_resnet.safetensors",
        "torch/test_resnet.pth",
        "lightning/test_resnet.pth",
        "head/head.safetensors",
    )
    return [folder / name for name in names]


def load_weights(path: Path) -> None:
    """Begin a training with the weights of a folder, or with a head."""
    from automl.training.models.build import build_model, model_arguments
    from automl.training.models.finetune import begin_with_head
    from automl.training.models.hyperparameters import Recipe
    from automl.training.models.pretrained_weights import verify
    from automl.training.models.weight_sources import in_folder

    info = _info()
    if path.name == "head.safetensors":
        begin_with_head(build_model(Recipe("test_resnet", lr=0.1), info), path)
        return
    for found in in_folder(path.parent).values():
        verify(found, model_arguments(Recipe(found.model, lr=0.1, pretrained=True), info, found))


def cache(folder: Path) -> list[Path]:
    """Write the entries of a cache: decoded images, and features of a network."""
    written(folder, {f"data/{name}": data for name, data in members()})
    _inspect(folder)
    _features(folder)
    return sorted(path for path in (folder / "cache").rglob("*") if path.is_file() and path.stat().st_size)


def read_cache(path: Path) -> None:
    """Read the entry of a file. Raises ValueError if not all is there afterwards."""
    folder = next(parent for parent in path.parents if parent.name == "cache").parent
    if "features" in path.parts:
        _features(folder)
    elif path.name != CHECKSUMS and path.stat().st_size % 2:
        write_checksums(path.parent)  # so that the damage is not found at once
        _inspect(folder)
    elif _inspect(folder) != len(dict(members())):
        raise ValueError("images are missing after damage in the cache")


def _inspect(folder: Path) -> int:
    """Return how many images are usable."""
    before = os.environ.get("AUTOML_CACHE_DIR")
    os.environ["AUTOML_CACHE_DIR"] = str(folder / "cache")
    try:
        return automl.inspect(folder / "data").n_images
    finally:
        os.environ.pop("AUTOML_CACHE_DIR") if before is None else os.environ.update(AUTOML_CACHE_DIR=before)


def _features(folder: Path) -> None:
    from automl.training.heads.feature_cache import FeatureCache

    with FeatureCache(folder / "cache").entry(_FEATURES) as entry:
        entry.count(_ROWS)
        _, there = entry.load(_ROWS, 16)
        if not there.all():
            entry.add(_ROWS[~there], np.ones((int((~there).sum()), 16), dtype=np.float16))
    with FeatureCache(folder / "cache").entry(_FEATURES) as entry:
        if not entry.load(_ROWS, 16)[1].all():
            raise ValueError("features that were written after damage are not found")
