"""The head on features of published weights, on real photos."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from automl.data.pixels import to_pixels
from automl.machine import Moment
from automl.records import DatasetInfo, Rows, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.heads import FeatureHeads, Head, frozen_network
from automl.training.models.pretrained_weights import Weights

SHARED = Path(__file__).resolve().parents[4] / "shared"
FILE = SHARED / "weights" / "tf_efficientnet_lite0.safetensors"
SIDE = 96

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the published weights are not on this machine")


@pytest.fixture(scope="module")
def photos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchSplits:
    """Two hundred photos of ants and bees at 96 px: every second one for training."""
    folder = tmp_path_factory.mktemp("photos")
    with zipfile.ZipFile(shared_data / "ants_bees.zip") as archive:
        names = [name for name in archive.namelist() if "train/" in name and name.endswith(".jpg")]
        kinds = [[name for name in names if f"/{kind}/" in name][:100] for kind in ("ants", "bees")]
        chosen = [name for pair in zip(*kinds, strict=True) for name in pair]
        images = [
            to_pixels(Image.open(io.BytesIO(archive.read(name))), size=SIDE, channels=3) for name in chosen
        ]
    np.save(folder / "images.npy", np.stack(images))
    np.save(folder / "targets.npy", np.arange(len(chosen)) % 2)
    rows = []
    for name, index in (("train", np.arange(0, 120)), ("val", np.arange(120, len(chosen)))):
        np.save(folder / f"{name}.npy", index)
        rows.append(Rows(folder / "images.npy", folder / "targets.npy", folder / f"{name}.npy", len(index)))
    info = DatasetInfo(
        name="ants_bees",
        task="classification",
        classes=("ants", "bees"),
        in_chans=3,
        img_size=SIDE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        class_counts=(60, 60),
        fingerprint="photos",
        n_train=120,
        n_val=80,
        n_holdout=0,
        n_skipped=0,
    )
    return SearchSplits(info, *rows)


def fitted(photos: SearchSplits, cache: Path) -> Head:
    head = FeatureHeads(splits=photos, metric="accuracy", threads=2, cache=cache).fit(
        Weights("tf_efficientnet_lite0", FILE, "folder", (0.5,) * 3, (0.5,) * 3),
        {"model": "tf_efficientnet_lite0", "lr": 1e-3, "pretrained": True},
        until=Moment.now().later(60.0),
    )
    assert head is not None
    return head


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="this processor computes bf16 so slowly that automl never chooses it",
)
def test_photos_are_told_apart_as_well_with_features_in_bf16(
    photos: SearchSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    monkeypatch.setattr("automl.training.heads.features.has_bf16", lambda device: True)
    for name, gain in (("fp32", 1e9), ("bf16", 0.0)):
        monkeypatch.setattr(frozen_network, "GAIN", gain)
        monkeypatch.setattr(frozen_network, "WORTH_SECONDS", 0.0)
        head = fitted(photos, tmp_path / name)
        logits, targets = predict_rows(head.model, photos.val, head.info, size=head.size)  # in float32
        found[name] = score(logits, targets, head.info, "accuracy")["accuracy"]
        assert abs(found[name] - head.val_score) <= (0.0 if name == "fp32" else 0.03)
        again = fitted(photos, tmp_path / name)
        assert again.val_score == head.val_score and again.seconds < head.seconds
    assert min(found.values()) > 0.75 and abs(found["fp32"] - found["bf16"]) <= 0.03
