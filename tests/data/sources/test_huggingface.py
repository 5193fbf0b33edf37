"""`hf:NAME`, by the library's own loading code."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.config.names import default_study_name
from automl.data import open_source, prepare_data
from automl.errors import DataError
from tests.data.conftest import encoded, random_image

datasets = pytest.importorskip("datasets", reason="needs automl[hf]")


def _rows(n: int, *, seed: int = 0) -> Any:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["ant", "bee"]),
            "size": datasets.Value("float32"),
        }
    )
    cells = {
        "image": [{"bytes": encoded(random_image(seed + i)), "path": None} for i in range(n)],
        "label": [i % 2 for i in range(n)],
        "size": [i / 7 for i in range(n)],
    }
    return datasets.Dataset.from_dict(cells, features=features)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set saved by `save_to_disk`, with three splits and one of unknown meaning."""
    parts = {"train": _rows(20), "validation": _rows(6, seed=50), "test": _rows(8, seed=80)}
    datasets.DatasetDict({**parts, "unsupervised": _rows(4, seed=99)}).save_to_disk(str(tmp_path / "bugs"))
    return tmp_path / "bugs"


def test_given_parts_and_class_names_are_kept(folder: Path, tmp_path: Path) -> None:
    source = open_source(f"hf:{folder}")
    assert source.name == "bugs"
    assert list(source.splits) == ["train"] * 20 + ["val"] * 6 + ["holdout"] * 8
    assert source.classes == ("ant", "bee")
    assert source.targets.tolist()[:4] == [0, 1, 0, 1]
    assert source.notes == ("Splits beside train and test left out: unsupervised.",)
    assert np.array_equal(np.asarray(source.load(3)), np.asarray(random_image(3)))
    prepared = prepare_data(source, cache_dir=tmp_path / "cache", study_dir=tmp_path / "study")
    info = prepared.splits.info
    assert (info.n_train, info.n_val, info.n_holdout) == (20, 6, 8)


def test_opened_data_sets_of_the_library_are_taken(folder: Path) -> None:
    opened = datasets.load_from_disk(str(folder))
    source = open_source(opened)
    assert (source.classes, list(source.splits)) == (
        ("ant", "bee"),
        ["train"] * 20 + ["val"] * 6 + ["holdout"] * 8,
    )
    one = open_source(opened["train"].with_format("torch").select(range(3)))
    assert (one.classes, one.splits, one.targets.tolist()) == (("ant", "bee"), ["", "", ""], [0, 1, 0])
    assert np.array_equal(np.asarray(one.load(1)), np.asarray(random_image(1)))


def test_column_of_numbers_is_learnt_where_it_is_named(folder: Path) -> None:
    assert open_source(f"hf:{folder}", target="size").task == "regression"
    with pytest.raises(DataError, match="unknown target column 'siz': did you mean 'size'"):
        open_source(f"hf:{folder}", target="siz")


def test_one_part_alone_is_divided(tmp_path: Path) -> None:
    _rows(12).save_to_disk(str(tmp_path / "one"))
    source = open_source(f"hf:{tmp_path / 'one'}")
    assert set(source.splits) == {""}


def test_other_rows_are_other_data(tmp_path: Path) -> None:
    _rows(12).save_to_disk(str(tmp_path / "one"))
    _rows(12, seed=1).save_to_disk(str(tmp_path / "two"))
    states = {open_source(f"hf:{tmp_path / name}").state() for name in ("one", "two")}
    assert len(states) == 2
    assert open_source(f"hf:{tmp_path / 'one'}").state() in states


def test_set_without_images_is_refused(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"], "label": [0]}).save_to_disk(str(tmp_path / "words"))
    with pytest.raises(DataError, match="must have a column of images, but its columns are text, label"):
        open_source(f"hf:{tmp_path / 'words'}")


def test_missing_set_without_a_network_fails_at_once_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    for name in ("https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"hf:nobody/nothing must be on the hub.*cannot be reached.*HF_HOME"):
        open_source("hf:nobody/nothing")
    assert time.monotonic() - begun < 8


def test_missing_library_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['datasets'] = None\n"
        "from automl.data import open_source\nfrom automl.errors import DataError\n"
        f"try:\n    open_source('hf:{tmp_path}')\nexcept DataError as error:\n    print(error)\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": root}
    )
    assert "needs the package datasets: pip install 'automl[hf]'" in done.stdout


def test_study_is_named_after_the_set() -> None:
    assert default_study_name("hf:owner/beans") == "beans"
