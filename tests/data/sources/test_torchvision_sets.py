"""`torchvision:NAME`, by torchvision's own loading code."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from automl.config.names import default_study_name
from automl.data import open_source, prepare_data
from automl.data.sources.torchvision_sets import SETS, torchvision_folder
from automl.errors import DataError
from automl.torch_setup import import_torchvision
from tests.data.sources.hubs_on_disk import write_mnist


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torchvision's files; no host name can be resolved."""

    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "torch" / "datasets"


@pytest.mark.parametrize("spelling", ["MNIST", "mnist"])
def test_given_parts_are_kept(home: Path, tmp_path: Path, spelling: str) -> None:
    write_mnist(home, train=60, test=20)
    source = open_source(f"torchvision:{spelling}")
    assert (source.name, source.task) == ("MNIST", "classification")
    assert list(source.splits) == ["train"] * 60 + ["holdout"] * 20
    assert source.classes[3] == "3 - three"
    prepared = prepare_data(source, cache_dir=tmp_path / "cache", study_dir=tmp_path / "study")
    assert (len(prepared.holdout), prepared.splits.info.in_chans) == (20, 1)


def test_changed_files_are_other_data(home: Path) -> None:
    write_mnist(home)
    before = open_source("torchvision:MNIST").state()
    path = next(home.rglob("train-images-idx3-ubyte"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert open_source("torchvision:MNIST").state() != before


@pytest.mark.parametrize("name", ["CIFAR10", "SVHN", "Flowers102", "DTD"])
def test_missing_files_without_a_network_fail_at_once_and_say_what_to_do(home: Path, name: str) -> None:
    begun = time.monotonic()
    with pytest.raises(
        DataError, match=rf"torchvision:{name} must be downloaded or lie in .*{name}'.*TORCH_HOME"
    ):
        open_source(f"torchvision:{name}")
    assert time.monotonic() - begun < 5
    assert not (home / name).exists()


def test_unknown_name_gets_the_closest_one() -> None:
    with pytest.raises(DataError, match="unknown torchvision data set 'CIFAR11': did you mean 'CIFAR10"):
        open_source("torchvision:CIFAR11")


def test_every_listed_set_is_one_of_torchvision() -> None:
    known = import_torchvision("datasets")
    assert set(SETS) <= set(known.__all__)


def test_study_is_named_after_the_set_and_the_folder_follows_the_environment(tmp_path: Path) -> None:
    assert default_study_name("torchvision:CIFAR10") == "CIFAR10"
    assert torchvision_folder("X") == tmp_path / "torch" / "datasets" / "X"
