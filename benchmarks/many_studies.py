"""How long lists of a database with many studies take: `automl list`, and the first page of the dashboard.

    python -m benchmarks.many_studies [--studies 500] [--trials 20] [--folders]

One study is searched on a virtual clock and copied within the database, so that building takes seconds. Each has a
folder, without a result, as of searches that were stopped. `--folders`: each has its own database file, too.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import automl
from automl.cli import main as cli
from automl.records import Config

ROUNDS = 9
SPACE = {"parameters": {"lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}}}
STEP = 10_000  # between the ids of two studies
# Columns that get another id in a copy, and those that count by themselves.
SHIFTED, COUNTED = ("study_id", "trial_id"), ("id",)


def curve(config: Config) -> Iterator[dict[str, float]]:
    """An objective whose value rises to one that the learning rate decides."""
    for round in range(1, ROUNDS + 1):
        yield {"accuracy": float(config["lr"] * (1 - 0.5**round)), "seconds": 1.0}


def build(folder: Path, studies: int, trials: int, *, own: bool) -> str:
    """Make the database and the folders of the studies; return the URL of the database."""
    database = folder / "all.db"
    url = f"sqlite:///{database}"
    automl.tune(
        curve,
        SPACE,
        name="s0",
        metric="accuracy",
        max_epochs=ROUNDS,
        n_trials=trials,
        parallel=2,
        engine="simulated",
        storage=url,
    )
    single = folder / "single.db"
    shutil.copy(database, single)
    with closing(sqlite3.connect(database)) as connection:
        for number in range(1, studies):
            _copy(connection, number)
        connection.commit()
    for number in range(studies):
        root = folder / "studies" / f"s{number}"
        root.mkdir(parents=True)
        storage = "" if own else f"storage: {url}\n"
        (root / "study.yaml").write_text(f"data: digits\nstudy: s{number}\n{storage}", encoding="utf-8")
        if own:
            shutil.copy(single, root / "study.db")
            with closing(sqlite3.connect(root / "study.db")) as connection:
                connection.execute("UPDATE studies SET study_name = ?", (f"s{number}",))
                connection.commit()
    return url


def _copy(connection: sqlite3.Connection, number: int) -> None:
    """Copy the first study with ids of its own."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [(row[1], row[5]) for row in connection.execute(f"PRAGMA table_info({table})")]
        names = [name for name, _ in columns]
        if not set(SHIFTED) & set(names):
            continue
        first = names[0] if columns[0][1] and names[0] not in SHIFTED else None  # counted by the database
        kept = [name for name in names if name != first or name in ("trial", "name")]
        picked = [
            f"{name} + {number * STEP}"
            if name in SHIFTED
            else f"'s{number}'"
            if name == "study_name"
            else name
            for name in kept
        ]
        of = "study_id < 10000" if "study_id" in names else "trial_id < 10000"
        connection.execute(
            f"INSERT INTO {table} ({', '.join(kept)}) SELECT {', '.join(picked)} FROM {table} WHERE {of}"
        )


def list_s(folder: Path) -> float:
    """Seconds of `automl list`, without the start of Python."""
    begun = time.perf_counter()
    if cli(["list", "--directory", str(folder / "studies"), "--json"]) != 0:
        sys.exit("automl list failed")
    return time.perf_counter() - begun


def page_s(url: str) -> list[float]:
    """Seconds until the dashboard has its list of studies: the first time, and again."""
    from automl.cli.commands.dashboard import _application
    from automl.cli.dashboard_server import listen

    found = []
    with listen(_application(url), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(2):
                begun = time.perf_counter()
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/api/studies") as answer:
                    answer.read()
                found.append(time.perf_counter() - begun)
        finally:
            server.shutdown()
            thread.join()
    return found


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--folders", action="store_true", help="each study has its own database file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        url = build(folder, asked.studies, asked.trials, own=asked.folders)
        print(f"automl list: {list_s(folder):.2f} s", file=sys.stderr)
        if not asked.folders:
            first, again = page_s(url)
            print(f"the dashboard's list: {first:.2f} s, again {again:.2f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
