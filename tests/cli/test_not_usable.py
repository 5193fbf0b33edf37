"""A study whose model is no better than the trivial answer: exit code 3, and every command says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from automl.cli import main

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders that have nothing to do with what they show."""
    root = tmp_path_factory.mktemp("chance")
    names = np.random.default_rng(0).choice(["busy", "free"], 150, p=[0.3, 0.7])
    for index, (image, name) in enumerate(zip(load_digits().images, names, strict=False)):
        path = root / "pictures" / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(path)
    return root


def test_every_command_says_that_a_model_at_chance_is_not_usable(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", str(directory / "studies"))
    quick = (
        "--space",
        "smoke",
        "--epochs",
        "1",
        "--n-trials",
        "1",
        "--engine",
        "local",
        "--metric",
        "accuracy",
    )
    pictures = str(directory / "pictures")
    assert main(["fit", pictures, *quick, *place, "--quiet"]) == 3
    lines = capsys.readouterr().out.splitlines()
    # The model may have learned no more than the more frequent class, which is said in other words.
    assert (
        lines[0].startswith(("Not usable: accuracy 0.", "Not usable: its answer for all "))
        and "'free'" in lines[0]
    )
    # The same command again, and for scripts.
    assert main(["fit", pictures, *quick, *place, "--quiet", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["usable"] is False and document["trivial"]["accuracy"] > 0.6
    assert main(["list", *place]) == 0
    assert "finished, not usable" in capsys.readouterr().out
    assert main(["show", "pictures", *place]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "pictures: finished, not usable" and lines[0] in shown
    assert main(["leaderboard", "pictures", *place]) == 0
    board = capsys.readouterr().out.splitlines()
    assert board[0].startswith("trivial answer on the validation images: val_accuracy 0.")
    assert board[1] == lines[0]
    one = next((directory / "pictures" / "free").iterdir())
    assert main(["predict", "pictures", str(one), str(one.parent), *place]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"automl: {lines[0]}"] and lines[0] not in said.out
