"""What comes from strangers: files with code in them, and names that climb out of their folder."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.cli.commands import dashboard
from automl.config import StudyConfig, load
from automl.errors import ConfigError, ModelError, StorageError
from automl.final.predictor import Predictor
from automl.training import checkpoint
from tests.final.test_model_folder import config, folder, plan, splits

__all__ = ["config", "folder", "plan", "splits"]  # fixtures


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def test_bomb_goes_off_where_nobody_looks(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))
    assert (tmp_path / "boom").is_dir()


def test_checkpoint_with_code_in_it_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "good", {"w": torch.zeros(2)}, {"epoch": 1})
    torch.save({"epoch": Bomb(tmp_path / "boom")}, tmp_path / "good" / checkpoint.STATE)
    with pytest.raises(StorageError, match="cannot be read"):
        checkpoint.read(tmp_path / "good")
    checkpoint.write(tmp_path / "other", {"w": torch.zeros(2)}, {"epoch": 1})
    (tmp_path / "other" / checkpoint.WEIGHTS).write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(StorageError, match="cannot be read"):
        checkpoint.read(tmp_path / "other")
    assert not (tmp_path / "boom").exists()


def test_model_folder_with_code_in_it_is_refused_and_the_code_not_run(folder: Path, tmp_path: Path) -> None:
    Predictor.load(folder)
    bomb = pickle.dumps(Bomb(tmp_path / "boom"))
    (folder / "pytorch_model.bin").write_bytes(bomb)
    Predictor.load(folder)  # only the safetensors are read
    (folder / "model.safetensors").write_bytes(bomb)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Predictor.load(folder)
    assert not (tmp_path / "boom").exists()


SECRET = "outside"
NAMES: tuple[Any, ...] = (
    "hf-hub:a/b",
    "local-dir:/etc",
    "../../etc",
    "os.system",
    "timm.models",
    "",
    None,
    7,
    ["test_vit"],
    {},
)
HOSTILE: list[tuple[str, dict[str, Any]]] = [("architecture", {"architecture": name}) for name in NAMES]
HOSTILE += [
    ("model_args", {"model_args": {key: value}})
    for key, value in {
        "checkpoint_path": f"{SECRET}/secret.pth",
        "pretrained": True,
        "pretrained_cfg": {"url": "http://192.0.2.1/x.pth"},
        "pretrained_cfg_overlay": {"file": f"{SECRET}/secret.pth"},
        "pretrained_strict": False,
        "cache_dir": SECRET,
        "norm_layer": "os.system",
        "act_layer": "../x",
        "img_size": "../../etc/passwd",
        "in_chans": 10**12,
        "channels": [[10**9]],
        "features_only": True,
        "nonsense": 1,
    }.items()
]
HOSTILE += [("num_classes", {"num_classes": value}) for value in (10**12, -1, "three", None, 4)]
HARMLESS: list[dict[str, Any]] = [
    {"url": "http://192.0.2.1/x.pth", "source": "url"},
    {"hf_hub_id": "someone/model", "source": "hf-hub"},
    {"file": f"{SECRET}/secret.pth", "source": "file"},
    {"custom_load": True, "hf_hub_filename": "evil.bin"},
    {"state_dict": {"a": 1}, "label_names": [SECRET]},
]


@pytest.fixture
def touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Connections that are tried, and files of the folder `outside` that are opened, while the test runs."""
    (tmp_path / SECRET).mkdir()
    torch.save({"epoch": Bomb(tmp_path / "boom")}, tmp_path / SECRET / "secret.pth")
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    open_: list[bool] = [True]

    def note(event: str, arguments: tuple[Any, ...]) -> None:  # cannot be taken away again, so it can be shut
        if open_ and (
            event in ("socket.connect", "socket.getaddrinfo", "os.system", "subprocess.Popen")
            or (event == "open" and SECRET in str(arguments[0]))
        ):
            seen.append(f"{event} {arguments[0]}")

    sys.addaudithook(note)
    yield seen
    open_.clear()
    assert not (tmp_path / "boom").exists()


def test_hostile_config_of_a_model_folder_is_refused_and_reads_nothing_outside(
    folder: Path, touched: list[str]
) -> None:
    said = json.loads((folder / "config.json").read_text())
    for key, hostile in HOSTILE:
        assert key in said
        changed = {**said, **hostile}
        if key == "model_args":
            changed["model_args"] = {**said["model_args"], **hostile["model_args"]}
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ModelError, match="cannot be loaded"):
            Predictor.load(folder)
        assert touched == [], hostile


def test_addresses_and_paths_in_a_model_folder_are_never_followed(folder: Path, touched: list[str]) -> None:
    whole = Predictor.load(folder)
    said = json.loads((folder / "config.json").read_text())
    for hostile in HARMLESS:
        changed = {**said, "pretrained_cfg": {**said["pretrained_cfg"], **hostile}}
        (folder / "config.json").write_text(json.dumps(changed))
        again = Predictor.load(folder)
        assert touched == [], hostile
        for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_hostile_preprocess_of_a_model_folder_is_refused(folder: Path, touched: list[str]) -> None:
    said = json.loads((folder / "preprocess.json").read_text())
    attacks: tuple[dict[str, Any], ...] = (
        {"input_size": 10**9},
        {"input_size": "big"},
        {"img_size": -1},
        {"classes": [{"a": 1}]},
        {"classes": 3},
        {"nonsense": 1},
        {"format": 99},
        {"format": {}},
        {"mean": "x", "in_chans": []},
    )
    for hostile in attacks:
        (folder / "preprocess.json").write_text(json.dumps({**said, **hostile}))
        with pytest.raises(ModelError, match="cannot be loaded"):
            Predictor.load(folder)
    assert touched == []


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "/etc", "a\\b", ".hidden", "-rf"])
def test_study_name_that_climbs_out_is_refused(name: str, tmp_path: Path) -> None:
    arrays = (np.zeros((4, 8, 8), dtype=np.uint8), np.arange(4))
    with pytest.raises(ConfigError, match="study must"):
        StudyConfig(data=arrays, study=name, directory=str(tmp_path))


def test_study_file_with_code_in_it_is_refused_and_the_code_not_run(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"data: !!python/object/apply:os.mkdir ['{tmp_path}/boom']\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="must be valid YAML"):
        load(path)
    assert not (tmp_path / "boom").exists()


def test_dashboard_listens_to_this_machine_only_unless_told_otherwise() -> None:
    assert dashboard._HOST == "127.0.0.1"
