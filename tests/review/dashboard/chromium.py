"""A headless Chromium: what a page holds once its scripts have run, and a picture of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def page_at(address: str, profile: Path, *, wait_ms: int = 15_000, picture: Path | None = None) -> str:
    """Return the page at an address as HTML after `wait_ms` of its own time; `picture` also gets a screenshot."""
    shot = [f"--screenshot={picture}", "--window-size=1400,2600"] if picture is not None else []
    done = subprocess.run(
        [
            next(found for name in NAMES if (found := shutil.which(name))),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", f"--user-data-dir={profile}"),
            *(f"--virtual-time-budget={wait_ms}", "--dump-dom", *shot),
            address,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=120,
    )
    return done.stdout
