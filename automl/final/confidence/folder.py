"""What a model folder holds about the confidence of its answers: confidence.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.errors import ConfigError, ModelError
from automl.final.confidence.selective import RiskTable, Threshold, fewest_rows
from automl.records import DatasetInfo

CONFIDENCE = "confidence.json"
FORMAT = 1
_MOST_BYTES = 2**20


def write_confidence(folder: Path, table: RiskTable | None) -> None:
    """Write confidence.json into a model folder; nothing without a table. Raises OSError."""
    if table is not None:
        said: dict[str, Any] = {"format": FORMAT, **table.to_json()}
        (folder / CONFIDENCE).write_text(json.dumps(said) + "\n", encoding="utf-8")


def read_threshold(folder: Path | None, info: DatasetInfo, frequency: float) -> Threshold:
    """Return from which confidence on a model's answers are right with a frequency.

    Raises ConfigError for a frequency that is not between 0 and 1, and ModelError if the model is no classifier, its
    folder holds no table, or the table is too short, or not good enough, to promise the frequency.
    """
    if not 0.0 < frequency < 1.0:
        raise ConfigError(f"the frequency of right answers must be above 0 and below 1, got {frequency!r}")
    if info.task != "classification":
        raise ModelError(
            f"only a classification can leave out unsure answers, and the task of the model is {info.task}"
        )
    table = _read_table(folder)
    found = table.threshold(frequency)
    if found is not None:
        return found
    least, wrong = fewest_rows(frequency), table.points[-1][2]
    why = f"{wrong:,} of its answers on {table.rows:,} images that it was not trained on are wrong, which is too often"
    if table.rows < least:
        why = f"that takes {least:,} images or more that it was not trained on, and answers on {table.rows:,} are known"
    raise ModelError(
        f"the model cannot promise answers of which {frequency:.4g} are right: {why}; ask for less"
    )


def _read_table(folder: Path | None) -> RiskTable:
    if folder is None or not (folder / CONFIDENCE).is_file():
        raise ModelError(
            f"a model must have {CONFIDENCE} to leave out unsure answers, but this one has none: it is of an earlier "
            "version, or nothing is known of its answers on images that it was not trained on"
        )
    try:
        said = read_json(folder / CONFIDENCE, most=_MOST_BYTES)
        if said["format"] != FORMAT:
            raise ValueError(f"its format is {said['format']!r:.40}, this version reads {FORMAT}")
        return RiskTable.from_json(said)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise ModelError(f"{str(folder / CONFIDENCE)!r} cannot be read ({error!s:.200})") from error
