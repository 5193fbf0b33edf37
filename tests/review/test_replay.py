"""`python -m automl.review.replay`: a recorded study against the policies of today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from automl.review.replay import main
from automl.search import search
from tests.search.toy import ToySpace, climb, settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recorded study of the policy asha, called `toy`."""
    folder = tmp_path / "toy"
    storage = f"sqlite:///{folder / 'study.db'}"
    search(climb, ToySpace(), settings(study="toy", storage=storage, directory=folder, policy="asha"))
    (folder / "study.yaml").write_text("data: digits\nstudy: toy\npolicy: asha\n")
    return folder


def test_command_says_that_a_study_is_decided_the_same(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "automl.review.replay", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The same decisions in all ")


def test_another_policy_is_told_from_the_recorded_one_by_its_first_difference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["toy", "--directory", str(folder.parent), "--policy", "stop-asha"]) == 1
    assert capsys.readouterr().out.startswith("Not the same: event ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toyy"], "did you mean 'toy'"),
        (["toy", "--policy", "ashaa"], "did you mean 'asha'"),
        (["empty"], "must have a log of version .*, but has none"),
    ],
)
def test_what_cannot_be_replayed_is_an_error_in_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "empty" / "study.yaml").write_text("data: digits\nstudy: empty\n")
    assert main([*arguments, "--directory", str(folder.parent)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and re.search(message, line)
