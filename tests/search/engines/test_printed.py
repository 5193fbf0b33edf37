"""What an objective prints is shown, kept for each trial, and changes nothing else."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from automl.errors import ConfigError, TrialError
from automl.records import Config
from automl.search.engines.printed import MOST, Shown, printed
from automl.search.tune import tune

SPACE = {"parameters": {"lr": {"type": "float", "low": 1e-3, "high": 0.9, "log": True}}}


def talks(config: Config) -> Iterator[dict[str, float]]:
    print("begins")
    for epoch in range(2):
        print("epoch", epoch)
        print("a warning", file=sys.stderr)
        logging.getLogger("mine").warning("by logging")
        yield {"loss": config["lr"]}


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_prints_are_shown_and_kept_for_each_trial(
    engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = tune(
        talks, SPACE, metric="loss", mode="min", max_epochs=2, n_trials=2, engine=engine, directory=tmp_path
    )
    out, err = capfd.readouterr()
    for number in result.trials["number"]:
        text = (tmp_path / "trials" / f"t{number:04d}" / "output.log").read_text(encoding="utf-8")
        assert text.startswith("begins\nepoch 0\na warning\n")
        if engine == "ray":
            assert f"trial {number}: epoch 0\ntrial {number}: a warning\n" in out
    assert (out + err).count("begins") == 2


def test_text_is_bounded_and_streams_are_as_before(tmp_path: Path) -> None:
    before, shown = (sys.stdout, sys.stderr), Shown()
    with pytest.raises(OSError, match="mine"), printed(tmp_path / "a" / "b.log", shown):
        kept = sys.stdout
        print("x" * (MOST + 5))
        raise OSError("mine")
    assert (sys.stdout, sys.stderr) == before
    kept.write("later")  # a logger may hold it
    assert shown.take() == "x" * MOST + "\n(the rest of this round is not shown)\n"
    assert shown.take() == ""
    assert (tmp_path / "a" / "b.log").read_text(encoding="utf-8") == "x" * (MOST + 5) + "\n"


def test_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    shown = Shown()
    with printed(tmp_path / "file" / "b.log", shown):
        print("x")
    assert shown.take() == "x\n"


@pytest.mark.parametrize("kept", [True, False])
def test_reader_that_has_gone_fails_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        result = tune(
            talks,
            SPACE,
            metric="loss",
            mode="min",
            max_epochs=2,
            n_trials=2,
            engine="local",
            directory=tmp_path if kept else None,
        )
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # what is buffered goes there
    assert set(result.trials["state"]) == {"complete"}
    if kept:
        assert (tmp_path / "trials" / "t0000" / "output.log").read_text().startswith("begins\nepoch 0\n")


def prunes(config: Config) -> Iterator[dict[str, float]]:
    yield {"loss": config["lr"]}
    if config["lr"] > 0.02:
        raise optuna.TrialPruned
    yield {"loss": config["lr"]}


def leaves(config: Config) -> Iterator[dict[str, float]]:
    if config["lr"] > 0.02:
        sys.exit(3)
    yield {"loss": config["lr"]}


class PrunesAtOnce:
    def __init__(self, config: Config) -> None:
        if config["lr"] > 0.02:
            raise optuna.TrialPruned("too large")

    def step(self) -> dict[str, float]:
        return {"loss": 1.0}


@pytest.mark.parametrize("engine", ["local", "simulated", pytest.param("ray", marks=pytest.mark.ray)])
def test_objective_may_prune_and_may_not_end_the_program(engine: str) -> None:
    common: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_epochs": 2,
        "n_trials": 6,
        "engine": engine,
    }
    for objective, state, cause in (
        (prunes, "pruned", None),
        (PrunesAtOnce, "pruned", None),
        (leaves, "failed", "sys.exit(3)"),
    ):
        trials = tune(objective, SPACE, **common).trials
        large = trials["params"].map(lambda params: params["lr"] > 0.02)
        assert 0 < large.sum() < 6
        assert set(trials.loc[large, "state"]) == {state}, cause
        assert "failed" not in set(trials.loc[~large, "state"])


def test_objective_that_always_leaves_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrialError, match=r"the objective called sys\.exit\('no data'\)"):
        tune(
            lambda config: sys.exit("no data"),
            SPACE,
            metric="loss",
            mode="min",
            max_epochs=2,
            n_trials=3,
            engine="local",
        )


def escapes(config: Config) -> Iterator[dict[str, float]]:
    if config:
        raise ValueError("\x1b[31mred\x07")
    yield {}


@pytest.mark.parametrize("most", [1, 3])
def test_cause_of_failures_is_shown_escaped(most: int) -> None:
    common: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_epochs": 2,
        "n_trials": most,
        "engine": "local",
    }
    with pytest.raises(TrialError, match=r"ValueError: \\x1b\[31mred\\x07") as caught:
        tune(escapes, SPACE, **common)
    assert str(caught.value).isprintable()


def exits(config: Config) -> Iterator[dict[str, float]]:
    yield {"loss": config["lr"]}
    if config["lr"] > 0.02:
        raise GeneratorExit
    yield {"loss": config["lr"]}


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_generator_exit_fails_its_trial_and_no_other(engine: str) -> None:
    common: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_epochs": 2,
        "n_trials": 6,
        "policy": "none",
    }
    trials = tune(exits, SPACE, engine=engine, **common).trials
    large = trials["params"].map(lambda params: params["lr"] > 0.02)
    assert 0 < large.sum() < 6
    assert set(trials.loc[large, "state"]) == {"failed"} and set(trials.loc[~large, "state"]) == {"complete"}


def one(metric: str, config: Config) -> Iterator[dict[str, float]]:
    yield {metric: config["lr"]}


def test_one_database_holds_several_searches(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    common: dict[str, Any] = {"max_epochs": 1, "engine": "local", "storage": url}
    for name, metric in (("one", "loss"), ("two", "error")):
        for total in (2, 3):
            found = tune(
                partial(one, metric),
                SPACE,
                metric=metric,
                mode="min",
                n_trials=total,
                name=name,
                **common,
            )
            assert len(found.trials) == total
    with pytest.raises(ConfigError, match="name must be a text that is not empty, got ''"):
        tune(prunes, SPACE, metric="loss", n_trials=1, name="", **common)


def test_program_without_a_console_keeps_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with printed(tmp_path / "a.log"):
        print("kept", flush=True)
    assert sys.stdout is None and (tmp_path / "a.log").read_text() == "kept\n"
