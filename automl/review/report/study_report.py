"""Write the report of a study by its name, and tell in a sentence what prevents it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from automl.documents.output_file import page_kind, require_output
from automl.errors import StorageError, StudyError, UsageError
from automl.remote import upload_file
from automl.review.report.write import Written, write_report
from automl.review.studies import LOST_WORDS, REPORT_FILE, StudyFolder, damage_told, find_study


def report_of(
    study: str | Path, directory: str | Path = "studies", *, flags: str = "", out: Path | None = None
) -> Written:
    """Write the report of the study with this name in `directory`, or of the study's folder.

    That of a study at an address is stored there, unless it goes to the file `out`. Raises StudyError if there is none
    or its files are damaged, UsageError if the page cannot be written or would replace something else than an earlier
    report, and StorageError if it cannot be stored.
    """
    found = find_study(str(study), directory)
    if out is not None:
        _require_out(out, found)
    elif found.lost_result and (found.path / REPORT_FILE).exists():
        raise StudyError(
            f"the report of the study {found.name!r} stays as it is: {LOST_WORDS}; --out FILE writes what is left"
        )
    try:
        with damage_told(found.name):
            written = write_report(found, flags=flags, out=out)
    except OSError as error:
        where = str(out or found.path)
        raise UsageError(
            f"the report must be written to {where!r}, which is not possible ({error.strerror or error}): name "
            "another file with --out"
        ) from error
    return _stored(written, found) if found.address and out is None else written


def _stored(written: Written, study: StudyFolder) -> Written:
    """Put the report of a study at an address there. Raises StorageError that says where the page is."""
    try:
        return replace(written, address=upload_file(study.address, study.path.name, written.path))
    except StorageError as error:
        raise StorageError(f"{error}; the report is in {str(written.path)!r} alone") from error


def _require_out(out: Path, study: StudyFolder) -> None:
    require_output(
        "--out", out, page_kind("report"), data=[study.config.get("data")], beside=study.path / REPORT_FILE
    )
    if out.exists() and not out.is_file():  # the page would replace a device
        raise UsageError(f"--out must be a file that can be written, got {str(out)!r}")
