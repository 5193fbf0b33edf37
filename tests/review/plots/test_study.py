"""The figure of a study, from studies on disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from automl.errors import ConfigError
from automl.review.plots.study import study_figure
from automl.review.studies import read_study

NEEDS = "matplotlib is not installed (pip install 'automl[plot]')"


def test_running_study_has_curves_and_a_timeline(studies: Path) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    figure: Any = study_figure(read_study(studies / "leaves"))
    curves, timeline = figure.axes
    assert (curves.get_title(), curves.get_ylabel()) == ("curves", "val f1")
    drawn = [list(line.get_ydata()) for line in curves.get_lines()]
    assert [0.5, 0.7] in drawn and [0.4] in drawn and [0.6] in drawn
    assert len(timeline.patches) == 5
    image = Image.open(io.BytesIO(figure._repr_png_()))  # what a notebook shows
    assert image.size == (1200, 450)


def test_confusion_needs_a_finished_classification(studies: Path) -> None:
    pytest.importorskip("matplotlib", reason=NEEDS)
    with pytest.raises(ConfigError, match="'leaves' has no confusion matrix: it needs a classification"):
        study_figure(read_study(studies / "leaves"), ["confusion"])


def test_unknown_plot_is_named_with_the_closest(studies: Path) -> None:
    with pytest.raises(ConfigError, match="curves"):
        study_figure(read_study(studies / "leaves"), ["curve"])


def test_without_matplotlib_it_says_how_to_install_it(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"run `pip install 'automl\[plot\]'`"):
        study_figure(read_study(studies / "leaves"))
