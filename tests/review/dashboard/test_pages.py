"""The dashboard in a real browser: of a study that ran, and of one that is running."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from automl.cli.commands.dashboard import _application
from automl.cli.dashboard_server import listen
from automl.config import load, save
from automl.records import Config
from automl.review.dashboard.storage import FindFolder
from automl.review.studies import read_study
from automl.search import search
from tests.review.dashboard.chromium import page_at
from tests.search.toy import ToySpace, settings
from tests.waiting import until

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
pytestmark = pytest.mark.browser


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of the dashboard of the study in a folder."""
    url, find = f"sqlite:///{root / 'study.db'}", _folder(root)
    with listen(_application(url, find), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/dashboard/studies/1"
        finally:
            server.shutdown()
            thread.join()


def _folder(root: Path) -> FindFolder:
    return lambda _: read_study(root)


def text_of(page: str) -> str:
    """The text that a page shows."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL))
    )


def test_finished_study_shows_best_trial_note_and_artifacts(finished: Path, tmp_path: Path) -> None:
    with served(finished) as address:
        overview = page_at(f"{address}/", tmp_path / "profile")
        note = text_of(page_at(f"{address}/note", tmp_path / "profile"))
        trial = text_of(page_at(f"{address}/trials?numbers=0", tmp_path / "profile"))
    assert "Best Trial (number=0)" in text_of(overview) and "0.7" in text_of(overview)
    assert "trial #3" in overview  # the paused trial, in the plot of the curves
    assert "report.html" in overview
    assert "leaves: finished" in note and "95 % interval" in note and "automl predict leaves" in note
    assert "Open the report" in note
    assert "learning rate (adamw)" in trial and "The best trial of the leaderboard" in trial
    for name in ("curves.svg", "confusion on the holdout.svg", "errors on the holdout.csv"):
        assert name in trial


def test_running_study_shows_curves_states_and_its_note(tmp_path: Path) -> None:
    root = tmp_path / "live"
    root.mkdir()
    save(load("photos/", study="search", directory=str(tmp_path)), root / "study.yaml")
    go_on, reported = threading.Event(), threading.Event()

    def slow(config: Config) -> Iterator[dict[str, float]]:
        for round in range(1, 10):
            if round == 4:  # the longest trial of three rungs waits here, until the page was looked at
                reported.set()
                go_on.wait(60)
            yield {"accuracy": config["x"] * round, "seconds": 0.1}

    asked = settings(engine="local", storage=f"sqlite:///{root / 'study.db'}", n_trials=12)
    running = threading.Thread(target=search, args=(slow, ToySpace(), asked))
    running.start()
    try:
        until(reported.is_set)
        time.sleep(1.0)  # rows are written within a moment
        with served(root) as address:
            overview = page_at(f"{address}/", tmp_path / "profile")
            note = text_of(page_at(f"{address}/note", tmp_path / "profile"))
            best = re.search(r"Best Trial \(number=(\d+)\)", text_of(overview))
            assert best is not None
            trials = text_of(page_at(f"{address}/trials?numbers={best[1]}", tmp_path / "profile"))
    finally:
        go_on.set()
        running.join()
    assert "(running)" in overview and len(set(re.findall(r"trial #\d+", overview))) > 2
    assert "search: unfinished" in note and "best so far" in note
    assert re.search(r"\d+ trials?: \d+ running", note), note
    assert "Running" in trials and "Pruned" in trials
    assert "The best trial of the leaderboard" in trials and "curves.svg" in trials
