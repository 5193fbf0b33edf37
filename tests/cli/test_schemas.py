"""What `--json` prints is what its schema says, for every command that has the option."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from automl.cli import main
from automl.cli.group import COMMANDS, root
from tests.cli.conftest import QUICK

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (Ray brings it)")

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMAS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((DOCS / "reference" / "schemas" / "v1").glob("*.json"))
}
# The schemas of each command with --json. Another command with it needs a schema, a line here and in docs/AGENTS.md.
PRINTED = {
    "fit": {"result"},
    "resume": {"result"},
    "show": {"result", "progress"},
    "list": {"list"},
    "leaderboard": {"leaderboard", "front"},
    "report": {"report"},
    "deliver": {"result"},
    "inspect": {"inspect"},
    "predict": {"predict"},
    "evaluate": {"evaluate"},
    "export": {"export"},
    "spaces": {"spaces", "space"},
    "weights list": {"weights"},
    "portfolio learn": {"portfolio"},
    "doctor": {"doctor"},
}


def commands_with_json(group: click.Group, names: list[str], before: str = "") -> Iterator[str]:
    """The names of all commands that have the option, also those of groups."""
    for name in names:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands_with_json(command, list(command.commands), f"{name} ")
        elif any("--json" in parameter.opts for parameter in command.params):
            yield f"{before}{name}"


def require_valid(name: str, document: Any) -> None:
    """Fail unless the document fits its schema, which has to name each of its keys."""
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(document)
    assert set(document) <= set(SCHEMAS[name]["properties"]), "a key is missing from the schema"


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """The object that a command prints."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) in (0, 3)
    return json.loads(capsys.readouterr().out)


def test_every_command_with_json_has_a_schema() -> None:
    assert set(commands_with_json(root, list(COMMANDS))) == set(PRINTED)
    assert set().union(*PRINTED.values()) == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_one_and_the_page_names_it(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"automl/v1/{name}.json"
    assert SCHEMAS[name]["required"], "a schema without required keys promises nothing"
    assert f"(reference/schemas/v1/{name}.json)" in (DOCS / "AGENTS.md").read_text(encoding="utf-8")


def test_schema_refuses_what_is_no_result() -> None:
    with pytest.raises(jsonschema.ValidationError):
        require_valid("result", {"study": "x"})


def test_unfinished_study_and_damaged_ones(
    studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", studies)
    require_valid("progress", printed(capsys, "show", "leaves", *place))
    require_valid("list", printed(capsys, "list", *place))
    require_valid("leaderboard", printed(capsys, "leaderboard", "leaves", *place))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "study.yaml").write_text("data: [\n", encoding="utf-8")
    require_valid("list", printed(capsys, "list", "--directory", tmp_path))


@pytest.mark.parametrize("line", ["doctor", "spaces", "weights list --space smoke", "inspect digits"])
def test_command_without_a_study(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (name,) = PRINTED[re.split(r" --| digits", line)[0]] - {"space"}
    require_valid(name, printed(capsys, *line.split()))


def test_search_space(capsys: pytest.CaptureFixture[str]) -> None:
    require_valid("space", printed(capsys, "spaces", "smoke"))


@pytest.mark.slow
def test_finished_study(tiny_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, pictures = ("--directory", tiny_study), tiny_study.parent / "pictures"
    require_valid("result", printed(capsys, "fit", pictures, *QUICK, *place, "--n-trials", 2))
    require_valid("result", printed(capsys, "resume", "tiny", *place))
    require_valid("result", printed(capsys, "show", "tiny", *place))
    require_valid("leaderboard", printed(capsys, "leaderboard", "tiny", *place))
    front = printed(capsys, "leaderboard", "tiny", "--pareto", *place)
    require_valid("front", front)
    require_valid("report", printed(capsys, "report", "tiny", *place))
    chosen = next(row["trial"] for row in front["models"] if row["weights"])
    require_valid("result", printed(capsys, "deliver", "tiny", "--trial", chosen, *place))
    require_valid("evaluate", printed(capsys, "evaluate", "tiny", *place))
    require_valid("evaluate", printed(capsys, "evaluate", "tiny", pictures, *place))
    require_valid("predict", printed(capsys, "predict", "tiny", pictures, *place))
    exported = ("export", "tiny", "--to", "torch", "--out", tmp_path / "out", "--quiet")
    require_valid("export", printed(capsys, *exported, *place))
