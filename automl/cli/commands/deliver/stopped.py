"""What Ctrl-C has left of a study whose model was being replaced, in words."""

from __future__ import annotations

from automl.config.names import directory_flag
from automl.errors import StudyError
from automl.final.evidence import words
from automl.review.studies import StudyFolder, read_study


def what_stands(before: StudyFolder) -> str:
    """Return the end of the message after Ctrl-C, by the files of the study and by what they were `before`."""
    study = f"{before.name}{directory_flag(before.directory)}"
    if before.home:  # its files are at an address
        return f"; `automl show {study}` tells which model the study has"
    try:
        now = read_study(before.path)
    except StudyError as error:
        return f"; {error}"
    if before.result is None or now.result is None:
        return ""
    if now.result["retrain"] != before.result["retrain"]:
        return (
            f"; the study has a new model: {words.made(now.result)}, whose scores result.json tells; "
            f"`automl report {study}` writes its report"
        )
    if words.reads(now.result) != words.reads(before.result):
        return f"; the model is as it was, but the holdout was {words.reads(now.result)}"
    return "; the study and its model are as they were"
