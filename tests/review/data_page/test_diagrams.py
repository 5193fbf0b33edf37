"""Diagrams of the page about the data."""

from __future__ import annotations

import numpy as np

from automl.review.data_page.diagrams import histogram


def test_histogram_counts_images_in_singular_and_plural() -> None:
    shown = histogram(np.array([0.0, 0.0, 1.0]), "size", bins=2)
    assert "0 to 0.5: 2 images<" in shown and "0.5 to 1: 1 image<" in shown
