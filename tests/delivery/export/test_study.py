"""A study's own model, exported as its user does it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import automl
from automl.cli import main
from automl.errors import DataError

for needed in ("onnxruntime", "onnxscript"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.study


def test_export_of_a_study_is_proven_by_its_holdout_and_other_images_serve_where_its_own_are_gone(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "pictures"
    shutil.copytree(pictures, data)
    place = tmp_path / "studies"
    result = automl.fit(
        data,
        study="pictures",
        directory=place,
        space="smoke",
        n_trials=1,
        epochs=2,
        engine="local",
        progress=False,
    )
    assert main(["export", "pictures", "--to", "onnx", "--directory", str(place), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    held = result.document["data"]["n_holdout"]
    assert (said["rows"], said["equal"], said["own_holdout"]) == (held, held, True)
    # The holdout's own score: the same rows, and labels in the order of the model's classes.
    assert said["value"]["value"] == pytest.approx(result.holdout["accuracy"].value)
    moved = tmp_path / "moved"
    data.rename(moved)
    with pytest.raises(DataError, match="must exist"):
        automl.export("pictures", to="onnx", directory=place)
    made = automl.export("pictures", to="onnx", data=moved, directory=place, out=tmp_path / "elsewhere")
    known = json.loads((place / "pictures" / "exports.json").read_text(encoding="utf-8"))["exports"]
    assert [row["folder"] for row in known] == [str(made.folder)] == [str(tmp_path / "elsewhere")]
    assert not made.own_holdout and made.proof.equal == made.proof.rows > held
    moved.rename(data)
    rows = csv.DictReader((place / "pictures" / "splits.csv").read_text(encoding="utf-8").splitlines())
    (data / next(row["file"] for row in rows if row["split"] == "holdout")).unlink()
    with pytest.raises(DataError, match=f"1 of {held} held-out ones are not in"):
        automl.export("pictures", to="onnx", directory=place)
