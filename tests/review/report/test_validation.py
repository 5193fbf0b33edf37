"""What the report says about the errors of the trials that were the best."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.review.page.thumbnails import Thumbnails
from automl.review.report.facts import read_facts
from automl.review.report.sections.validation import validation_section
from automl.review.report.shots import Camera
from automl.review.report.write import Means, write_report
from automl.review.studies import StudyFolder, read_study
from tests.review.incumbents.studies import FILES, SCORES, scores_of, write_index, write_trial
from tests.review.studies_on_disk import running_study

WORSE = SCORES[[0, 1, 0, 3]]  # 6.png is wrong as well


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A running study whose trial 0 is the best one, with its scores."""
    root = running_study(tmp_path)
    write_index(root)
    write_trial(root, 0, scores_of())
    return read_study(root)


def without_images() -> Camera:
    return Camera(Thumbnails(None, 0))


def test_running_study_has_a_table_of_the_errors_of_its_best_trial(study: StudyFolder) -> None:
    found = validation_section(read_facts(study), without_images())
    assert found is not None
    assert found.trials.rows == (("0", "from scratch", "2", "0.7000", "4", "2", "birch taken for ash (1)"),)
    assert found.best == "Trial 0 (from scratch): its most confident errors."
    assert found.errors is not None
    assert found.errors.rows == (("4.png", "birch", "ash", "0.90"), ("9.png", "oak", "birch", "0.50"))
    assert found.shots == ()


def test_without_scores_there_is_no_section(tmp_path: Path) -> None:
    facts = read_facts(read_study(running_study(tmp_path)))
    assert validation_section(facts, without_images()) is None


def test_damaged_scores_cost_their_row_and_not_the_report(study: StudyFolder) -> None:
    (study.path / "trials" / "t0000" / "validation.safetensors").write_bytes(b"damaged")
    assert validation_section(read_facts(study), without_images()) is None
    assert write_report(study, means=Means(reopen=False)).path.is_file()


def test_errors_of_a_finished_study_are_images_and_those_that_all_share_are_counted(
    leaves: StudyFolder, tmp_path: Path
) -> None:
    root = tmp_path / "leaves"
    shutil.copytree(leaves.path, root)
    write_index(root)
    facts = read_facts(read_study(root))
    images = tmp_path / "images"
    for number in {row.trial for row in facts.history.rows}:
        write_trial(root, number, scores_of(round=1, scores=SCORES if number % 2 else WORSE))
    camera = Camera(Thumbnails(lambda file: _image(images / file), 10**6))
    found = validation_section(facts, camera)
    assert found is not None and len(found.trials.rows) > 1
    assert "2 images are answered wrongly by all of these trials" in found.intro
    assert found.trials.rows[-1][0] == str(facts.history.best.trial if facts.history.best else None)
    assert found.errors is None and all(shot.url for shot in found.shots)
    assert {shot.file for shot in found.shots} <= set(FILES)
    page = write_report(read_study(root), means=Means(reopen=False)).path.read_text(encoding="utf-8")
    assert "best answer wrong on validation" in page


def _image(path: Path) -> Image.Image:
    return Image.fromarray(np.full((20, 20, 3), len(path.name), dtype=np.uint8))
