"""The table of models, written anew."""

import json
from pathlib import Path

from automl.spaces.architectures.build_table import write_table
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.families import table


def test_written_table_is_read_back(tmp_path: Path) -> None:
    write_table(["test_vit", "test_resnet"], tmp_path / "table.json")
    rows = json.loads((tmp_path / "table.json").read_text())
    assert list(rows) == ["test_resnet", "test_vit"]
    row = {**rows["test_vit"], "channels": tuple(rows["test_vit"]["channels"])}
    assert Capability(model="test_vit", **row) == table()["test_vit"]
