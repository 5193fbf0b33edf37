"""A process that tries cases and can be killed: it is started by `pool`, and answers on its standard output."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks.fuzz.case import Bench
from benchmarks.fuzz.readers import READERS


def serve(name: str, seed: int) -> None:
    """Try the cases whose numbers come in, one a line, and print the outcome of each as JSON."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    if not os.environ.get("FUZZ_LOUD"):
        os.dup2(quiet, 2)
    warnings.simplefilter("ignore")
    reader = next(reader for reader in READERS if reader.name == name)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["AUTOML_CACHE_DIR"] = f"{folder}/cache"
        bench = Bench(reader, Path(folder) / "files")
        for number in (-1, -2):  # loads what the reader needs, so that it does not count as memory of a case
            bench.try_case(seed, number)
        print("ready", file=answers)
        for line in sys.stdin:
            before, peak = psutil.Process().memory_info().rss, _peak()
            try:
                outcome = asdict(bench.try_case(seed, int(line)))
            except BaseException as error:
                outcome = {
                    "kind": type(error).__name__,
                    "text": traceback.format_exc()[-500:],
                    "seconds": 0.0,
                    "bad": True,
                }
            outcome["grown"] = max(0, _peak() - before) if _peak() > peak else 0
            print(json.dumps(outcome), file=answers)
            with contextlib.suppress(OSError):
                for entry in Path(folder, "cache").iterdir():
                    _remove(entry)


def _remove(entry: Path) -> None:
    import shutil

    shutil.rmtree(entry, ignore_errors=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
