"""Export the model of a study or of a model folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from automl.config.checks import check_loss
from automl.config.metrics import METRICS, resolve_metric
from automl.delivery.export.export import export, is_export
from automl.delivery.export.proof import Exported
from automl.delivery.export.rows import Evidence, StudyRows, labelled_images, study_rows
from automl.delivery.export.writers import WRITERS, Format
from automl.documents.output_folder import require_folder
from automl.errors import DataError, UsageError, unknown_name
from automl.final.evaluation.labelled import Labelled, Where, open_labelled
from automl.final.model_folder import WEIGHTS
from automl.final.predictor import Predictor
from automl.records import DatasetInfo, ReadOptions
from automl.review.front.exports import record_export
from automl.review.studies import STUDY_FILE, StudyFolder, find_model, read_study

COPIES = 3  # of the weights on the disk, while the parts of a file are joined
_IN_MEMORY = "<"  # study.yaml names data that were in memory like this


def export_model(
    model: str | Path,
    *,
    to: str,
    int8: bool = False,
    max_loss: float | None = None,
    out: str | Path | None = None,
    data: Any = None,
    directory: str | Path = "studies",
    factory: str | Callable[..., Any] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write a study's or a model folder's model in another format ("onnx", "openvino" or "torch"), and prove it.

    The exported file answers for the study's held-out images, or for those of `data` (anything labelled that `fit`
    takes): in float its scores must be the model's. With `int8` the layers compute in 8 bits, and `max_loss` is how
    much of the metric it may lose (default: one point or half a standard error). `out` is the folder to write, by
    default one beside the model's files. Raises UsageError for what cannot be exported, and ModelError for a file that
    does not answer as the model does; nothing is written then.
    """
    if to not in WRITERS:
        raise UsageError(unknown_name("format", to, WRITERS))
    if int8 and to == "torch":
        raise UsageError("int8 is for the formats onnx and openvino, not for torch: leave out --int8")
    if max_loss is not None and not int8:
        raise UsageError(f"max_loss is for int8, got {max_loss!r}: leave it out, or add int8")
    most = None if max_loss is None else _loss(max_loss)
    folder = find_model(model, directory)
    chosen: Format = to
    place = require_folder(
        "--out (in Python out)",
        out if out is not None else folder / (f"{to}-int8" if int8 else to),
        f"export as {to}",
        lambda there: is_export(there, chosen),
        needed=COPIES * (folder / WEIGHTS).stat().st_size,
    )
    study = read_study(folder.parent) if (folder.parent / STUDY_FILE).is_file() else None
    predictor = Predictor.load(folder, factory=factory)
    metric = _metric(study, predictor)
    METRICS[metric].require_loss(most or 0.0)
    with ExitStack() as opened:
        rows = _rows(study, predictor.info, data, opened, note)
        evidence = Evidence(
            metric,
            maximise=METRICS[metric].mode == "max",
            held_out=rows.held_out,
            calibration=rows.train,
            choosing=rows.val if len(rows.val) else rows.train,
            own_holdout=data is None,
        )
        made = export(
            predictor,
            folder,
            evidence,
            to=chosen,
            out=place,
            int8=int8,
            max_loss=most,
            threads=torch.get_num_threads(),
            note=note,
        )
    if study is not None:
        _record(study, folder, made.folder, note)
    return made


def _record(study: StudyFolder, model: Path, folder: Path, note: Callable[[str], None]) -> None:
    """Note in the study where the export lies."""
    try:
        record_export(study.path, model, folder)
    except OSError as error:
        note(
            f"`automl leaderboard --pareto` will not know this export, as {str(study.path)!r} cannot be written "
            f"({error.strerror})"
        )


def _loss(value: object) -> float:
    try:
        return check_loss(value)
    except ValueError as error:
        raise UsageError(f"max_loss {error}") from None


def _metric(study: StudyFolder | None, predictor: Predictor) -> str:
    task = predictor.info.task
    if study is not None and study.metric in METRICS:
        return study.metric
    return resolve_metric("auto", task).name


def _rows(
    study: StudyFolder | None, info: DatasetInfo, data: Any, opened: ExitStack, note: Callable[[str], None]
) -> StudyRows:
    """Return images by what the export may do with them; `opened` closes their files.

    Raises UsageError if there are none.
    """
    if data is None:
        if study is None:
            raise UsageError(
                "an export is proven on labelled images, and a model folder has none: give them with --data"
            )
        if not _has_data(study):
            raise UsageError(
                f"an export is proven on labelled images, and those of the study {study.name!r} were in memory: give "
                "some with --data"
            )
        return _of_study(study, info, opened)
    found = _opened(data, info, Where(), opened)
    for text in found.notes:
        note(text)
    images = labelled_images(found)
    if study is not None and _has_data(study):
        try:
            own = _of_study(study, info, opened)
        except DataError:  # gone, which is why others are given
            return images.halves()
        return StudyRows(own.train, own.val, images)
    return images.halves()  # one half for choices, the other for the proof


def _has_data(study: StudyFolder) -> bool:
    data = study.config.get("data")
    return isinstance(data, str) and not data.startswith(_IN_MEMORY)


def _of_study(study: StudyFolder, info: DatasetInfo, opened: ExitStack) -> StudyRows:
    config = study.config
    where = Where(ReadOptions.of(config))
    return study_rows(_opened(config["data"], info, where, opened), study.path)


def _opened(data: Any, info: DatasetInfo, where: Where, opened: ExitStack) -> Labelled:
    found = open_labelled(data, info, where)
    opened.callback(found.source.close)
    return found
