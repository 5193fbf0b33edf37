"""Kills a study's processes at random moments, goes on with it, and checks that nothing was lost.

    python benchmarks/faults.py [--kind driver|trial|raylet] [--rounds 5] [--seed 0] [--trials 8] [--stage retrain]
    python benchmarks/faults.py --kind deadline [--rounds 5] [--data digits] [--longest 120]

A round starts `automl fit digits` (under Ray) or goes on with it, and kills, after a random time, the driver (with
-9, in any stage, or in the one that --stage names), processes that run a trial, one after the other, or Ray's raylet.
A study that got to its end is checked once more and the next begins. Checked after every kill: nothing of the study
still runs after some seconds, no file in /dev/shm; after every start: no folder of a dead driver is left; no finished
trial was changed or run again. Checked in the end: no trial RUNNING or waiting, their number exact, result.json whole,
the holdout's reads told. With `deadline` nothing is killed: the whole command, from its start to its end, must keep to
its time limit. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

TOKEN = "AUTOML_FAULTS"
LONGEST_RUN = 300.0  # seconds after which a run counts as hanging
BETWEEN = (8.0, 20.0)  # seconds between two kills of trials of one run
WITHIN = 1.0  # seconds after the beginning of a stage in which it is killed
PATIENCE = 15.0  # seconds that processes may take to go
FINAL = ("COMPLETE", "PRUNED", "FAIL")


@dataclass
class Book:
    """What was seen: rounds, the stages that were hit, what was wrong, and how long leftovers lived."""

    wrong: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    lingering: list[float] = field(default_factory=list)
    finished: int = 0

    def expect(self, true: bool, otherwise: str) -> None:
        """Note down what is wrong."""
        if not true:
            self.wrong.append(otherwise)
            print(f"  WRONG: {otherwise}", flush=True)


class Study:
    """One study in a folder of its own, started as often as needed."""

    def __init__(self, root: Path, number: int, trials: int) -> None:
        self.name, self.root, self.trials = f"s{number}", root, trials
        self.mark = f"{os.getpid()}-{number}"
        self.log = root / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.drivers: list[int] = []

    @property
    def database(self) -> Path:
        """Where its trials are."""
        return self.root / self.name / "study.db"

    def start(self) -> subprocess.Popen[bytes]:
        """The command, from the beginning or where it had stopped."""
        options = {"--space": "smoke", "--epochs": "4", "--n-trials": str(self.trials), "--study": self.name}
        flags = [part for pair in options.items() for part in pair]
        command = [sys.executable, "-m", "automl", "fit", "digits", *flags, "--directory", str(self.root)]
        with self.log.open("ab") as log:
            log.write(b"[start]\n")
            log.flush()
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, TOKEN: self.mark}
            )
        self.drivers.append(self.process.pid)
        return self.process

    def stage(self) -> str:
        """The last stage that the log names."""
        names = ("scan", "cache", "plan", "search", "retrain", "holdout", "deliver")
        text = self.log.read_text(errors="replace")
        text = text[text.rfind("[start]") :]
        return next((name for name in reversed(names) if f"] {name}: " in text), "start")

    def processes(self) -> dict[int, str]:
        """All that live and carry the study's mark: process numbers and command lines."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(TOKEN) == self.mark:
                    line = " ".join(process.cmdline())
                    if line and "cleanup_process" not in line:  # a zombie has none
                        found[process.pid] = line.strip()
            except psutil.Error:
                continue
        return found

    def finals(self) -> dict[int, tuple[Any, ...]]:
        """The finished trials: state, value, number of reports, number of runs."""
        if not self.database.exists():
            return {}
        query = (
            "SELECT t.number, t.state, (SELECT value FROM trial_values v WHERE v.trial_id = t.trial_id),"
            " (SELECT count(*) FROM automl_reports r WHERE r.trial = t.number),"
            " (SELECT count(*) FROM automl_runs r WHERE r.trial = t.number) FROM trials t"
        )
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            rows = connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # killed before there were tables
            return {}
        finally:
            connection.close()
        return {row[0]: row[1:] for row in rows if row[1] in FINAL}

    def states(self) -> list[str]:
        """The states of all trials."""
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            return [row[0] for row in connection.execute("SELECT state FROM trials ORDER BY number")]
        finally:
            connection.close()


def main() -> None:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=("driver", "trial", "raylet", "deadline"), default="driver")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument(
        "--longest", type=float, default=40.0, help="seconds until a kill or a deadline, at most"
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--stage", choices=("search", "retrain", "holdout"), help="kill in this stage only")
    chosen = parser.parse_args()
    book, rng = Book(), random.Random(chosen.seed)
    before = {path.name for path in Path("/dev/shm").iterdir()}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="automl-faults-") as folder:
        if chosen.kind == "deadline":
            _deadlines(Path(folder), chosen, book, rng)
            print(
                f"deadline: {chosen.rounds} runs, {len(book.wrong)} wrong, {time.monotonic() - begun:.0f} s in all"
            )
            sys.exit(1 if book.wrong else 0)
        _rounds(Path(folder), chosen, book, rng)
    left = {path.name for path in Path("/dev/shm").iterdir()} - before
    book.expect(not left, f"files in /dev/shm: {sorted(left)}")
    slowest = max(book.lingering, default=0.0)
    stages = {stage: book.stages.count(stage) for stage in dict.fromkeys(book.stages)}
    print(
        f"{chosen.kind}: {len(book.stages)} kills {stages}, {book.finished} studies finished, "
        f"processes gone after {slowest:.1f} s at most, {len(book.wrong)} wrong, "
        f"{time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if book.wrong else 0)


def _rounds(root: Path, chosen: argparse.Namespace, book: Book, rng: random.Random) -> None:
    number = 0
    study = Study(root, number, chosen.trials)
    while len(book.stages) < chosen.rounds:
        delay = rng.uniform(0.5, chosen.longest)
        if _one_run(study, chosen.kind, delay, book, rng, stage=chosen.stage, most=chosen.rounds):
            number += 1
            study = Study(root, number, chosen.trials)
    if study.drivers:  # the last one is led to its end
        _one_run(study, "none", LONGEST_RUN, book, rng)


def _deadlines(root: Path, chosen: argparse.Namespace, book: Book, rng: random.Random) -> None:
    """Studies with limits from 60 s on; each must deliver a model and end at most 2 % or 2 s late."""
    for round_ in range(chosen.rounds):
        limit = round(rng.uniform(60.0, max(61.0, chosen.longest)))
        name = f"d{round_}"
        flags = ["--time-limit", f"{limit}s", "--study", name, "--directory", str(root), "--quiet"]
        load = os.getloadavg()[0]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "automl", "fit", chosen.data, *flags], capture_output=True, text=True
        )
        wall = time.monotonic() - begun
        book.expect(done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        if done.returncode:
            continue
        result = json.loads((root / name / "result.json").read_text())
        used, late = result["time"]["used_s"], max(2.0, 0.02 * limit)
        held = next(iter(result["holdout"].values()))["value"]
        print(
            f"{round_ + 1}: limit {limit} s, result after {used:.1f} s, command {wall:.1f} s (load {load:.1f}), "
            f"{result['trials']['total']} trials, {result['retrain']['how']}, holdout {held:.3f}",
            flush=True,
        )
        book.expect(wall <= limit + late, f"the command ended {wall - limit:.1f} s after its limit")


def _one_run(
    study: Study,
    kind: str,
    delay: float,
    book: Book,
    rng: random.Random,
    *,
    stage: str | None = None,
    most: int = 1,
) -> bool:
    """Start it, kill after `delay` seconds (or soon after `stage` began), check; whether the study got to its end.

    Of trials, one after the other is killed, until there are `most` kills in the book.
    """
    earlier = study.finals()
    process = study.start()
    if stage is not None and kind != "none":
        delay = rng.uniform(0.0, WITHIN)
        until = time.monotonic() + LONGEST_RUN
        while study.stage() != stage and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
    _kill_after(study, kind, delay, book, rng)
    while kind == "trial" and process.poll() is None and len(book.stages) < most:
        _kill_after(study, kind, rng.uniform(*BETWEEN), book, rng)
    if kind == "driver" and process.poll() is None:
        process.wait(PATIENCE)
    try:
        code = process.wait(LONGEST_RUN)
    except subprocess.TimeoutExpired:
        book.expect(False, f"the run hung for {LONGEST_RUN:.0f} s after the kill")
        process.kill()
        code = process.wait()
    _check_gone(study, book)
    _check_kept(study, earlier, book)
    if code == 0:
        _check_end(study, book)
    elif code != -signal.SIGKILL:
        last = study.log.read_text(errors="replace").strip().splitlines()[-1]
        print(f"  exit code {code}: {last}", flush=True)
        book.expect(kind == "raylet" and last.startswith("automl: "), f"exit code {code}: {last}")
    return code == 0


def _kill_after(study: Study, kind: str, delay: float, book: Book, rng: random.Random) -> None:
    """Wait for the run to end; kill what is asked for if it has not by then, and if there is such a process."""
    process = study.process
    assert process is not None
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        hit = study.stage()
        victim = _victim(study, kind, rng)
        if victim is not None:
            print(f"{len(book.stages) + 1}: {kind} killed in {hit} after {delay:.1f} s", flush=True)
            os.kill(victim, signal.SIGKILL)
            book.stages.append(hit)


def _victim(study: Study, kind: str, rng: random.Random) -> int | None:
    if kind == "driver" and study.process is not None:
        return study.process.pid
    word = {"trial": "ray::ResourceTrainable", "raylet": "/raylet/raylet"}.get(kind)
    if word is None:
        return None
    running = study.processes().items()
    found = sorted(pid for pid, line in running if word in line)
    return rng.choice(found) if found else None


def _check_gone(study: Study, book: Book) -> None:
    begun = time.monotonic()
    left = study.processes()
    while left and time.monotonic() - begun < PATIENCE:
        time.sleep(0.2)
        left = study.processes()
    book.lingering.append(time.monotonic() - begun)
    time.sleep(1.5)  # then the watcher removes the folder
    book.expect(not left, f"still there: {[line[:100] for line in left.values()]}")
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def _check_kept(study: Study, earlier: dict[int, tuple[Any, ...]], book: Book) -> None:
    now = study.finals()
    for trial, row in earlier.items():
        book.expect(now.get(trial) == row, f"trial {trial} was {row} and is {now.get(trial)}")
    dead = study.drivers
    folders = [p.name for pid in dead for p in Path(tempfile.gettempdir()).glob(f"automl-*{pid}-*")]
    book.expect(not folders, f"folders of dead drivers: {folders}")


def _check_end(study: Study, book: Book) -> None:
    book.finished += 1
    states = study.states()
    book.expect(len(states) == study.trials, f"{len(states)} trials instead of {study.trials}")
    book.expect(set(states) <= set(FINAL), f"states {states}")
    result = json.loads((study.root / study.name / "result.json").read_text())
    reads = json.loads((study.root / study.name / "holdout.json").read_text())["reads"]
    book.expect(
        result["holdout_reads"] == reads >= 1, f"holdout read {reads}, told {result['holdout_reads']}"
    )
    book.expect(result["trials"]["total"] == study.trials, "result.json counts other trials")
    book.expect(_loads(study), "the delivered model does not load")


def _loads(study: Study) -> bool:
    code = "import sys, automl; automl.load(sys.argv[1])"
    command: Sequence[str] = [sys.executable, "-c", code, str(study.root / study.name)]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    main()
