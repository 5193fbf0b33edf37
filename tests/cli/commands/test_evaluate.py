"""`automl evaluate` on model folders and studies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from automl.cli import main
from automl.final.confidence.folder import write_confidence
from automl.final.confidence.selective import RiskTable
from automl.final.model_folder import write_model_folder
from automl.torch_setup import import_timm
from tests.final.evaluation.greys import predictor, write_greys
from tests.final.evaluation.test_record import an_evaluation
from tests.review.studies_on_disk import RESULT, finished_study

CONFIG: dict[str, Any] = {
    "family": "resnet",
    "model": "test_resnet",
    "opt": "adamw",
    "lr": 0.01,
    "weight_decay": 0.0,
    "batch_size": 8,
    "sched": "onecycle",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a network with random weights, for dark and light grey images."""
    folder = tmp_path_factory.mktemp("model") / "model"
    torch.manual_seed(0)
    network = import_timm().create_model("test_resnet", num_classes=2, in_chans=1)
    info = predictor(img_size=32).info
    write_model_folder(folder, network, CONFIG, info, size=32)
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_greys(tmp_path / "new", {"dark": [0, 10, 20], "light": [240, 250]})


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([*map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_evaluation_is_shown_as_tables_and_as_json(
    model: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "evaluate", model, images)
    assert (code, err) == (0, "")
    for text in ("5 images", "accuracy", "95 % interval", "always 'light'", "precision", "Calibration: ECE"):
        assert text in out, text
    code, out, _ = run(capsys, "evaluate", model, images, "--json", "--metric", "f1")
    said = json.loads(out)
    assert code == 0 and said["n"] == 5 and next(iter(said["metrics"])) == "f1"
    assert sum(row["support"] for row in said["per_class"]) == 5


def test_answers_and_page_are_written(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run(
        capsys, "evaluate", model, images, "--out", tmp_path / "a.csv", "--html", tmp_path / "a.html"
    )
    table = pd.read_csv(tmp_path / "a.csv")
    assert code == 0 and list(table["label"]) == ["dark"] * 3 + ["light"] * 2
    wrong = int((table["label"] != table["predicted"]).sum())
    assert (tmp_path / "a.html").read_text().count("data:image/jpeg") == wrong > 0


def test_unreadable_image_is_named_and_the_exit_code_is_1(
    model: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "dark" / "x.png").write_bytes(b"no image")
    code, out, err = run(capsys, "evaluate", model, images)
    assert code == 1 and "5 images" in out
    assert err == "automl: skipped 'dark/x.png': not an image\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{images}", "--out", "a.txt"), "--out must end in .csv, got 'a.txt'"),
        (("{images}", "--split", "test"), "the split 'test' must have images, but 'new' has no parts"),
        (("{images}", "--metric", "acuracy"), "unknown metric 'acuracy': did you mean 'accuracy'?"),
        (("none",), "the data must exist, but there is no file or folder 'none'"),
        ((), "a study must exist, got"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(
    model: Path, images: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(capsys, "evaluate", model, *(text.format(images=images) for text in arguments))
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A finished study whose result holds an evaluation."""
    root = finished_study(tmp_path / "studies")
    said = {**RESULT, "study": "photos", "evaluation": an_evaluation("classification").to_json()}
    (root / "result.json").write_text(json.dumps(said), encoding="utf-8")
    return root


def test_without_data_the_test_of_the_study_is_shown(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", study.parent)
    code, out, _ = run(capsys, "evaluate", "photos", *place, "--html", tmp_path / "x.html")
    assert code == 0 and "photos on its holdout: 50 images\n" in out and "Most confused" in out
    assert "photos on its holdout" in (tmp_path / "x.html").read_text()
    code, out, _ = run(capsys, "evaluate", "photos", *place, "--json")
    assert json.loads(out) == an_evaluation("classification").to_json()
    code, _, err = run(capsys, "evaluate", "photos", *place, "--split", "test")
    assert code == 2 and "--split needs DATA to test the model on" in err


def test_study_without_an_evaluation_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_study(tmp_path / "studies")
    code, _, err = run(capsys, "evaluate", "photos", "--directory", tmp_path / "studies")
    assert code == 2 and "is of an earlier version, so it holds no evaluation" in err


def test_damaged_evaluation_is_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for damage in ({"format": 7}, {"format": 1}, {"format": 1, "task": "classification", "metrics": 3}):
        said = {**RESULT, "evaluation": damage}
        (study / "result.json").write_text(json.dumps(said), encoding="utf-8")
        code, _, err = run(capsys, "evaluate", "photos", "--directory", study.parent)
        assert code == 2 and "hold a value that automl does not write" in err


def test_worst_class_is_shown_by_show(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "show", "photos", "--directory", study.parent)
    assert "is the worst class" in out and "`automl evaluate photos`" in out


def test_columns_of_the_study_are_used_for_a_table(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_greys(tmp_path / "new", {"dark": [0, 10], "light": [240, 250]})
    rows = [
        (str(path), path.parent.name, "x" if k % 2 else "y")
        for k, path in enumerate(sorted(images.rglob("*.png")))
    ]
    pd.DataFrame(rows, columns=["file", "shade", "label"]).to_csv(tmp_path / "t.csv", index=False)
    root = finished_study(tmp_path / "studies")
    shutil.rmtree(root / "model")
    shutil.copytree(model, root / "model")
    text = (root / "study.yaml").read_text(encoding="utf-8")
    (root / "study.yaml").write_text(re.sub(r"target:.*", "target: shade", text), encoding="utf-8")
    code, out, err = run(capsys, "evaluate", root, tmp_path / "t.csv", "--json")
    assert (code, json.loads(out)["n"]) == (0, 4), err


def test_predict_leaves_out_unsure_answers_and_says_how_many_are_left(
    model: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    code, out, err = run(capsys, "predict", folder, images, "--reject", "0.9")
    assert (code, out) == (2, "") and "must have confidence.json to leave out unsure answers" in err
    _, out, _ = run(capsys, "predict", folder, images, "--json")
    sure = sorted(row["confidence"] for row in json.loads(out)["predictions"])
    table = RiskTable(100, ((1.0, 1, 0), ((sure[2] + sure[3]) / 2, 80, 0), (0.0, 100, 60)))
    write_confidence(folder, table)
    code, out, err = run(capsys, "predict", folder, images, "--reject", "0.9", "--json")
    rows = json.loads(out)["predictions"]
    assert code == 0 and sorted(row["rejected"] for row in rows) == [False, False, True, True, True]
    assert all((row["label"] is None) == row["rejected"] for row in rows)
    assert err.startswith("automl: 2 of 5 answers are left, with a confidence of ") and err.count("\n") == 1
    run(capsys, "predict", folder, images, "--reject", "0.9", "--out", tmp_path / "p.csv")
    written = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert list(written.columns) == ["file", "label", "confidence", "rejected"]
    assert (written["label"] == "").tolist() == written["rejected"].tolist()
    _, out, _ = run(capsys, "predict", folder, images, "--reject", "0.9")
    assert "rejected" in out and "-" in out
