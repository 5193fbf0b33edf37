"""A study at an address is gone on with from there alone, by a machine that has never seen it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

import automl
from automl import pipeline
from automl.cli.entry import main
from automl.errors import ConfigError, ModelError, StorageError, StudyError, UsageError
from automl.pipeline.setup import check
from automl.remote import ROUND_NOTE, TURN, Mirror, is_remote, names_at
from automl.review.studies import find_study
from tests.pipeline.test_fit import config_for, digits
from tests.review.studies_on_disk import finished_study, running_study


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address, and a machine that has nothing of it yet."""
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "first"))
    return f"file://{tmp_path}/bucket/studies"


def finals(study: Path) -> dict[int, tuple[Any, ...]]:
    with sqlite3.connect(study / "study.db") as connection:
        query = "SELECT number, state, datetime_start, datetime_complete FROM trials"
        return {
            row[0]: row[1:] for row in connection.execute(query) if row[1] in ("COMPLETE", "PRUNED", "FAIL")
        }


@pytest.mark.slow
def test_study_goes_on_from_the_address_alone(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pipeline.fit(config_for(Path(), n_trials=2).changed(directory=url))
    there = tmp_path / "bucket" / "studies" / "tiny"
    assert {"study.yaml", "study.db", "result.json", "model", "trials", "plan.json"} <= {
        path.name for path in there.iterdir()
    }
    assert not list(there.rglob("*-wal")) and not list(there.rglob(".*"))
    before = finals(there)
    assert len(before) == 2 or first.trials["paused"]

    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "second"))  # another machine
    second = pipeline.fit(config_for(Path(), n_trials=4).changed(directory=url))
    after = finals(there)
    assert before.items() <= after.items() and second.trials["total"] == 4
    assert second.to_json()["holdout_reads"] in (1, 2)

    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "third"))
    images, _ = digits()
    assert len(automl.load("tiny", directory=url).predict(images[:2])) == 2
    assert len(automl.load(f"{url}/tiny").predict(images[:2])) == 2
    assert find_study(f"{url}/tiny", "studies").result == second.to_json()


def test_checkpoint_counts_at_the_address_only_when_all_of_it_is_there(url: str, tmp_path: Path) -> None:
    mirror = Mirror(url, "s")
    place = mirror.root / "trials" / "t0000" / "checkpoint"
    place.mkdir(parents=True)
    (mirror.root / "study.yaml").write_text("data: digits\n")
    sqlite3.connect(mirror.root / "study.db").close()
    for name in ("weights.safetensors", "state.pt", ROUND_NOTE):
        (place / name).write_text("1")
    mirror.push()
    there = tmp_path / "bucket" / "studies" / "s"
    turn = (there / TURN).read_text()
    mirror.push()
    assert (there / TURN).read_text() == turn  # nothing had changed

    for name in ("weights.safetensors", "state.pt", ROUND_NOTE):
        (place / name).write_text("22")
    order: list[str] = []
    real = fsspec.implementations.local.LocalFileSystem.put_file

    def put(files: Any, local: str, to: str, **options: Any) -> None:
        order.append(Path(to).name)
        if order[-1] in ("weights.safetensors", "state.pt"):
            assert not (there / "trials" / "t0000" / "checkpoint" / ROUND_NOTE).exists()
        real(files, local, to, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsspec.implementations.local.LocalFileSystem, "put_file", put)
        mirror.push()
    assert (
        order[-2:] == [ROUND_NOTE, TURN] and (there / "trials/t0000/checkpoint/state.pt").read_text() == "22"
    )
    for path in place.iterdir():
        path.unlink()
    mirror.push()
    assert not list((there / "trials").rglob("*.pt"))


def test_addresses_of_any_file_system_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path))
    mirror = Mirror("memory://bucket/studies", "m")
    mirror.root.mkdir(parents=True)
    (mirror.root / "study.yaml").write_text("data: digits\n")
    mirror.push()
    assert names_at("memory://bucket/studies") == ["m"]
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "other"))
    again = Mirror("memory://bucket/studies", "m")
    again.pull()
    assert (again.root / "study.yaml").read_text() == "data: digits\n" and again.root != mirror.root
    again.delete()
    assert names_at("memory://bucket/studies") == []


def test_address_that_cannot_be_used_is_told_in_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--directory 'nonsense://a' cannot be used"):
        names_at("nonsense://a")
    with pytest.raises(StudyError, match="holds no study, got 'x'"):
        find_study("x", url)
    with pytest.raises(StudyError, match="no study 'x' in 'file://"):
        pipeline.resume("x", directory=url)
    with pytest.raises(ModelError, match="'x'"):
        automl.load("x", directory=url)
    with pytest.raises(ConfigError, match="must be a folder that all nodes mount"):
        check(config_for(Path()).changed(directory=url, engine="ray", address="auto"))
    with pytest.raises(StorageError, match="cannot be read or written"):
        Mirror("file:///proc/nowhere", "s")._remote_turn()
        _with_a_file(Mirror("file:///proc/nowhere", "s")).push()


def _with_a_file(mirror: Mirror) -> Mirror:
    mirror.root.mkdir(parents=True, exist_ok=True)
    (mirror.root / "study.yaml").write_text("data: digits\n")
    return mirror


def test_paths_are_no_addresses() -> None:
    assert is_remote("s3://bucket/studies") and not is_remote("C:/studies") and not is_remote(Path("studies"))


@pytest.mark.parametrize("name", ["..", ".hidden", "a:b"])
def test_names_from_an_address_touch_nothing_outside_of_the_copy(url: str, tmp_path: Path, name: str) -> None:
    there, victim = tmp_path / "bucket" / "studies" / "tiny", tmp_path / "first" / "victim"
    (there / name).mkdir(parents=True, exist_ok=True)
    (there / "study.yaml").write_text("study: tiny\n", encoding="utf-8")
    if name != "..":
        (there / name / "file").write_text("x", encoding="utf-8")
    victim.parent.mkdir()
    victim.write_text("mine", encoding="utf-8")
    climbing = {f"{'../' * depth}victim": "1" for depth in range(1, 6)} | {str(victim): "1"}
    (there / ".tokens.json").write_text(json.dumps(climbing), encoding="utf-8")
    for _ in range(2):  # the second time, the first download is known
        copied = find_study("tiny", url).path
        assert [path.name for path in copied.iterdir()] == ["study.yaml"]
        assert victim.read_text(encoding="utf-8") == "mine"
    (there / "more.txt").write_text("x", encoding="utf-8")
    (copied.parent / ".tiny.tokens.json").write_text("[1", encoding="utf-8")  # damaged: all is read again
    assert {path.name for path in find_study("tiny", url).path.iterdir()} == {"study.yaml", "more.txt"}


def test_commands_read_a_study_at_its_address(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = tmp_path / "bucket" / "studies"
    finished_study(bucket)
    running_study(bucket)
    before = {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file()}
    assert main(["list", "--directory", url, "--json"]) == 0
    assert [row["study"] for row in json.loads(capsys.readouterr().out)["studies"]] == ["leaves", "photos"]
    for name in ("photos", "leaves"):
        for given in ((name, "--directory", url), (f"{url}/{name}",)):
            assert main(["show", *given, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["study"] == name
            assert main(["leaderboard", *given]) == 0
            assert "resnet10t" in capsys.readouterr().out
    for command in (
        ["predict", f"{url}/leaves", str(tmp_path)],
        ["export", "leaves", "--to", "onnx", "--directory", url],
    ):
        assert main(command) == 2
        assert "'leaves' has no model yet" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in bucket.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_resume_on_the_command_line_goes_on_at_the_address(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = (
        "--space",
        "smoke",
        "--epochs",
        "1",
        "--engine",
        "local",
        "--img-size",
        "8",
        "--pretrained",
        "never",
    )
    fit = ("fit", "digits", *common, "--warm-start", "none", "--n-trials", "1", "--directory", url, "--quiet")
    assert main([*fit]) in (0, 3)
    for name, place, total in (("digits", url, 2), (f"{url}/digits", "studies", 3)):
        assert main(["resume", name, "--directory", place, "--n-trials", str(total), "--quiet"]) in (0, 3)
        assert len(finals(tmp_path / "bucket" / "studies" / "digits")) == total
        found = find_study(name, place)
        assert found.result is not None and found.result["trials"]["total"] == total
    images, _ = digits(3)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    for model in (["digits", "--directory", url], [f"{url}/digits"]):
        paths = [str(tmp_path / f"{i}.png") for i in range(3)]
        capsys.readouterr()
        assert main(["predict", model[0], *paths, *model[1:], "--json", "--quiet"]) == 0
        assert len(json.loads(capsys.readouterr().out)["predictions"]) == 3
