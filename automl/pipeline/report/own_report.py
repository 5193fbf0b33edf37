"""The report of the study that this process runs. A failure to write it never costs the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from automl.config import StudyConfig
from automl.config.names import directory_flag
from automl.data.cache.streamed_images import open_images
from automl.errors import AutomlError, DataError, reason_of
from automl.machine import slowdown
from automl.pipeline.setup import Setup
from automl.records import Observer
from automl.review.page.thumbnails import Load
from automl.review.studies import REPORT_FILE, WRONG_VALUES, read_study

if TYPE_CHECKING:
    from automl.final.predictor import Predictor
    from automl.review.report.write import Means

# Of the time limit: what the report at the end may take, and the seconds of it on a quiet machine. Without a limit it
# may take so many seconds for images. Decision 153.
MOST_SHARE, SECONDS, UNLIMITED = 0.03, 1.0, 20.0
LEAST = 0.3  # seconds for charts and tables on a quiet machine: with less left, there is no report
IMAGES_SHARE = 0.5  # of the time left beside that, for images and the model


def reserve(limit: float | None) -> float:
    """Return the seconds of a time limit to hold back for the report at the end."""
    return 0.0 if limit is None else min(MOST_SHARE * limit, SECONDS * slowdown())


def report_during_search(setup: Setup) -> None:
    """Write the report of a search that still runs, without images: its model and its answers do not exist yet.

    The report of an earlier run, which has a result, stays.
    """
    from automl.review.report.write import Means, write_report

    if setup.workspace.result_json.is_file():
        return
    try:
        write_report(
            read_study(setup.workspace.root),
            result={},
            means=Means(reopen=False),
            flags=directory_flag(setup.config.directory),
        )
    except (AutomlError, OSError, *WRONG_VALUES) as error:
        setup.observer.note(f"The report could not be written during the search: {reason_of(error)}.")


def report_at_end(
    setup: Setup,
    document: Mapping[str, Any],
    predictor: Predictor | None,
    costs: Callable[[], Mapping[str, Any]],
) -> tuple[str, ...]:
    """Write the report of a study whose result is about to be written; return the sentences of its verdict, or none.

    It ends before the deadline: images and the model's speed get only the time that is left. `costs` gives the entries
    of the result that tell time and costs, at the moment at which the page is made.
    """
    from automl.review.report.write import Means

    page = setup.workspace.root / REPORT_FILE
    page.unlink(missing_ok=True)  # one of the search would say that there is no result
    left, least = setup.clock.remaining(), LEAST * slowdown()
    if left is not None and left < least:
        study = f"{setup.config.study}{directory_flag(setup.config.directory)}"
        setup.observer.note(f"There was no time for the report; `automl report {study}` writes it.")
        return ()
    seconds = UNLIMITED
    if left is not None:
        seconds = IMAGES_SHARE * min(left - least, MOST_SHARE * (setup.clock.limit or 0.0))
    means = Means(study_pixels(setup), predictor, seconds=seconds, reopen=False, costs=costs)
    return report_of_result(setup.workspace.root, setup.config, document, means, setup.observer)


def report_of_result(
    root: Path, config: StudyConfig, document: Mapping[str, Any], means: Means, observer: Observer
) -> tuple[str, ...]:
    """Write the report of a result that is about to be written; return the sentences of its verdict, or none."""
    from automl.review.report.write import write_report

    try:
        written = write_report(
            read_study(root), result=document, means=means, flags=directory_flag(config.directory)
        )
    except (AutomlError, OSError, *WRONG_VALUES) as error:
        observer.note(f"The report could not be written: {reason_of(error)}.")
        return ()
    return written.verdict.sentences


def study_pixels(setup: Setup) -> Load:
    """Return a function that gives the decoded image of a file, as the networks see it, without reading the file."""
    labelled, rows = setup.data.labelled, setup.data.splits.train
    images = open_images(rows.images if rows.large is None else rows.large)
    places = dict(zip(labelled.files, labelled.usable.tolist(), strict=True))

    def load(file: str) -> Image.Image:
        if file not in places:
            raise DataError(f"{file}: not among the images that are used")
        pixels = np.asarray(images[np.array([places[file]])])[0]
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)

    return load
