"""Which files `automl predict` takes, and what it makes of scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.cli.commands.predict import _device, _show, collect, predicted
from automl.cli.options import State
from automl.data.pixels import open_image
from automl.errors import DataError, UsageError


class Brightness:
    """A predictor without a network: the brighter an image, the more it is `light`."""

    def __init__(self, task: str = "classification", classes: tuple[str, ...] = ("dark", "light")) -> None:
        self.classes = classes
        self.info = self
        self.task = task

    def predict_proba(self, images: list[Path]) -> np.ndarray[Any, Any]:
        means = [np.asarray(open_image(path).convert("L")).mean() / 255 for path in images]
        return np.array([[1 - mean, mean] for mean in means])[:, -len(self.classes) :]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    for name, grey in (("b.png", 255), ("a.jpg", 0), ("deep/c.PNG", 204), (".hidden/d.png", 0)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), grey).save(folder / name)
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def rows_of(
    predictor: Any, files: list[Path], proba: bool = False
) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    bad: list[tuple[Path, str]] = []
    return list(predicted(predictor, files, proba=proba, bad=bad)), bad


def test_folders_give_their_images_in_order_of_name(images: Path) -> None:
    assert [path.name for path in collect([str(images)])] == ["a.jpg", "b.png", "c.PNG"]


def test_files_are_taken_as_they_are_and_once(images: Path) -> None:
    text = str(images / "notes.txt")
    assert collect([text, str(images / "b.png"), text]) == [images / "notes.txt", images / "b.png"]


def test_missing_path_and_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'none.jpg' does not exist"):
        collect(["none.jpg"])
    with pytest.raises(UsageError, match=r"no images found in '.*'; give files or folders"):
        collect([str(tmp_path)])


def test_rows_have_label_confidence_and_asked_probabilities(images: Path) -> None:
    rows, bad = rows_of(Brightness(), collect([str(images)]), proba=True)
    assert bad == []
    assert [row["label"] for row in rows] == ["dark", "light", "light"]
    assert rows[1] == {
        "file": str(images / "b.png"),
        "label": "light",
        "confidence": 1.0,
        "proba_dark": 0.0,
        "proba_light": 1.0,
    }
    assert list(rows_of(Brightness(), collect([str(images)]))[0][0]) == ["file", "label", "confidence"]


def test_other_tasks_have_their_own_columns(images: Path) -> None:
    files = [images / "b.png"]
    assert rows_of(Brightness("multilabel"), files)[0] == [{"file": str(files[0]), "label": "light"}]
    assert rows_of(Brightness("regression", ("light",)), files)[0] == [{"file": str(files[0]), "light": 1.0}]


def test_unreadable_image_is_named_and_the_others_are_kept(images: Path) -> None:
    files = [images / "a.jpg", images / "notes.txt", images / "b.png"]
    rows, bad = rows_of(Brightness(), files)
    assert [Path(row["file"]).name for row in rows] == ["a.jpg", "b.png"]
    assert [path for path, _ in bad] == [images / "notes.txt"]
    assert "notes.txt" in bad[0][1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_is_written_to_a_file(
    images: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, _ = rows_of(Brightness(), collect([str(images)]))
    out = tmp_path / f"table{suffix}"
    _show(State(), rows, [], str(out))
    frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert list(frame["label"]) == ["dark", "light", "light"]
    assert capsys.readouterr().out == f"3 predictions written to {out}\n"


def test_file_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UsageError, match=r"--out must be a file that can be written, got 'no/such/x.csv'"):
        _show(State(), [{"file": "a"}], [], "no/such/x.csv")


def test_json_names_what_was_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    _show(State(json=True), [{"file": "a", "label": "x"}], [(Path("b"), "truncated")], None)
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "predictions": [{"file": "a", "label": "x"}],
        "skipped": [{"file": "b", "reason": "truncated"}],
    }


def test_reader_of_the_test_refuses_what_is_no_image(images: Path) -> None:
    with pytest.raises(DataError, match="not an image"):
        open_image(images / "notes.txt")


def test_gpu_is_used_where_there_is_one_and_images_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _device("cpu", 10_000) == "cpu" and _device("cuda:1", 1) == "cuda:1"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _device("auto", 10_000) == "cuda" and _device("auto", 3) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert _device("auto", 10_000) == "cpu"
