"""What a killed process left behind is removed by the next; the folders of living ones stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from automl.search.engines.ray_runtime import FOLDER, _sweep


def test_folders_of_dead_processes_go_and_others_stay(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    names = [
        f"{FOLDER}{dead.stdout.strip()}-abc",
        f"{FOLDER}{os.getpid()}-abc",
        f"{FOLDER}old",
        "automl-other",
    ]
    for name in names:
        (tmp_path / name / "session").mkdir(parents=True)
    _sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
