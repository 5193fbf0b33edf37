"""Decoding in worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from automl.data.decoding import process_pool
from automl.data.decoding.decode import decode_all
from automl.data.decoding.image_format import Target
from automl.data.sources import open_source
from automl.data.sources.base import Source
from automl.errors import RunError
from tests.data.conftest import encoded, pack, pack_tar, random_image
from tests.waiting import until

N = 500  # images: with fewer, threads decode
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(not process_pool.can_start(), reason="needs processes")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image files: some grey, some JPEG, one no image, one empty."""
    root = tmp_path_factory.mktemp("pool") / "photos"
    for i in range(N):
        folder = root / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        form = ("PNG", "JPEG")[i % 3 == 0]
        mode = ("RGB", "L")[i % 5 == 0]
        content = encoded(random_image(i, mode=mode, size=(12 + i % 7, 10)), form)
        (folder / f"{i:04d} ü.{form.lower()}").write_bytes({7: b"", 8: b"text"}.get(i, content))
    return root


def _mapped(place: Path, n: int, *, size: int = 8, channels: int = 3) -> np.memmap:
    return np.lib.format.open_memmap(
        place / "images.npy", mode="w+", dtype=np.uint8, shape=(n, size, size, channels)
    )


def _quiet(done: int, total: int) -> None:
    """Ignore the progress."""


def _children() -> set[int]:
    """Processes whose parent is this one."""
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_processes_find_what_threads_find(root: Path, tmp_path: Path, kind: str) -> None:
    pack_of: dict[str, Callable[[], Path]] = {
        "folder": lambda: root,
        "zip": lambda: pack(root, tmp_path / "x.zip"),
        "tar": lambda: pack_tar(root, tmp_path / "x.tar"),
    }
    source = open_source(pack_of[kind]())
    mapped = _mapped(tmp_path, N)
    before = _children()
    steps: list[int] = []
    found = decode_all(source, Target(8, 3), mapped, lambda done, _: steps.append(done), folder=tmp_path)
    assert _children() == before
    assert isinstance(found.findings.thumbs, np.memmap), "processes did it"
    images = np.zeros_like(np.asarray(mapped))
    expected = decode_all(source, Target(8, 3), images, _quiet)
    assert np.array_equal(mapped, images)
    assert (found.reasons, found.modes) == (expected.reasons, expected.modes)
    assert sorted(found.reasons.values()) == ["empty file", "not an image"]
    for name in ("digests", "sizes", "thumbs"):
        assert np.array_equal(getattr(found.findings, name), getattr(expected.findings, name))
    assert steps == sorted(steps) and steps[-1] == N
    source.close()


def _opened(root: Path) -> Source:
    return open_source(root)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_interrupt_ends_the_processes(root: Path, tmp_path: Path, error: type[BaseException]) -> None:
    def stop(done: int, total: int) -> None:
        raise error("enough")

    before = _children()
    with pytest.raises(error, match="enough"):
        decode_all(_opened(root), Target(8, 3), _mapped(tmp_path, N), stop, folder=tmp_path)
    assert _children() == before


def test_killed_process_gives_one_sentence_and_leaves_no_other(root: Path, tmp_path: Path) -> None:
    before = _children()

    def kill(done: int, total: int) -> None:
        for child in _children() - before:
            os.kill(child, signal.SIGKILL)

    with pytest.raises(
        RunError, match=r"ended unexpectedly \(killed by SIGKILL\).*run the same command again"
    ):
        decode_all(_opened(root), Target(8, 3), _mapped(tmp_path, N), kill, folder=tmp_path)
    assert _children() == before


BABBLER = """import os, time
from multiprocessing.connection import Connection
def main():
    results = Connection(os.dup(1), readable=False)
    results.send("ready")
    results.send_bytes(b"no pickle")
    time.sleep(60)
"""


def test_process_that_sends_no_result_and_stays_is_not_waited_for(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _children()
    package = tmp_path / "automl" / "data" / "decoding"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parents[1]):
        (folder / "__init__.py").touch()
    (package / "pool_worker.py").write_text(BABBLER)
    monkeypatch.setattr(process_pool, "_ROOT", str(tmp_path))
    monkeypatch.setattr(process_pool, "LONGEST_END", 0.1)
    with pytest.raises(RunError, match=r"ended unexpectedly \(killed by SIGKILL\)"):
        decode_all(_opened(root), Target(8, 3), _mapped(tmp_path, N), _quiet, folder=tmp_path)
    assert _children() == before


def test_processes_end_when_their_starter_is_killed(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\nimport numpy as np\n"
        "from automl.data.decoding.decode import decode_all\nfrom automl.data.decoding.image_format import Target\n"
        "from automl.data.sources import open_source\n"
        f"images = np.lib.format.open_memmap({str(tmp_path / 'images.npy')!r}, mode='w+', dtype=np.uint8,"
        f" shape=({N}, 8, 8, 3))\n"
        "def hang(done, total):\n    print('up', flush=True)\n    time.sleep(60)\n"
        f"decode_all(open_source({str(root)!r}), Target(8, 3), images, hang, folder=Path({str(tmp_path)!r}))\n"
    )
    # In a group of its own, so that the processes can be distinguished from all others.
    started = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert started.stdout is not None
    with started, started.stdout:
        assert started.stdout.readline() == b"up\n"
        assert len(_group(started.pid)) > 1
        started.kill()
    until(lambda: not _group(started.pid))


def _group(leader: int) -> set[int]:
    """Living processes of a group."""
    found = set()
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
    return found


@pytest.mark.parametrize("way", ["script", "stdin"])
def test_script_without_a_main_guard_is_run_once(root: Path, tmp_path: Path, way: str) -> None:
    text = (
        "print('once', flush=True)\nfrom pathlib import Path\n"
        "from automl.data import open_source, prepare_data\n"
        f"prepare_data(open_source({str(root)!r}), cache_dir=Path({str(tmp_path / 'cache')!r}),"
        f" study_dir=Path({str(tmp_path / 'study')!r}))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, "-X", "dev", *([str(script)] if way == "script" else [])],
        input=None if way == "script" else text,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "once\n")
    assert "resource_tracker" not in done.stderr and "Warning" not in done.stderr


def test_python_that_does_not_start_leaves_the_work_to_threads(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    source = open_source(root)
    found = decode_all(source, Target(8, 3), _mapped(tmp_path, N), _quiet, folder=tmp_path)
    assert not isinstance(found.findings.thumbs, np.memmap)
    assert len(found.reasons) == 2


def test_images_without_room_are_scanned_by_processes(root: Path, tmp_path: Path) -> None:
    found = decode_all(open_source(root), Target(8, 3), None, _quiet, folder=tmp_path)
    assert found.findings.thumbs.any()
    assert threading.active_count() == 1 or all("decode" not in t.name for t in threading.enumerate())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signal_to_the_whole_group_is_left_to_the_parent(root: Path, tmp_path: Path, number: int) -> None:
    """A terminal that closes, or a batch system, tells all processes at once."""
    ours = _children()

    def shout(done: int, total: int) -> None:
        for child in _children() - ours:
            os.kill(child, number)

    found = decode_all(open_source(root), Target(8, 3), _mapped(tmp_path, N), shout, folder=tmp_path)
    assert isinstance(found.findings.thumbs, np.memmap) and len(found.reasons) == 2
