"""Some hundred damaged files: nothing but an AutomlError comes out. `python -m benchmarks.fuzz` tries many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.errors import AutomlError
from benchmarks.fuzz.case import Bench, Outcome
from benchmarks.fuzz.pool import Worker
from benchmarks.fuzz.readers import READERS, Reader

# Of each reader; a study has to be made first, so that one is left to the benchmark.
CASES = {
    "image": 60,
    "folder": 15,
    "zip": 60,
    "tar": 90,
    "table": 60,
    "space": 90,
    "study-file": 90,
    "model": 17,
    "weights": 12,
    "cache": 40,
    "xml": 36,
    "export": 32,
    "split": 30,
    "encoding": 38,
}
# Damage to one of their files costs that image, list or entry alone.
PATIENT = ("folder", "xml", "split", "cache")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images go to a folder that is removed."""
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    reader = next(reader for reader in READERS if reader.name == name)
    bench = Bench(reader, tmp_path / "files")
    bench.try_case(7, -1)  # imports what it needs
    found = [bench.try_case(7, number) for number in range(CASES[name])]
    bad = [(number, outcome) for number, outcome in enumerate(found) if outcome.bad or outcome.seconds > 10]
    assert bad == []
    assert name in PATIENT or any(outcome.kind for outcome in found)


def _raising(error: Exception) -> Reader:
    def make(folder: Path) -> list[Path]:
        (folder / "a.txt").write_bytes(b"some text")
        return [folder / "a.txt"]

    def read(_: Path) -> None:
        raise error

    return Reader("raising", make, read)


def test_other_errors_and_endless_messages_are_bad(tmp_path: Path) -> None:
    outcome = Bench(_raising(KeyError("x")), tmp_path / "a").try_case(0, 0)
    assert (outcome.kind, outcome.bad) == ("KeyError", True)
    outcome = Bench(_raising(AutomlError("a sentence")), tmp_path / "b").try_case(0, 0)
    assert (outcome.kind, outcome.bad) == ("AutomlError", False)
    assert Bench(_raising(AutomlError("")), tmp_path / "c").try_case(0, 0).bad


def test_cases_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    reader = next(reader for reader in READERS if reader.name == "zip")
    one, other = Bench(reader, tmp_path / "a"), Bench(reader, tmp_path / "b")
    assert [one.damaged(3, n)[2] for n in range(8, 20)] != [one.damaged(4, n)[2] for n in range(8, 20)]
    again = [(way, len(data)) for _, way, data in (other.damaged(3, n) for n in range(20))]
    assert [(way, len(data)) for _, way, data in (one.damaged(3, n) for n in range(20))] == again


@pytest.mark.slow
def test_worker_that_is_killed_is_a_bad_case(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("space", 0)
    try:
        assert isinstance(worker.try_case(0), Outcome)
        monkeypatch.setattr("benchmarks.fuzz.pool.LONGEST", -1.0)
        outcome = worker.try_case(1)
        assert (outcome.kind, outcome.bad) == ("hang", True)
        assert not worker.alive()
    finally:
        worker.close()
