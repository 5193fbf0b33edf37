"""What the documents show works: commands parse, Python runs, the reference is the help, examples load."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from automl import config
from automl.cli.group import COMMANDS, root
from automl.cli.options import State
from automl.cli.reference import reference

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def readme_commands() -> list[str]:
    lines = [line.split(" #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    inline = re.findall(r"`(automl \w+ [^`]+)`", README)
    return [line for line in [*lines, *inline] if line.startswith("automl ") and "DATA" not in line]


def test_reference_equals_help_pages() -> None:
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "docs/reference/cli.md is out of date: run `make docs`"


def test_reference_has_every_command() -> None:
    assert [f"## automl {name}" for name in COMMANDS] == re.findall(
        r"^## automl \w+$", reference(), re.MULTILINE
    )


def test_readme_shows_most_commands() -> None:
    shown = {line.split()[1] for line in readme_commands()}
    assert shown >= set(COMMANDS)


@pytest.mark.parametrize("line", readme_commands())
def test_readme_command_parses(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    command = root.get_command(click.Context(root), name)
    assert command is not None
    context = command.make_context(name, arguments, obj=State())
    options: dict[str, Any] = {key: value for key, value in context.params.items() if value is not None}
    if name == "fit" and not str(options["data"]).endswith(".yaml"):
        assert config.load(options.pop("data"), **options).study


def test_readme_names_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", "\n".join(blocks("bash")))) <= targets


@pytest.mark.slow
@pytest.mark.ray
def test_readme_python_blocks_run_in_order(tmp_path: Path) -> None:
    """In a process of their own, as a person would run them."""
    checks = """
assert result.holdout["accuracy"].low <= result.holdout["accuracy"].value
assert found.best_config["lr"] > 0.001
"""
    (tmp_path / "readme.py").write_text("\n".join([*blocks("python"), checks]), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "readme.py"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "studies" / "readme" / "model" / "model.safetensors").is_file()


def test_readme_python_blocks_compile() -> None:
    assert len(blocks("python")) == 3
    for block in blocks("python"):
        compile(block, "README.md", "exec")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_has_short_lines_and_paragraphs_and_links_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    long = [line for line in text.splitlines() if len(line) >= 120 and not line.startswith("|")]
    assert not long or path.name == "CHANGELOG.md", long
    for paragraph in re.split(r"\n\s*\n|\n(?=[|#]|\s*(?:[-*]|\d+\.) )", prose):
        assert len(paragraph.strip().splitlines()) <= 10, paragraph
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_benchmarks_that_the_docs_name_run_as_commands() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"python -m (benchmarks(?:\.\w+)+)", page.read_text())
    }
    assert len(named) > 10
    for name in named:
        path = ROOT.joinpath(*name.split("."))
        script = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert '__name__ == "__main__"' in script.read_text(), f"`python -m {name}` does nothing"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_example_study_loads(path: Path) -> None:
    loaded = config.load(path)
    assert loaded.directory == "studies"
    assert f"automl fit studies/{path.name}" in path.read_text(encoding="utf-8")
