"""Names of studies."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from automl.config.names import check_study_name, default_study_name, directory_flag


@pytest.mark.parametrize("name", ["photos", "a-b_c.d", "2024", "_x", "A" * 100])
def test_good_name_is_kept(name: str) -> None:
    assert check_study_name(name) == name


@pytest.mark.parametrize("name", ["", "-x", ".x", "..", "a b", "a:b", "naïve", "A" * 101, "x\n"])
def test_name_with_other_characters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must consist of letters, digits"):
        check_study_name(name)


@pytest.mark.parametrize("name", ["a/b", "../x", "a\\b"])
def test_name_with_path_parts_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without path parts"):
        check_study_name(name)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("photos/", "photos"),
        ("a/b/x.zip", "x"),
        ("labels.csv", "labels"),
        ("a/photos.tar.gz", "photos"),
        ("photos.TAR", "photos"),
        ("photos.v2.tgz", "photos.v2"),
        ("labels.tsv", "labels"),
        ("labels.jsonl", "labels"),
        ("labels.json", "labels"),
        ("train.txt", "train"),
        ("my photos (1)", "my-photos-1"),
        ("v1.2/", "v1.2"),
        ("digits", "digits"),
        ("!!", "study"),
        ("2024", "2024"),
        ("Blätter", "Bl-tter"),
        ((1, 2), "arrays"),
        (np.zeros((2, 2)), "arrays"),
    ],
)
def test_name_comes_from_the_data(data: object, name: str) -> None:
    assert default_study_name(data) == name
    assert check_study_name(name) == name


def test_name_of_the_current_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "leaves"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert default_study_name(".") == "leaves"


@pytest.mark.parametrize(
    ("directory", "flag"),
    [
        ("studies", ""),
        (Path("studies"), ""),
        ("my studies", " --directory 'my studies'"),
        ("s3://key:secret@host/studies", " --directory 's3://key:***@host/studies'"),
    ],
)
def test_flag_of_a_directory_may_be_copied(directory: object, flag: str) -> None:
    assert directory_flag(directory) == flag


def test_names_without_latin_letters_differ_and_do_not_depend_on_their_form() -> None:
    data = [
        "日本",
        "中国",
        "кошки",
        "собаки",
        "φύλλα",
        "фото_2024",
        "видео_2024",
        "2024年.zip",
        "é",
        "é" * 300,
    ]
    names = [default_study_name(name) for name in data]
    assert len(set(names)) == len(data)
    assert [check_study_name(name) for name in names] == names
    assert names[0].startswith("study-") and names[5].startswith("_2024-") and names[7].startswith("2024-")
    assert default_study_name(unicodedata.normalize("NFD", "й")) == default_study_name("й")
    assert check_study_name(default_study_name("\udcff\udcfeж")) == default_study_name("\udcff\udcfeж")
