"""`automl.tune` shows its progress, as `fit` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import automl
from automl.records import Silent, TrialEvent

SPACE = {"parameters": {"lr": {"type": "float", "low": 0.1, "high": 0.9}}}


def train(config: dict[str, Any]) -> Iterator[dict[str, float]]:
    for epoch in range(3):
        yield {"loss": config["lr"] / (1 + epoch), "seconds": 1.0}


def run(**changes: Any) -> Any:
    options: dict[str, Any] = {
        "metric": "loss",
        "mode": "min",
        "max_epochs": 3,
        "n_trials": 3,
        "engine": "local",
    }
    return automl.tune(train, SPACE, **{**options, **changes})


def test_progress_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    found = run()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[0] == "[0:00] search: searching for the best loss"
    assert "best val loss" in err and f"lr {found.best_config['lr']:.3g}" in err
    assert "trials ended: " in err


@pytest.mark.parametrize("changes", [{"progress": False}, {"engine": "simulated"}])
def test_silence_is_kept_where_asked_and_under_the_simulated_engine(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    run(**changes)
    assert capsys.readouterr() == ("", "")


def test_simulated_search_shows_its_progress_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    run(engine="simulated", progress=True)
    assert "search: searching for the best loss" in capsys.readouterr().err


def test_observer_takes_the_place_of_the_view(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[TrialEvent] = []

    class Keeps(Silent):
        def trial(self, event: TrialEvent) -> None:
            seen.append(event)

    run(observer=Keeps())
    assert capsys.readouterr().err == ""
    assert {event.most_rounds for event in seen} == {3} and {event.trial for event in seen} == {0, 1, 2}


def test_wrong_options_are_said_by_the_search() -> None:
    with pytest.raises(automl.AutomlError, match="time_limit must be a duration"):
        run(time_limit="soon")
