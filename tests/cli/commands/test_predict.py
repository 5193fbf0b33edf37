"""Which files `automl predict` takes, and what it makes of scores."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from automl.cli.commands.predict import _device, _require_out, _require_paths, _show, collect, predicted
from automl.cli.options import State
from automl.errors import DataError, UsageError
from automl.final.predictor import Predictor
from automl.records import DatasetInfo, LabelType, Task
from tests.data.conftest import pack, pack_tar


class Brightness(nn.Module):
    """A network without weights: the brighter an image, the more it is `light`."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))[:, None]
        if self._task == "classification":
            return torch.log(torch.cat([1 - mean, mean], dim=1))
        return mean if self._task == "regression" else torch.logit(mean)


def brightness(task: Task = "classification", classes: tuple[str, ...] = ("dark", "light")) -> Predictor:
    """A predictor of the brightness of grey images."""
    scale: tuple[float, ...] = (1.0,) if task == "regression" else ()
    info = DatasetInfo(
        name="greys",
        task=task,
        classes=classes,
        in_chans=1,
        img_size=4,
        mean=(0.0,),
        std=(1.0,),
        class_counts=(1,) * len(classes),
        fingerprint="0",
        n_train=1,
        n_val=0,
        n_holdout=0,
        n_skipped=0,
        target_mean=tuple(0.0 for _ in scale),
        target_std=scale,
    )
    return Predictor(Brightness(task), info, 4)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    for name, grey in (("b.png", 255), ("a.jpg", 0), ("deep/c.PNG", 204), (".hidden/d.png", 0)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), grey).save(folder / name)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def rows_of(
    predictor: Predictor, *paths: Path, proba: bool = False
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    bad: list[tuple[str, str]] = []
    found = collect(list(map(str, paths)), predictor)
    return list(predicted(predictor, found, proba=proba, bad=bad)), bad


def names_of(*paths: Path) -> list[str]:
    return [image.name for image in collect(list(map(str, paths)), brightness())]


def test_folders_give_their_images_in_order_of_name(images: Path) -> None:
    assert [Path(name).name for name in names_of(images)] == ["a.jpg", "b.png", "c.PNG"]


def test_linked_folders_are_followed_but_not_in_circles(images: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "linked").symlink_to(images, target_is_directory=True)
    (outer / "circle").symlink_to(outer, target_is_directory=True)
    assert [Path(name).name for name in names_of(outer)] == ["a.jpg", "b.png", "c.PNG"]


def test_archives_and_tables_give_the_images_that_they_hold(images: Path, tmp_path: Path) -> None:
    pd.DataFrame({"file_name": ["b.png", "deep/c"], "label": ["x", "y"]}).to_csv(images / "t.csv")
    packed = [str(pack(images, tmp_path / "new.zip")), str(pack_tar(images, tmp_path / "new.tar.gz"))]
    for path in packed:
        rows, bad = rows_of(brightness(), Path(path))
        assert [row["file"] for row in rows] == [
            f"{path}/{name}" for name in ("a.jpg", "b.png", "deep/c.PNG")
        ]
        assert ([row["label"] for row in rows], bad) == (["dark", "light", "light"], [])
    assert names_of(images / "t.csv") == [str(images / "b.png"), str(images / "deep" / "c.PNG")]


def test_files_are_taken_as_they_are_and_once(images: Path) -> None:
    text = images / "notes.txt"
    assert names_of(text, images / "b.png", text) == [str(text), str(images / "b.png")]


def test_missing_path_and_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'none.jpg' does not exist"):
        _require_paths(["none.jpg"])
    with pytest.raises(DataError, match=r"no images found in '.*': give files or folders"):
        names_of(tmp_path)


def test_rows_have_label_confidence_and_asked_probabilities(images: Path) -> None:
    rows, bad = rows_of(brightness(), images, proba=True)
    assert bad == []
    assert [row["label"] for row in rows] == ["dark", "light", "light"]
    assert rows[1] == {
        "file": str(images / "b.png"),
        "label": "light",
        "confidence": 1.0,
        "proba_dark": 0.0,
        "proba_light": 1.0,
    }
    assert list(rows_of(brightness(), images)[0][0]) == ["file", "label", "confidence"]


@pytest.mark.parametrize(
    ("label_type", "classes", "label"),
    [("int", ("0", "7"), 7), ("text", ("001", "007"), "007"), ("text", ("dark", 'a\nb",'), 'a\nb",')],
)
def test_labels_have_the_type_in_which_they_were_given(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    label_type: LabelType,
    classes: tuple[str, str],
    label: int | str,
) -> None:
    predictor = brightness(classes=classes)
    predictor.info = replace(predictor.info, label_type=label_type)
    rows, _ = rows_of(predictor, images / "b.png")
    assert rows[0]["label"] == label
    _show(State(json=True), rows, [], str(tmp_path / "x.csv"))
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == label
    table = pd.read_csv(tmp_path / "x.csv", dtype=str)
    assert (table["file"].tolist(), table["label"].tolist()) == ([str(images / "b.png")], [str(label)])


def test_other_tasks_have_their_own_columns(images: Path) -> None:
    path = images / "b.png"
    assert rows_of(brightness("multilabel", ("light",)), path)[0] == [{"file": str(path), "label": "light"}]
    assert rows_of(brightness("regression", ("light",)), path)[0] == [{"file": str(path), "light": 1.0}]
    odd = rows_of(brightness("regression", ("file",)), path)[0]
    assert odd == [{"file": str(path), "file (predicted)": 1.0}]


def test_unreadable_image_is_named_and_the_others_are_kept(images: Path) -> None:
    rows, bad = rows_of(brightness(), images / "a.jpg", images / "notes.txt", images / "b.png")
    assert [Path(row["file"]).name for row in rows] == ["a.jpg", "b.png"]
    assert bad == [(str(images / "notes.txt"), "not an image")]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_names_of_any_bytes_can_be_written(
    images: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [b"caf\xe9.png", b"new\nline.png", b'quo"te,.png']
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes((images / "b.png").read_bytes())
    rows, bad = rows_of(brightness(), *(tmp_path / os.fsdecode(name) for name in names))
    out = tmp_path / f"table{suffix}"
    _show(State(json=suffix == ".json"), rows, [], None if suffix == ".json" else str(out))
    if suffix == ".json":
        files = [row["file"] for row in json.loads(capsys.readouterr().out)["predictions"]]
    else:
        files = (pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out))["file"].tolist()
    assert [Path(file).name for file in files] == ["caf\\xe9.png", "new\nline.png", 'quo"te,.png']
    assert bad == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_is_written_to_a_file(
    images: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, _ = rows_of(brightness(), images)
    out = tmp_path / f"table{suffix}"
    _show(State(), rows, [], str(out))
    frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert list(frame["label"]) == ["dark", "light", "light"]
    assert capsys.readouterr().out == f"3 predictions written to {out}\n"


def test_file_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UsageError, match=r"--out must be a file that can be written, got 'no/such/x.csv'"):
        _show(State(), [{"file": "a"}], [], "no/such/x.csv")


def test_json_names_what_was_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    _show(State(json=True), [{"file": "a", "label": "x"}], [("b", "truncated")], None)
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "predictions": [{"file": "a", "label": "x"}],
        "skipped": [{"file": "b", "reason": "truncated"}],
    }


def test_gpu_is_used_where_there_is_one_and_images_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _device("cpu", 10_000) == "cpu" and _device("cuda:1", 1) == "cuda:1"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _device("auto", 10_000) == "cuda" and _device("auto", 3) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert _device("auto", 10_000) == "cpu"


@pytest.mark.parametrize("end", [".csv", ".parquet"])
@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_predictions_replace_earlier_ones_only(tmp_path: Path, task: Task, end: str) -> None:
    classes = ("dark", "light") if task == "classification" else ("light",)
    predictor, out, other = brightness(task, classes), tmp_path / f"out{end}", tmp_path / f"other{end}"
    Image.new("L", (4, 4), 250).save(tmp_path / "x.png")
    rows = list(predicted(predictor, collect([str(tmp_path)], predictor), proba=True, bad=[]))
    _show(State(quiet=True), rows, [], str(out))
    _require_out(out, predictor, [str(tmp_path / "x.png"), None])
    with pytest.raises(UsageError, match="--out must not be the data"):
        _require_out(out, predictor, [str(out)])
    frame = pd.DataFrame({"file": ["x.png"], "truth": ["light"]})
    frame.to_csv(other, index=False) if end == ".csv" else frame.to_parquet(other)
    with pytest.raises(UsageError, match="--out must be a new file or an earlier table of `automl predict`"):
        _require_out(other, predictor, [])
