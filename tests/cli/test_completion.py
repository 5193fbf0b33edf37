"""What the shell offers after Tab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from automl.cli.group import root
from automl.spaces import presets


def offered(*words: str, incomplete: str = "") -> list[str]:
    complete = ShellComplete(root, {}, "automl", "_AUTOML_COMPLETE")
    found = complete.get_completions(list(words), incomplete)
    return [item.value for item in found if item.type == "plain"]


def test_commands_options_spaces_metrics_and_tasks_are_offered() -> None:
    assert offered(incomplete="lea") == ["leaderboard"]
    assert "--time-limit" in offered("fit", "photos", incomplete="--ti")
    assert offered("fit", "photos", "--space") == presets() == offered("spaces")
    assert offered("fit", "photos", "--metric", incomplete="bal") == ["balanced_accuracy"]
    assert offered("inspect", "photos", "--task", incomplete="m") == ["multilabel"]


@pytest.mark.parametrize(
    "command", ["show", "resume", "leaderboard", "dashboard", "predict", "export", "serve"]
)
def test_studies_of_the_directory_are_offered(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("studies/birds", "studies/bees", "other/cats"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "study.yaml").touch()
    (tmp_path / "studies/notes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert offered(command) == ["bees", "birds"]
    assert offered(command, incomplete="bi") == ["birds"]
    assert offered(command, "--directory", "other") == ["cats"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    code = "import sys; sys.argv[0] = 'automl'; from automl.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"_AUTOML_COMPLETE": f"{shell}_source", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "_AUTOML_COMPLETE" in run.stdout and "automl" in run.stdout
