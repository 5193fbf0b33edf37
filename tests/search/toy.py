"""A small space, curves and objectives for the tests of the search."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from automl.errors import SpaceError
from automl.records import Config, Mode, Silent, TrialEvent
from automl.search.policy import Significance
from automl.search.reasons import Code
from automl.search.sampling.registry import SamplerContext
from automl.search.settings import SearchSettings
from automl.search.storage.reader import StoredTrial
from automl.search.storage.sql import write_journal
from automl.search.storage.sql.write_journal import is_away
from automl.search.storage.store import Store


class ToySpace:
    """`x` in 0..1 and `kind` a or b; with kind b also `extra` in 0..1."""

    def __init__(self, portfolio: Sequence[Config] = (), *, high: float = 1.0) -> None:
        self.portfolio = portfolio
        self.high = high

    def suggest(self, trial: Any) -> Config:
        config: Config = {
            "x": trial.suggest_float("x", 0.0, self.high),
            "kind": trial.suggest_categorical("kind", ["a", "b"]),
        }
        if config["kind"] == "b":
            config["extra"] = trial.suggest_float("extra", 0.0, 1.0)
        return config

    def to_params(self, config: Config) -> dict[str, Any]:
        if not 0 <= config["x"] <= self.high:
            raise SpaceError(f"x must be between 0 and {self.high}, got {config['x']!r}")
        return dict(config)

    def to_dict(self) -> dict[str, Any]:
        return {"parameters": {"x": {"low": 0.0, "high": self.high}, "kind": ["a", "b"]}}


def constant_noise(error: float, *, trivial: float = 0.0, mode: Mode = "max") -> Significance:
    """Every value has the same standard error."""
    return Significance(trivial, lambda value, rows: error, mode)


# What a search of the small space might log: accuracies on 200 rows of five classes.
JUDGED: dict[str, str | int | float] = {
    "metric": "accuracy",
    "mode": "max",
    "trivial": 0.2,
    "rows": 200,
    "train_rows": 1000,
    "class_rows": "200 200 200 200 200",
}


def value_at(config: Config, round: int) -> float:
    """A rising curve whose height is x."""
    return float(config["x"] * (1 - 0.5**round))


def climb(config: Config) -> Iterator[dict[str, float]]:
    """A generator that never ends by itself; a round takes 1 + x seconds, as it says."""
    round = 0
    while True:
        round += 1
        yield {"accuracy": value_at(config, round), "loss": 1.0, "seconds": 1 + config["x"]}


class Counter:
    """An objective with a state that has to survive: the sum of all its rounds; it notes who ran what."""

    def __init__(self, config: Config, *, notes: Path | None = None, pause: float = 0.0) -> None:
        self.config, self.notes, self.pause = config, notes, pause
        self.round, self.total, self.closed = 0, 0.0, False

    def step(self) -> dict[str, float]:
        self.round += 1
        self.total += self.config["x"] * self.round
        time.sleep(self.pause)
        if self.notes is not None:
            with self.notes.open("a", encoding="utf-8") as file:
                file.write(f"{self.config['x']} {self.round} {os.getpid()}\n")
        return {"accuracy": self.total, "seconds": 1.0}

    def save(self, directory: Path) -> None:
        state = {"round": self.round, "total": self.total}
        (directory / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def load(self, directory: Path) -> None:
        state = json.loads((directory / "state.json").read_text(encoding="utf-8"))
        self.round, self.total = state["round"], state["total"]

    def close(self) -> None:
        self.closed = True


def outages(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """Return a list that grows with every error for which the study's database counts as away."""
    found: list[BaseException | None] = []

    def noted(error: BaseException | None) -> bool:
        away = is_away(error)
        if away:
            found.append(error)
        return away

    monkeypatch.setattr(write_journal, "is_away", noted)
    return found


def create(
    store: Store, *, time: float, fixed: Config | None = None, origin: str = "sampler"
) -> tuple[int, Config]:
    """Make a new RUNNING trial of the small space: its number and configuration."""
    draft = store.draw(ToySpace().suggest, fixed=fixed)
    return store.adopt(draft, time=time, origin=origin), draft.config


def context(seed: int, *, max_rounds: int = 9) -> SamplerContext:
    """What a sampler is told of a search over the small space."""
    return SamplerContext(seed, ToySpace().suggest, max_rounds)


def code_of(trial: StoredTrial) -> Code | None:
    """For what a trial was last decided about."""
    return None if trial.reason is None else trial.reason.code


def settings(**changes: Any) -> SearchSettings:
    """Settings of a small simulated search at random points."""
    common: dict[str, Any] = {
        "metric": "accuracy",
        "max_rounds": 9,
        "n_trials": 12,
        "parallel": 2,
        "engine": "simulated",
        "sampler": "random",
    }
    return SearchSettings(**{**common, **changes})


class Listener(Silent):
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[TrialEvent] = []
        self.steps: list[tuple[float, float]] = []
        self.notes: list[str] = []

    def stage(self, name: str, text: str) -> None:
        """Not told by the search."""

    def progress(self, done: float, total: float) -> None:
        """Keeps how far it is."""
        self.steps.append((done, total))

    def trial(self, event: TrialEvent) -> None:
        """Keeps the event."""
        self.events.append(event)

    def note(self, text: str) -> None:
        """Keeps the sentence."""
        self.notes.append(text)
