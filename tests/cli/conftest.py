"""Two studies on disk, made once: reading must not change them. And a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from automl.cli import main
from tests.review.studies_on_disk import finished_study, running_study

QUICK = ("--study", "tiny", "--space", "smoke", "--epochs", "1", "--engine", "local", "--parallel", "1")


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disk") / "studies"
    finished_study(directory)
    running_study(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of studies with one that ran: `tiny`, of images in `pictures` beside it."""
    root = tmp_path_factory.mktemp("whole")
    data = load_digits()
    for index in np.flatnonzero(data.target < 2)[:120]:
        path = root / "pictures" / str(data.target[index]) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((data.images[index] * 15.9).astype(np.uint8)).save(path)
    place = ("--directory", str(root / "studies"))
    assert main(["fit", str(root / "pictures"), *QUICK, *place, "--n-trials", "2", "--quiet"]) == 0
    return root / "studies"
