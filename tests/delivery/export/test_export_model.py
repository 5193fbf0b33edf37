"""Each format answers for images on disk as the model does, called by the script that lies beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import automl
from automl.delivery.export.export import written_beside
from automl.delivery.export.graph import Whole
from automl.delivery.export.model import export_model
from automl.delivery.export.onnx_graph import TOLERANCE, difference, preparation_graph, session
from automl.delivery.export.pillow_resize import PillowResize
from automl.errors import ConfigError, DataError, ModelError, UsageError
from automl.final.model_folder import Preprocess
from automl.records import Task
from tests.delivery.conftest import CLASSES, MakeModel, info_of, know_features

for needed in ("onnxruntime", "onnxscript"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("to", ["onnx", "openvino", "torch"])
def test_exported_file_and_its_script_answer_as_the_model_does(
    to: str, make_model: MakeModel, pictures: Path
) -> None:
    if to == "openvino":
        pytest.importorskip("openvino")
    folder = make_model()
    know_features(folder, pictures)
    made = export_model(folder, to=to, data=pictures)
    assert made.proof.equal == made.proof.rows == 18  # the half that no choice was made by
    assert made.proof.difference < TOLERANCE
    assert made.folder == folder / to
    files = sorted(pictures.glob("*/*"))
    done = subprocess.run(
        [sys.executable, str(made.folder / "predict.py"), *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    expected = automl.load(folder).predict_proba(list(files))
    found = np.array([[row["probabilities"][name] for name in CLASSES] for row in said])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    unknown = automl.load(folder).unknown(list(files))
    np.testing.assert_allclose([row["unknown"] for row in said], unknown, atol=0.01)
    assert "import automl" not in (made.folder / "predict.py").read_text(encoding="utf-8")
    assert (made.folder / "labels.txt").read_text(encoding="utf-8").split() == list(CLASSES)
    assert json.loads((made.folder / "proof.json").read_text())["rows"] == 18


def test_onnx_file_takes_any_number_of_images_of_any_size(make_model: MakeModel, pictures: Path) -> None:
    made = export_model(make_model(), to="onnx", data=pictures)
    opened = session(str(made.folder / "model.onnx"))
    random = np.random.default_rng(0)
    for n, height, width in ((1, 1, 1), (2, 7, 300), (5, 40, 40), (3, 513, 90)):
        scores = opened.run(None, {"images": random.integers(0, 256, (n, height, width, 3), dtype=np.uint8)})[
            0
        ]
        assert scores.shape == (n, 3)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_regression_leaves_the_file_in_its_own_units(
    make_model: MakeModel, pictures: Path, tmp_path: Path
) -> None:
    rows = [f"{path},{50 + 10 * i}" for i, path in enumerate(sorted(pictures.glob("*/*")))]
    table = tmp_path / "table.csv"
    table.write_text("image,brightness\n" + "\n".join(rows), encoding="utf-8")
    made = export_model(make_model(info=info_of("regression")), to="onnx", data=table)
    assert made.proof.metric == "rmse"
    assert made.proof.value.value == pytest.approx(made.proof.torch_value, rel=1e-4)
    assert made.proof.equal == made.proof.rows


def test_grey_model_and_a_network_with_another_input_size(make_model: MakeModel, pictures: Path) -> None:
    made = export_model(
        make_model("test_vit", replace(info_of(channels=1), img_size=160), size=160), to="onnx", data=pictures
    )
    assert made.proof.equal == made.proof.rows and made.proof.difference < TOLERANCE


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_temperature_of_the_probabilities_is_in_the_graph(task: Task, make_model: MakeModel) -> None:
    folder = make_model(info=info_of(task), temperature=1.7)
    predictor = automl.load(folder)
    preprocess = Preprocess(predictor.info, predictor.size, predictor.mirrored, predictor.temperature)
    whole = Whole(predictor.model, preprocess).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    with torch.no_grad():
        found = whole(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, predictor.predict_pixels(pixels), atol=1e-5)
    assert predictor.temperature == 1.7


def test_int8_is_smaller_and_answers_nearly_the_same(make_model: MakeModel, pictures: Path) -> None:
    folder = make_model("resnet10t")
    whole = export_model(folder, to="onnx", data=pictures)
    know_features(folder, pictures)
    made = export_model(folder, to="onnx", int8=True, max_loss=0.2, data=pictures)
    assert made.folder == folder / "onnx-int8"
    assert made.int8 > 5
    assert made.size < whole.size / 3
    assert made.proof.difference < 0.1


def test_file_that_answers_otherwise_is_refused_and_an_earlier_export_stays(
    make_model: MakeModel, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model()
    export_model(folder, to="onnx", data=pictures)
    before = (folder / "onnx" / "model.onnx").read_bytes()
    # The usual mistake of exports: another resizing.
    monkeypatch.setattr(PillowResize, "forward", _nearest)
    preparation_graph.cache_clear()
    with pytest.raises(ModelError, match="must answer as the model does.*nothing was written"):
        export_model(folder, to="onnx", data=pictures)
    preparation_graph.cache_clear()
    assert (folder / "onnx" / "model.onnx").read_bytes() == before
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def _nearest(self: Any, images: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(
        images.permute(0, 3, 1, 2).float(), (self.size, self.size), mode="nearest"
    )


def test_unknown_labels_formats_and_options_are_refused_in_one_sentence(
    make_model: MakeModel, pictures: Path
) -> None:
    folder = make_model(info=replace(info_of(), classes=("black", "middle", "white")))
    with pytest.raises(DataError, match="must have labels that the model knows"):
        export_model(folder, to="onnx", data=pictures)
    with pytest.raises(UsageError, match="proven on labelled images"):
        export_model(folder, to="onnx")
    with pytest.raises(UsageError, match="'onxx'.*onnx"):
        export_model(folder, to="onxx", data=pictures)
    with pytest.raises(UsageError, match="max_loss is for int8, got 0.1: leave it out"):
        export_model(folder, to="onnx", max_loss=0.1, data=pictures)
    for loss in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"^max_loss must be a number of at least 0, got {loss!r}$"):
            export_model(folder, to="onnx", int8=True, max_loss=loss, data=pictures)
    with pytest.raises(ConfigError, match="max_loss must be at most 1, as accuracy cannot lose more, got 2"):
        export_model(folder, to="onnx", int8=True, max_loss=2.0, data=pictures)
    with pytest.raises(UsageError, match="int8 is for the formats onnx and openvino"):
        export_model(folder, to="torch", int8=True, data=pictures)
    assert not (folder / "torch").exists()
    for out in (folder, pictures):
        with pytest.raises(
            UsageError, match=r"--out \(in Python out\) must be .*earlier export as onnx, but"
        ):
            export_model(folder, to="onnx", out=out, data=pictures)


def test_disk_that_fills_up_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = "that failed .No space left on device.: free some space there"
    with pytest.raises(UsageError, match=said), written_beside(tmp_path / "out") as folder:
        Path(folder, "part").write_text("x", encoding="utf-8")
        Path("/dev/full").write_text("x", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


def test_difference_counts_nan_as_infinite() -> None:
    assert difference(np.array([[np.nan, 0.5]]), np.array([[0.5, 0.5]])) == float("inf")
    assert difference(np.array([[100.1]]), np.array([[100.0]])) == pytest.approx(1e-3)
