"""The exports of a study's models: those beside a model, and those that were written elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from automl.documents.digest import file_digest
from automl.documents.json_file import read_json
from automl.review.studies import WEIGHTS_FILE

FILE = "exports.json"  # in the study's folder: where exports lie that are not beside their model
PROOF = "proof.json"


def record_export(study: Path, model: Path, folder: Path) -> None:
    """Note in a study that the model in the folder `model` was exported to `folder`; nothing if that lies beside it.

    Raises OSError if the study cannot be written.
    """
    place = folder.resolve()
    if place.parent == model.resolve():
        return
    others = [row for row in _recorded(study) if row.get("folder") != str(place)]
    text = json.dumps(
        {"exports": [*others, {"folder": str(place), "weights": file_digest(model / WEIGHTS_FILE)}]}, indent=1
    )
    draft = study / f".{FILE}.{os.getpid()}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(study / FILE)


def proofs_of(study: Path, model: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the proofs of the exports of the model in a folder, and where each lies: below the study, or a full path.

    Exports that are gone or have no proof are as if they were not there.
    """
    files = sorted(model.glob(f"*/{PROOF}"))
    recorded = _recorded(study)
    if recorded and (model / WEIGHTS_FILE).is_file():
        own = file_digest(model / WEIGHTS_FILE)
        files += [Path(str(row.get("folder"))) / PROOF for row in recorded if row.get("weights") == own]
    for file in files:
        try:
            proof = read_json(file)
        except (OSError, ValueError):
            continue
        place = file.parent.relative_to(study) if file.is_relative_to(study) else file.parent
        if isinstance(proof, dict):
            yield proof, str(place)


def _recorded(study: Path) -> list[dict[str, Any]]:
    try:
        rows = read_json(study / FILE)["exports"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
