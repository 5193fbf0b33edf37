"""The example notebook: executed, without traces of the machine that executed it, and its code still runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "examples" / "digits.ipynb"
CELLS: list[dict[str, Any]] = [
    cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
]
QUICK = ('time_limit=TIME_LIMIT,\n    engine="local"', 'n_trials=2, epochs=1, space="smoke", engine="local"')


def code() -> str:
    """The code of all cells, with a search that takes seconds."""
    text = "\n".join("".join(cell["source"]) for cell in CELLS)
    assert QUICK[0] in text
    return text.replace(*QUICK).replace(
        'DIRECTORY, TIME_LIMIT = "studies"', 'DIRECTORY, TIME_LIMIT = "studies here"'
    )


def test_notebook_was_executed_without_errors() -> None:
    counts = [cell["execution_count"] for cell in CELLS]
    assert counts == list(range(1, len(CELLS) + 1))
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"display_data", "execute_result"}
    kinds = {kind for output in outputs for kind in output["data"]}
    assert {"text/html", "image/png"} <= kinds
    progress = [
        "".join(output["data"]["text/html"]) for output in outputs if output["output_type"] == "display_data"
    ]
    assert len(progress) == 1 and "best val accuracy" in progress[0]


def test_notebook_names_no_folder_of_the_machine_that_executed_it() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.\"+/])/(?:home|root|work|tmp|Users)/", text)


@pytest.mark.slow
@pytest.mark.study
def test_code_of_the_notebook_runs(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed (pip install 'automl[plot]')")
    script = f"if __name__ == '__main__':\n{_indented(code())}\n    assert rounds.count == 2, rounds.count\n"
    (tmp_path / "notebook.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "studies here" / "notebook" / "result.json").is_file()


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
