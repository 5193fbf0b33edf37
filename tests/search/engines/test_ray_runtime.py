"""What a killed process left behind is removed by the next; the folders of living ones stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from automl.search.engines.ray_runtime import FOLDER, TUNE_FOLDER, sweep


def test_folders_of_dead_processes_go_and_others_stay(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    names = [
        f"{FOLDER}{dead.stdout.strip()}-abc",
        f"{TUNE_FOLDER}{dead.stdout.strip()}-abc",
        f"{FOLDER}{os.getpid()}-abc",
        f"{FOLDER}old",
        "automl-other",
    ]
    for name in names:
        (tmp_path / name / "session").mkdir(parents=True)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


@pytest.mark.ray
def test_matrix_products_go_on_while_ray_starts() -> None:
    # Without a limit on BLAS threads this hangs: OpenBLAS ends its threads when another thread forks.
    code = """
import faulthandler, types
import numpy as np
from automl.search import warm_up
faulthandler.dump_traceback_later(90, exit=True)
matrix = np.random.default_rng(0).random((400, 400), dtype=np.float32)
with warm_up(types.SimpleNamespace(engine="ray", address=None), cpus=1) as engine:
    rounds = 0
    while not engine._runtime._ready.is_set():
        np.linalg.eigh(matrix.T @ matrix)
        rounds += 1
print(rounds > 3)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr
