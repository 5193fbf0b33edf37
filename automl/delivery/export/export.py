"""Write an exported model and what belongs to it, once it is proven."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from automl.delivery.export.caller import OPENERS, caller_text, read_model
from automl.delivery.export.onnx_graph import IMAGES, SCORES, TOLERANCE, UNKNOWN
from automl.delivery.export.proof import Exported, Proof, prove
from automl.delivery.export.rows import Evidence
from automl.delivery.export.texts import readme
from automl.delivery.export.writers import FILES, WRITERS, Format, Job
from automl.documents.digest import file_digest
from automl.documents.json_file import read_object
from automl.errors import ModelError, UsageError
from automl.final.card import CARD_FILE
from automl.final.model_folder import WEIGHTS
from automl.final.predictor import Predictor
from automl.machine import is_alive
from automl.records import DatasetInfo
from automl.training.steps.standard_errors import allowed_loss

CARD, PROOF = "model-card.md", "proof.json"
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
_FREQUENCIES = (0.8, 0.9, 0.95, 0.98, 0.99)
_UNUSUAL = 0.01  # how far scores of unknown images may be off, which are 1 where an image becomes unusual


def export(
    predictor: Predictor,
    model_folder: Path,
    evidence: Evidence,
    *,
    to: Format,
    out: Path,
    int8: bool = False,
    max_loss: float | None = None,
    threads: int,
    note: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write the model into the folder `out` in another format, run that on held-out images, and keep it if it agrees.

    In float, answers must agree on every row, and scores to 1e-4. int8 must lose at most `max_loss`
    of the metric (one point or half a standard error, whichever is more); layers that cost more stay in float. Raises
    ModelError if the file does not agree, and UsageError if `out` cannot be written; nothing is written then.
    """
    with written_beside(out) as text:
        folder = Path(text)
        note(f"writing the model as {to}{' in int8' if int8 else ''}")
        quantised = WRITERS[to](Job(predictor, evidence, folder, int8, max_loss, note))
        _write_model_json(folder, predictor, model_folder, to)
        (folder / "predict.py").write_text(caller_text(to), encoding="utf-8")
        for name in ("labels.txt", CARD_FILE):
            if (model_folder / name).is_file():
                shutil.copyfile(model_folder / name, folder / (CARD if name == CARD_FILE else name))
        note(f"running it on {len(evidence.held_out):,} images")
        proof = prove(
            OPENERS[to](folder),
            predictor,
            evidence.held_out,
            model=read_model(folder),
            metric=evidence.metric,
            tolerance=TOLERANCE,
            threads=threads,
            seed=evidence.seed,
        )
        _require_proven(proof, evidence, to, int8=int8, max_loss=max_loss)
        size = sum((folder / name).stat().st_size for name in FILES[to])
        found = Exported(
            out,
            to,
            size,
            proof,
            evidence.own_holdout,
            quantised.layers if quantised else 0,
            quantised.floats if quantised else (),
        )
        (folder / PROOF).write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(
            readme(found, predictor, card=(folder / CARD).is_file()), encoding="utf-8"
        )
        _replace(out, folder)
    return found


def _require_proven(proof: Proof, evidence: Evidence, to: str, *, int8: bool, max_loss: float | None) -> None:
    if int8:
        lost = proof.torch_value - proof.value.value
        lost = lost if evidence.maximise else -lost
        error = (proof.value.high - proof.value.low) / (2 * 1.96)
        most = allowed_loss(proof.metric, proof.torch_value, error, max_loss)
        if not lost <= most:
            raise ModelError(
                f"int8 must lose at most {most:.4g} of {proof.metric}, but the exported file has "
                f"{proof.value.value:.4f} on {proof.rows:,} held-out images where the model has "
                f"{proof.torch_value:.4f}: nothing was written; export without --int8, or allow more with --max-loss"
            )
        return
    if proof.unknown_difference > _UNUSUAL:
        raise ModelError(
            f"the exported {to} file must tell unknown images as the model does, but on held-out images these scores "
            f"differ by up to {proof.unknown_difference:.2g}: nothing was written"
        )
    if proof.difference > TOLERANCE or proof.equal < proof.rows:
        raise ModelError(
            f"the exported {to} file must answer as the model does, but on held-out images scores differ by up to "
            f"{proof.difference:.2g}, and {proof.rows - proof.equal:,} of {proof.rows:,} answers are others: nothing "
            "was written"
        )


def described(info: DatasetInfo) -> dict[str, Any]:
    """Return what a caller must know of the data set of a model, as in model.json."""
    return {
        "format": 1,
        "task": info.task,
        "classes": list(info.classes),
        "size": info.img_size,
        "channels": info.in_chans,
        "pixel_range": list(info.pixel_range),
        "resize": info.resize,
    }


def _write_model_json(folder: Path, predictor: Predictor, model_folder: Path, to: Format) -> None:
    """Write what a caller must know."""
    info = predictor.info
    said = {
        **described(info),
        # OpenVINO has no float64 for Pillow's roundings: in other sizes, some pixels are off by one level.
        "resized_by_caller": to == "openvino",
        # From which probability on answers are right with a frequency, where that can be promised.
        "reject": _thresholds(predictor),
        "model": file_digest(model_folder / WEIGHTS),
        "input": {"name": IMAGES, "type": "uint8", "shape": ["images", "height", "width", info.in_chans]},
        "output": {"name": SCORES, "type": "float32", "shape": ["images", info.n_outputs]},
        "unknown": None
        if predictor.known is None
        else {"name": UNKNOWN, "type": "float32", "shape": ["images"]},
    }
    (folder / "model.json").write_text(
        json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _thresholds(predictor: Predictor) -> dict[str, float]:
    """Return for the usual frequencies the confidence from which on answers are right so often, where it is known."""
    found = {}
    for frequency in _FREQUENCIES:
        try:
            found[f"{frequency:g}"] = predictor.threshold(frequency).confidence
        except ModelError:  # no promise
            continue
    return found


@contextmanager
def written_beside(out: Path) -> Iterator[str]:
    """Give a folder beside `out` for files that are not finished. Raises UsageError if they cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(out)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-{os.getpid()}-") as folder:
            yield folder
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise UsageError(
            f"the export must be written to {str(out)!r}, but that failed ({error.strerror}): free some space there, "
            "or name another folder with --out (in Python out)"
        ) from error


def is_export(folder: Path, to: Format) -> bool:
    """Return whether a folder holds an export of this format."""
    return read_object(folder / PROOF).get("format") == to


def _remove_left(out: Path) -> None:
    """Remove what earlier exports left that were killed."""
    for folder in out.parent.glob(f".{escape(out.name)}-*"):
        owner = folder.name.rpartition("-")[0].rpartition("-")[2]
        if owner.isdecimal() and not is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _replace(out: Path, folder: Path) -> None:
    """Move the files of a finished folder into `out`, over those of an earlier export."""
    out.mkdir(parents=True, exist_ok=True)
    # The proof first: by it the folder is known as an export.
    for file in sorted(folder.iterdir(), key=lambda file: file.name != PROOF):
        file.replace(out / file.name)
