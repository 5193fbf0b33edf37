"""`automl deliver`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from automl.cli import main
from tests.review.studies_on_disk import finished_study


def test_copy_of_a_study_beside_it_does_not_change_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = finished_study(tmp_path, "tiny")
    shutil.copytree(study, tmp_path / "copy")
    for wish in (["--trial", "0"], ["--former", "t1"]):
        assert main(["deliver", "copy", "--directory", str(tmp_path), *wish]) == 2
        assert "is a copy of the study 'tiny', or was renamed" in capsys.readouterr().err
