"""A study leaves the process of its caller as it found it."""

# ruff: noqa: NPY002 (the global generator of numpy is the matter here)

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import automl
from automl.training.hardware.process_state import TORCH_SEED, leaves_no_trace, process_state_kept

LOOKS = """
import os, random, sys, warnings
import numpy as np
before = dict(os.environ), list(warnings.filters)
import automl
images = np.random.default_rng(0).integers(0, 99, (60, 8, 8, 3)).astype("uint8")
labels = np.arange(60) % 2
images[labels == 1] += 100
random.seed(1); np.random.seed(1)
automl.fit(images, labels, study="s", space="smoke", n_trials=1, epochs=1, engine="local", pretrained="never",
           progress=PROGRESS)
import torch
print(random.random(), np.random.rand(), torch.rand(1).item())
assert dict(os.environ) == before[0], set(os.environ) ^ set(before[0])
assert list(warnings.filters) == before[1]
"""


def test_states_are_restored_also_after_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = Path.cwd()
    monkeypatch.setenv("AUTOML_TEST_OLD", "old")
    threads = torch.get_num_threads()

    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    @leaves_no_trace
    def spoils() -> None:
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
        torch.set_num_threads(threads + 1)
        os.environ.update(AUTOML_TEST_OLD="new", AUTOML_TEST_NEW="1", RAY_TEST_TOKEN="x")
        warnings.simplefilter("error")
        os.chdir(tmp_path)
        raise ValueError

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    wanted, filters = draws(), list(warnings.filters)
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    with pytest.raises(ValueError):
        spoils()
    assert draws() == wanted
    assert Path.cwd() == here
    assert torch.get_num_threads() == threads
    assert os.environ["AUTOML_TEST_OLD"] == "old"
    assert "AUTOML_TEST_NEW" not in os.environ
    assert os.environ.pop("RAY_TEST_TOKEN") == "x"
    assert list(warnings.filters) == filters
    with process_state_kept():
        pass


@pytest.mark.study
@pytest.mark.parametrize("progress", [True, False])
def test_fit_shows_its_progress_and_leaves_no_trace(progress: bool, tmp_path: Path) -> None:
    code = LOOKS.replace("PROGRESS", str(progress))
    environment = {**os.environ, "PYTHONPATH": str(Path(automl.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    random.seed(1)
    np.random.seed(1)
    drawn = torch.rand(1, generator=torch.Generator().manual_seed(TORCH_SEED)).item()
    assert done.stdout.split() == [str(random.random()), str(float(np.random.rand())), str(drawn)]
    assert ("retrain: training the best configuration" in done.stderr) is progress
    assert progress or not done.stderr
