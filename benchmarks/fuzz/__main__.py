"""Damages valid files and gives them to the package's readers: nothing but an AutomlError may come out.

    python -m benchmarks.fuzz [--minutes 20] [--cases N] [--seed 0] [--readers zip,table] [--only READER:NUMBER]

Every case is read in a process of its own kind with a limit of 10 s of the CPU and 1 GB above the memory at its start.
The same seed makes the same cases. The report says, for each reader, how many cases there were and how they ended, the
slowest and the one that took most memory. Exit code 1 if a case ended otherwise; `--only` shows such a case again, and
`--keep FOLDER` writes its file there.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from automl.machine import cores
from benchmarks.fuzz.case import Bench, Outcome
from benchmarks.fuzz.pool import outcomes
from benchmarks.fuzz.readers import NAMES, READERS


@dataclass
class Report:
    """How the cases of a reader ended."""

    name: str
    kinds: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, Outcome]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count a case."""
        self.kinds[outcome.kind or "read"] += 1
        self.slowest = max(self.slowest, (outcome.seconds, number))
        self.largest = max(self.largest, (outcome.grown, number))
        if outcome.bad:
            self.bad.append((number, outcome))

    def __str__(self) -> str:
        ends = ", ".join(f"{kind} {n:,}" for kind, n in self.kinds.most_common())
        return (
            f"{self.name:11} {sum(self.kinds.values()):7,} cases: {ends}; slowest {self.slowest[0]:.1f} s "
            f"(case {self.slowest[1]}), most memory {self.largest[0] / 2**20:.0f} MB (case {self.largest[1]})"
        )


def main() -> int:
    """Run the cases and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--cases", type=int, default=None, help="of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", default=",".join(NAMES))
    parser.add_argument("--only", metavar="READER:NUMBER")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.only:
        name, number = options.only.split(":")
        return _again(name, options.seed, int(number))
    names = options.readers.split(",")
    reports = {name: Report(name) for name in names}
    each = options.minutes * 60 * min(cores(), len(names)) / len(names)
    pending = iter(names)

    def work() -> None:
        for name in pending:
            for number, outcome in outcomes(name, options.seed, _numbers(options.cases, each)):
                reports[name].add(number, outcome)
                if outcome.bad:
                    print(f"  {name}:{number} {outcome.kind}: {outcome.text}", flush=True)
                    _keep(options.keep, name, options.seed, number)
            print(reports[name], flush=True)

    threads = [threading.Thread(target=work) for _ in range(cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bad = sum(len(report.bad) for report in reports.values())
    total = sum(sum(report.kinds.values()) for report in reports.values())
    print(f"{total:,} cases, seed {options.seed}: {bad} bad")
    return 1 if bad or not total else 0


def _numbers(cases: int | None, seconds: float) -> Iterator[int]:
    until = time.monotonic() + seconds
    for number in itertools.count() if cases is None else range(cases):
        if time.monotonic() > until:
            return
        yield number


def _again(name: str, seed: int, number: int) -> int:
    """Show a case with its traceback, in this process."""
    reader = next(reader for reader in READERS if reader.name == name)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bench = Bench(reader, Path(folder) / "files")
        file, way, data = bench.damaged(seed, number)
        print(f"{file.name}, {way}, {len(data):,} bytes: {data[:300]!r}")
        file.write_bytes(data)
        try:
            reader.read(file)
        except Exception:
            traceback.print_exc()
            return 1
    return 0


def _keep(folder: Path | None, name: str, seed: int, number: int) -> None:
    if folder is None:
        return
    reader = next(reader for reader in READERS if reader.name == name)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        file, _, data = Bench(reader, Path(place) / "files").damaged(seed, number)
        (folder / f"{name}-{number}-{file.name}").write_bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
