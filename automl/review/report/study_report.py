"""Write the report of a study by its name, and tell in a sentence what prevents it."""

from __future__ import annotations

from pathlib import Path

from automl.errors import UsageError
from automl.review.report.write import Written, write_report
from automl.review.studies import damage_told, find_study


def report_of(
    study: str | Path, directory: str | Path = "studies", *, flags: str = "", out: Path | None = None
) -> Written:
    """Write the report of the study with this name in `directory`, or of the study's folder.

    Raises StudyError if there is none or its files are damaged, and UsageError if the page cannot be written.
    """
    found = find_study(str(study), directory)
    try:
        with damage_told(found.name):
            return write_report(found, flags=flags, out=out)
    except OSError as error:
        where = str(out or found.path)
        raise UsageError(
            f"the report must be written to {where!r}, which is not possible ({error.strerror or error}): name "
            "another file with --out"
        ) from error
