"""What all tests share. Nothing here reaches the network, and nothing is left outside temporary folders."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

# Before anything imports timm: a hub that cannot be reached costs tens of seconds of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Weights that lie in the caches of the person who runs the tests must not change what they see.
os.environ["HF_HUB_CACHE"] = os.environ["TORCH_HOME"] = str(Path(__file__).parent / "no_weights_here")
# Neighbours on the same cores lose everything to threads that spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Shells start programs in the background with Ctrl-C ignored, `nohup` with SIGHUP, and what they start inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import hypothesis
import pytest

from tests.postgres_server import Server, binaries, serve

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# A busy machine must not turn a slow example into a failure; the same examples each time.
hypothesis.settings.register_profile("automl", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("automl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine has no means for, and say so."""
    missing = {}
    if binaries() is None:
        missing["postgres"] = "no PostgreSQL server on this machine (Debian: apt-get install postgresql)"
    elif importlib.util.find_spec("psycopg") is None:
        missing["postgres"] = "psycopg is not installed (pip install 'automl[postgresql]')"
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        missing["browser"] = "no Chromium on this machine"
    for item in items:
        for mark, reason in missing.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data sets, next to the repository."""
    if not SHARED.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of the tests' own; whoever stops it starts it again."""
    with serve() as server:
        yield server


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images and the storage URL come from the test alone, not from the person who runs it."""
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("AUTOML_STORAGE", raising=False)


@pytest.fixture(autouse=True)
def _logging_untouched() -> None:
    """A command sets up the package's logger for its own process, which tests share, fixtures of modules among them."""
    logger = logging.getLogger("automl")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    logger.propagate = True


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
