"""The page of an evaluation: offline, escaped, with the most confident errors as images."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.errors import UsageError
from automl.final.evaluation.score_data import evaluate_data
from automl.records import Task
from automl.review.evaluation.page import worst_errors, write_page
from tests.final.evaluation.greys import grey, predictor, write_greys
from tests.final.evaluation.test_record import an_evaluation
from tests.review.self_contained import require_self_contained

ODD = '<img src=x onerror="alert(1)">&'


def test_page_shows_the_most_confident_errors_first(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", {"dark": [0, 150, 255], "light": [250, 240, 20]})
    found = evaluate_data(predictor(), folder)
    places, captions = worst_errors(found)
    assert [found.scored.files[i] for i in places] == ["dark/255-2.png", "light/020-2.png", "dark/150-1.png"]
    assert captions[0].startswith("dark, taken for light (1.000")
    write_page(found.evaluation, tmp_path / "x.html", title="new", answers=found)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 3
    assert text.index("dark/255-2.png") < text.index("light/020-2.png")
    assert "<svg" in text and "Confusion matrix" in text
    found.source.close()


def test_page_needs_nothing_from_elsewhere_and_is_well_formed(tmp_path: Path) -> None:
    for task in ("classification", "multilabel", "regression"):
        write_page(an_evaluation(task), tmp_path / "x.html", title=ODD)
        text = (tmp_path / "x.html").read_text(encoding="utf-8")
        require_self_contained(text)
        assert ODD not in text and "&lt;img src" in text


def test_names_of_classes_and_files_are_escaped(tmp_path: Path) -> None:
    model = predictor(classes=("dark", ODD))
    found = evaluate_data(model, ([grey(0), grey(250)], [ODD, "dark"]))
    write_page(found.evaluation, tmp_path / "x.html", title="x", answers=found)
    assert ODD not in (tmp_path / "x.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_errors_of_other_tasks_are_the_largest(task: Task) -> None:
    images, labels = (
        [grey(0), grey(128), grey(255)],
        [["label"]] * 3 if task == "multilabel" else [99.5, 60.5, 90.5],
    )
    found = evaluate_data(predictor(task, ("label",)), (images, labels))
    places, captions = worst_errors(found)
    assert places[0] == 0
    assert captions[0] == ("missed label (0.001)" if task == "multilabel" else "label 99.5, predicted 0")


def test_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--html must be a file that can be written, got '.*none/x.html'"):
        write_page(an_evaluation("regression"), tmp_path / "none" / "x.html", title="x")
