"""A process that measures the energy of this machine with codecarbon in offline mode, until its stdin ends.

    python codecarbon_process.py SECONDS    # that it waits before it begins

It imports nothing of automl, whose study it must not slow down. Each line of its stdout is a JSON object with `kwh`
and `how`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

EVERY_S = 60.0  # between two measurements
AT_MOST = 0.01  # of the time that has passed may go into measuring, in seconds of a core


def main() -> None:
    """Print the energy from time to time, and once more at the end."""
    os.nice(10)
    ended, delay = threading.Event(), float(sys.argv[1])
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    if delay and ended.wait(delay):  # a study without a delay may end at once, and yet has a number
        return
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.output import BaseOutput

    began, stdout = time.monotonic(), sys.stdout
    sys.stdout = sys.stderr  # for whatever else prints

    class Said(BaseOutput):  # type: ignore[misc, unused-ignore]  # it has no types where it is not installed
        """Prints each total."""

        def out(self, total: Any, delta: Any) -> None:
            """Print what was used so far."""
            said = {"kwh": total.energy_consumed, "how": how(total.codecarbon_version, tracker, delay)}
            print(json.dumps(said), file=stdout, flush=True)

    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",  # it asks for one; energy does not depend on it
        measure_power_secs=EVERY_S,
        tracking_mode="machine",
        output_handlers=[Said()],
        log_level="critical",
        allow_multiple_runs=True,
        # Whatever a configuration of codecarbon says: no file, and no network.
        save_to_file=False,
        save_to_logger=False,
        save_to_api=False,
        save_to_prometheus=False,
        save_to_logfire=False,
        emissions_endpoint=None,
    )
    tracker.start()
    wait = EVERY_S
    while not ended.wait(wait):
        tracker.flush()
        # What this process has taken, mostly for its start, decides how long it sleeps.
        wait = max(EVERY_S, time.process_time() / AT_MOST - (time.monotonic() - began))
    tracker.stop()


def how(version: str, tracker: Any, delay: float) -> str:
    """Return what is measured and what is estimated, as far as codecarbon says it."""
    # Private to codecarbon: `_hardware`. Without it, nothing is said of the parts.
    parts = [each.description() for each in vars(tracker).get("_hardware", ())]
    said = [words for part in parts for name, words in _WORDS.items() if part.startswith(name)]
    if any("rapl" in part.lower() for part in parts):
        said = ["processor measured (RAPL)" if words.startswith("processor") else words for words in said]
    told = f": {', '.join(said)}" if said else ""
    when = f" from second {delay:g} on" if delay else ""
    return f"codecarbon {version}, offline, the whole machine{when}{told}"


_WORDS = {"CPU": "processor estimated from its load", "RAM": "memory estimated", "GPU": "GPU measured"}


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
