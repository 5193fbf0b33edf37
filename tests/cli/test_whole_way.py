"""The commands one after the other on a real study, in one process and without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import automl
from automl.cli import main
from tests.cli.conftest import QUICK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def directory(tiny_study: Path) -> Path:
    """The directory of the study, which these tests change."""
    return tiny_study


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    code = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_fit_again_prints_one_json_object_and_progress_on_stderr(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = str(directory.parent / "pictures")
    code, document, err = run(
        capsys, "fit", pictures, *QUICK, "--directory", str(directory), "--n-trials", "2"
    )
    assert code == 0
    assert document == json.loads((directory / "tiny" / "result.json").read_text(encoding="utf-8"))
    assert "] scan: " in err


def test_resume_adds_trials_and_the_leaderboard_shows_them(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", str(directory))
    code, document, _ = run(capsys, "resume", "tiny", *place, "--n-trials", "3")
    assert (code, document["trials"]["total"]) == (0, 3)
    _, board, _ = run(capsys, "leaderboard", "tiny", *place)
    assert [row["rank"] for row in board["trials"]] == [1, 2, 3]
    assert board["trials"][0]["trial"] == document["best"]["trial"]
    _, listed, _ = run(capsys, "list", *place)
    assert [(study["study"], study["state"], study["trials"]) for study in listed["studies"]] == [
        ("tiny", "finished", 3)
    ]


def test_predict_gives_what_the_predictor_gives_and_names_bad_files(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = sorted((directory.parent / "pictures" / "1").iterdir())[:5]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    place = ("--directory", str(directory))
    code, document, err = run(capsys, "predict", "tiny", *map(str, [*pictures, bad]), *place, "--proba")
    assert code == 1
    assert "bad.png" in err
    predictor = automl.load("tiny", directory=directory)
    assert [row["label"] for row in document["predictions"]] == predictor.predict(pictures)
    scores = [[row["proba_0"], row["proba_1"]] for row in document["predictions"]]
    assert np.allclose(scores, predictor.predict_proba(pictures), atol=1e-5)
    assert [entry["file"] for entry in document["skipped"]] == [str(bad)]


def test_other_metric_for_the_same_study_is_refused(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = str(directory.parent / "pictures")
    place = ("--directory", str(directory))
    assert main(["fit", pictures, *QUICK, *place, "--n-trials", "2", "--metric", "f1", "--quiet"]) == 2
    assert "metric" in capsys.readouterr().err
