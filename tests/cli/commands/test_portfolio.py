"""`automl portfolio learn` on studies that were searched for real, in memory of curves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automl.cli import main
from automl.config import load, save
from automl.records import Config
from automl.search import SearchSettings, search
from automl.spaces import SearchSpace
from tests.cli.test_schemas import require_valid

SPACE: dict[str, Any] = {
    "parameters": {
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "opt": {"type": "categorical", "choices": ["sgd", "adamw"]},
    }
}


def bowl(config: Config) -> Iterator[dict[str, float]]:
    for epoch in range(1, 10):
        yield {"accuracy": -((math.log10(config["lr"]) + 2) ** 2) - 1 / epoch, "seconds": 1.0}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of twelve trials, and one that has not begun."""
    directory = tmp_path_factory.mktemp("past")
    for seed, name in enumerate(("first", "second")):
        root = directory / name
        root.mkdir()
        save(load("photos/", study=name, directory=str(directory), space=SPACE), root / "study.yaml")
        settings = SearchSettings(
            study=name,
            metric="accuracy",
            max_rounds=9,
            n_trials=12,
            engine="simulated",
            seed=seed,
            storage=f"sqlite:///{root / 'study.db'}",
            directory=root,
        )
        search(bowl, SearchSpace.from_dict(SPACE), settings)
    (directory / "empty").mkdir()
    save(load("photos/", study="empty", directory=str(directory)), directory / "empty" / "study.yaml")
    return directory


def run(capsys: pytest.CaptureFixture[str], directory: Path, *arguments: str) -> str:
    code = main(["portfolio", "learn", *arguments, "--directory", str(directory)])
    out, err = capsys.readouterr()
    assert code == 0 and err.startswith("Note: learnt from ")
    return out


def test_learn_prints_the_best_first(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, studies, "first", "second", "--json", "--size", "2"))
    require_valid("portfolio", found)
    assert found["studies"] == ["first", "second"]
    assert 0.002 < found["portfolio"][0]["lr"] < 0.05
    assert run(capsys, studies, "first").startswith("learnt from first\n")


def test_learning_from_few_studies_is_told(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--directory", str(studies), "--json")
    assert main(["portfolio", "learn", "first", "second", str(studies / "first"), *place]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["studies"] == ["first", "second"]
    assert err == (
        "Note: learnt from 2 studies. With fewer than 4 data sets, a portfolio may not suit other data.\n"
    )


def test_out_is_a_space_that_begins_with_the_portfolio(
    studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    run(capsys, studies, "first", "second", "--out", str(path))
    space = SearchSpace.load(path)
    assert len(space.portfolio) >= 1
    assert space.parameters == SearchSpace.from_dict(SPACE).parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["thrid"], "unknown study 'thrid'"),
        (["empty"], "--space must be given, since study 'empty' has not chosen one yet"),
        (["empty", "--space", "cpu"], "must have at least five trials with values in the space 'cpu'"),
        (["first", "--out", "/nowhere/mine.yaml"], "--out must be a file that can be written"),
    ],
)
def test_wrong_input_is_one_sentence(
    studies: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["portfolio", "learn", *arguments, "--directory", str(studies)]) != 0
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
