"""From study.yaml and options to a StudyConfig, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automl.config import StudyConfig, load, save
from automl.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_saved_study_loads_the_same(tmp_path: Path) -> None:
    config = load("digits", n_trials=7, time_limit=90.5, seed=3, memory_limit=12345, space={"parameters": {}})
    save(config, tmp_path / "study.yaml")
    assert load(tmp_path / "study.yaml") == config
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_saved_study_is_readable_by_people(tmp_path: Path) -> None:
    save(load("digits", time_limit=600), tmp_path / "study.yaml")
    text = (tmp_path / "study.yaml").read_text(encoding="utf-8")
    assert "time_limit: 10m\n" in text
    assert "max_disk: 20G\n" in text


def test_overwrite_is_not_repeated(tmp_path: Path) -> None:
    save(load("digits", overwrite=True), tmp_path / "study.yaml")
    assert load(tmp_path / "study.yaml").overwrite is False


def test_options_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", "data: digits\nseed: 1\ntime_limit: 1h\n")
    config = load(path, seed=2)
    assert (config.seed, config.time_limit) == (2, 3600)


def test_password_is_not_saved_and_comes_back_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.yaml"
    save(load("digits", storage="postgresql://ann:secret@db/a"), path)
    assert "secret" not in path.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="set the environment variable AUTOML_STORAGE"):
        load(path)
    assert load(path, storage="sqlite:///x.db").storage == "sqlite:///x.db"
    monkeypatch.setenv("AUTOML_STORAGE", "postgresql://ann:secret@db/a")
    assert load(path).storage == "postgresql://ann:secret@db/a"


def test_arrays_are_left_out_and_asked_for_again(tmp_path: Path) -> None:
    arrays = (np.zeros((2, 8, 8)), [0, 1])
    save(StudyConfig(data=arrays), tmp_path / "study.yaml")
    with pytest.raises(ConfigError, match=r"data must be given.*passed in memory"):
        load(tmp_path / "study.yaml")
    assert load(tmp_path / "study.yaml", data=arrays).data is arrays


def test_relative_data_are_looked_for_here_then_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "project" / "study.yaml", "data: photos\n")
    assert load(path).data == "photos"
    (tmp_path / "project" / "photos").mkdir()
    assert Path(load(path).data) == tmp_path / "project" / "photos"
    (tmp_path / "photos").mkdir()
    assert load(path).data == "photos"


def test_saved_study_finds_its_data_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    path = write(tmp_path / "studies" / "photos" / "study.yaml", "data: photos\n")
    monkeypatch.chdir("/")
    assert Path(load(path).data) == tmp_path / "photos"


def test_builtin_data_are_no_path(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    assert load(write(tmp_path / "s.yaml", "data: digits\n")).data == "digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [", r"valid YAML, got .*s.yaml' \(line 1"),
        ("- data\n", r"must hold lines of the form 'option: value'"),
        ("", r"must hold lines of the form 'option: value'"),
        ("data: digits\nseed: 1\nseed: 2\n", r"'seed' is given twice|line 3"),
        ("data: digits\nnights: 2\n", r"unknown option 'nights'"),
        ("data: !!python/object/apply:os.getcwd []\n", r"valid YAML"),
        ("seed: 2\n", r"data must be given"),
    ],
)
def test_bad_study_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path / "s.yaml", text))


def test_missing_study_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"must be readable, got '.*none.yaml' \(No such file or directory\)"
    ):
        load(tmp_path / "none.yaml")


def test_binary_study_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_bytes(b"\xff\xfe\x00data")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(tmp_path / "s.yml")


def test_space_in_a_study_file_includes_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "study.yaml").write_text(
        "data: digits\nspace: {include: [smoke, mine.yaml]}\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    config = load("deep/study.yaml")
    assert config.space == {"include": ["smoke", str(folder / "mine.yaml")]}
