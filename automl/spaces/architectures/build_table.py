"""Measure models and write capabilities.json: `python -m automl.spaces.architectures.build_table [MODEL ...]`."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from automl.spaces.architectures.measure import measure
from automl.spaces.parsing.includes import presets
from automl.spaces.space import SearchSpace

_TABLE = Path(__file__).with_name("capabilities.json")


def write_table(models: list[str], path: Path = _TABLE) -> None:
    """Measure `models` and write the table, sorted by name."""
    rows: dict[str, Any] = {}
    for name in sorted(models):
        row = dataclasses.asdict(measure(name))
        del row["model"]
        rows[name] = row
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def preset_models() -> list[str]:
    """Return every model of the presets."""
    return sorted(
        {
            model
            for preset in presets()
            for members in SearchSpace.load(preset).families.values()
            for model in members
        }
    )


if __name__ == "__main__":
    write_table(sys.argv[1:] or preset_models())
