"""What comes from strangers: files with code in them, and names that climb out of their folder."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.cli import dashboard
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
