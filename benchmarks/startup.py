"""What a person waits for before anything happens: `import automl` and `automl --help`.

    python benchmarks/startup.py [--rounds 7]

Prints the median of fresh processes, less what starting Python itself takes for the import. Targets: import at most
0.2 s and without torch, help at most 0.5 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

HEAVY = ("torch", "ray", "timm", "optuna", "pandas", "sklearn")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    empty = median([sys.executable, "-c", "pass"], rounds)
    imported = median([sys.executable, "-c", "import automl"], rounds) - empty
    shown = median([sys.executable, "-m", "automl", "--help"], rounds)
    code = f"import automl, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{'':18s} {'seconds':>8s} {'target':>8s}")
    print(f"{'import automl':18s} {imported:8.3f} {0.2:8.3f}   heavy packages loaded: {loaded}")
    print(f"{'automl --help':18s} {shown:8.3f} {0.5:8.3f}")


def median(command: list[str], rounds: int) -> float:
    """Median seconds of `command` over fresh processes."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
