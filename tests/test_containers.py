"""Limits of containers and batch systems, users without a home, and names of folders with `~`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from automl import machine
from automl.errors import UsageError
from automl.machine import (
    cache_folder,
    cores,
    cpu_quota,
    ensure_home,
    expanded,
    free_memory,
    memory_limit,
    total_memory,
)

GIB = 1024**3


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("files", "own", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({}, "0::/\n", None),
        # The path outside of the container, which it cannot see.
        ({"cpu.max": "200000 100000\n"}, "0::/../../docker/abc\n", 2.0),
        # A group of a batch system: the least of all groups on the way counts.
        (
            {
                "slurm/job1/cpu.max": "max 100000",
                "slurm/cpu.max": "400000 100000",
                "slurm/job1/step/cpu.max": "max 1",
            },
            "0::/slurm/job1/step\n",
            4.0,
        ),
        # Version 1: docker without a name space of its own, and a host.
        (
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/docker/abc\n",
            0.5,
        ),
        (
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            "5:memory:/job\n4:cpu,cpuacct:/job\n",
            3.0,
        ),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/\n", None),
        ({"cpu.max": "nonsense"}, "nonsense", None),
    ],
)
def test_quota_of_cores_is_read(tmp_path: Path, files: dict[str, str], own: str, quota: float | None) -> None:
    groups = written(tmp_path / "groups", files)
    (tmp_path / "own").write_text(own)
    assert cpu_quota(groups, tmp_path / "own") == quota


@pytest.mark.parametrize(
    ("files", "own", "limit"),
    [
        (
            {
                "memory.max": str(4 * GIB),
                "memory.current": str(3 * GIB),
                "memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
            },
            "0::/\n",
            (4 * GIB, 3 * GIB),
        ),
        ({"memory.max": "max", "memory.current": str(GIB)}, "0::/\n", None),
        (
            {
                "memory/memory.limit_in_bytes": str(2 * GIB),
                "memory/memory.usage_in_bytes": str(GIB),
                "memory/memory.stat": f"total_inactive_file {GIB // 2}\n",
            },
            "7:memory:/docker/abc\n",
            (2 * GIB, 3 * GIB // 2),
        ),
        (
            {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "1"},
            "7:memory:/\n",
            None,
        ),
        # The group above leaves less.
        (
            {
                "a/b/memory.max": str(8 * GIB),
                "a/b/memory.current": "0",
                "a/memory.max": str(9 * GIB),
                "a/memory.current": str(8 * GIB),
            },
            "0::/a/b\n",
            (9 * GIB, GIB),
        ),
    ],
)
def test_limit_of_memory_is_read(
    tmp_path: Path, files: dict[str, str], own: str, limit: tuple[int, int] | None
) -> None:
    groups = written(tmp_path / "groups", files)
    (tmp_path / "own").write_text(own)
    assert memory_limit(groups, tmp_path / "own") == limit


def test_limits_bound_what_a_study_plans_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    for quota, usable in ((None, 8), (0.5, 1), (1.0, 1), (2.5, 3), (64.0, 8)):
        monkeypatch.setattr(machine, "cpu_quota", lambda quota=quota: quota)
        assert cores() == usable
    monkeypatch.setattr(machine, "memory_limit", lambda: (1000, 10))
    assert (total_memory(), free_memory()) == (1000, 10)


def test_user_without_home_gets_one_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTOML_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("os.path.expanduser", lambda path: os.environ["HOME"] or path)  # an unknown user
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    before = cache_folder()
    assert list(tmp_path.iterdir()) == []
    ensure_home()
    home = Path(os.environ["HOME"])
    assert home.parent == tmp_path and home.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == before == home / ".cache" / "automl"
    monkeypatch.setenv("HOME", "")
    owner = home.stat().st_uid
    home.rename(tmp_path / f"automl-home-{owner + 1}")
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    for call in (cache_folder, ensure_home):
        with pytest.raises(UsageError, match="belongs to another user: set HOME or AUTOML_CACHE_DIR"):
            call()


def test_folder_of_an_unknown_user_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert expanded("~/a") == Path("/home/ann/a")
    assert expanded("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")


def test_addresses_that_ulimit_allows_bound_the_free_memory() -> None:
    """In a process of its own, as a limit that was lowered stays."""
    code = (
        "import resource; from automl.machine import address_space_left, free_memory\n"
        "assert address_space_left() is None\n"
        "before = free_memory(); soft = 1 << 30\n"
        "resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))\n"
        "print(before, address_space_left(), free_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, left, free = map(int, done.stdout.split())
    assert 0 < free <= left < 1 << 30 <= before


_COUNTS = {"cpu_count", "process_cpu_count", "sched_getaffinity", "virtual_memory"}


def test_cores_and_memory_are_counted_in_one_place_that_knows_the_limits() -> None:
    package = Path(machine.__file__).parent
    allowed = {"machine.py", "cli/doctor_checks.py"}  # the latter shows both numbers
    found = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in _COUNTS
    }
    assert found == allowed
