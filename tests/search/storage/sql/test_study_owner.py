"""A database that several people use: studies of one name, from different folders, never mix."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image
from sqlalchemy import insert

from automl.cli.entry import main
from automl.errors import StorageError, StudyError
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import open_database
from automl.search.storage.sql.study_owner import claim

QUICK = ("--space", "smoke", "--epochs", "4", "--n-trials", "1", "--engine", "local", "--pretrained", "never")
MORE = ("--warm-start", "none", "--img-size", "8", "--quiet", "--json")


def _photos(folder: Path, classes: int) -> Path:
    rng = np.random.default_rng(classes)
    for label in range(classes):
        (folder / f"c{label}").mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(80 * label, 80 * label + 60, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"c{label}" / f"{number}.png")
    return folder


def _fit(data: Path, directory: Path, url: str, *more: str) -> int:
    return main(["fit", str(data), *QUICK, *MORE, "--directory", str(directory), "--storage", url, *more])


def _count(directory: Path) -> int:
    total: int = json.loads((directory / "photos" / "result.json").read_text())["trials"]["total"]
    return total


@pytest.mark.study
def test_second_person_with_the_same_name_is_refused_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    hers, his = _photos(tmp_path / "ann" / "photos", 2), _photos(tmp_path / "bob" / "photos", 3)
    ann, bob = tmp_path / "ann" / "studies", tmp_path / "bob" / "studies"
    assert _fit(hers, ann, url) == 0
    for more in ((), ("--overwrite",)):
        capsys.readouterr()
        assert _fit(his, bob, url, *more) == 2
        said = capsys.readouterr().err
        assert f"the study 'photos' in {url} is that of " in said
        assert f"{ann / 'photos'}: choose another --study name" in said
        assert "decoding" not in said
        assert not (bob / "photos").exists()
    assert _fit(hers, bob, url) == 2  # the same data, but another folder
    assert _fit(hers, ann, url, "--n-trials", "2") == 0
    assert _count(ann) == 2
    assert _fit(his, bob, url, "--study", "other") == 0


@pytest.mark.study
def test_owner_may_move_remove_and_overwrite_the_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    data, first, second = _photos(tmp_path / "photos", 2), tmp_path / "first", tmp_path / "second"
    assert _fit(data, first, url) == 0
    shutil.move(first, second)
    assert _fit(data, second, url, "--n-trials", "2") == 0
    assert _count(second) == 2
    assert _fit(data, second, url, "--overwrite") == 0
    assert _count(second) == 1
    shutil.rmtree(second)
    assert _fit(data, second, url, "--n-trials", "2") == 0
    assert _count(second) == 2


def test_new_study_gets_an_id_of_its_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    one, two = (claim(url, "s", str(tmp_path), known=None, existed=False) for _ in range(2))
    assert one.id != two.id
    assert one.place == two.place
    assert not (tmp_path / "none.db").exists()
    assert claim(url, "s", str(tmp_path), known="mine", existed=True).id == "mine"


def _stored(tmp_path: Path, fingerprint: str) -> str:
    """The URL of a database with a study `s` of this fingerprint."""
    url = f"sqlite:///{tmp_path}/shared.db"
    database = open_database(url)
    study_id = database.optuna.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")
    row = {"study_id": study_id, "schema_version": 1, "fingerprint": fingerprint, "at": 0.0}
    with database.engine.begin() as connection:
        connection.execute(insert(tables.meta), row)
    database.close()
    return url


def test_copy_of_a_folder_is_not_its_study(tmp_path: Path) -> None:
    first, second = tmp_path / "first" / "s", tmp_path / "second" / "s"
    first.mkdir(parents=True)
    mine = claim(f"sqlite:///{tmp_path}/none.db", "s", str(first), known=None, existed=False)
    url = _stored(tmp_path, json.dumps({"owner": mine.to_dict()}))
    (first / "plan.json").write_text(json.dumps({"owner": mine.id}), encoding="utf-8")
    shutil.copytree(first, second)
    with pytest.raises(
        StudyError, match=r"is that of .*first/s, and .*second/s' is a copy of that folder: continue it"
    ):
        claim(url, "s", str(second), known=mine.id, existed=True)
    assert claim(url, "s", str(first), known=mine.id, existed=True).id == mine.id
    (tmp_path / "link").symlink_to(first)
    assert claim(url, "s", str(tmp_path / "link"), known=mine.id, existed=True).id == mine.id
    shutil.rmtree(first)  # as if it had been moved
    assert claim(url, "s", str(second), known=mine.id, existed=True).id == mine.id


@pytest.mark.parametrize(
    "fingerprint", ["", "[]", "null", "{", '{"owner": 5}', '{"owner": {"id": 1, "place": "x"}}']
)
def test_damaged_fingerprint_in_the_database_is_one_sentence(tmp_path: Path, fingerprint: str) -> None:
    url = _stored(tmp_path, fingerprint)
    with pytest.raises(StorageError, match="the study 's' in .* is damaged: its fingerprint there is none"):
        claim(url, "s", str(tmp_path), known=None, existed=False)
