"""Numbers that become the targets of a regression."""

from __future__ import annotations

import numpy as np
import pytest

from automl.data.sources.labels import read_labels
from automl.errors import DataError


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([1.7e9 + 0.25 * i for i in range(20)], "'t' differ too little for their size .*subtract a number"),
        ([1.7e12 + 7.5 * i for i in range(20)], "subtract a number such as 1700000000000 from all"),
        ([1e-40 * (i + 1) for i in range(20)], "differ by more than 1e-30, .*in a smaller unit"),
        ([5.5] * 20, "'t' is the same in every row"),
    ],
)
def test_numbers_that_single_precision_cannot_tell_apart_are_refused(column: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_labels({"t": column}, task="regression")


@pytest.mark.parametrize("column", [[1.7e9 + 1e5 * i for i in range(20)], [1e-25 * i for i in range(20)]])
def test_numbers_that_single_precision_tells_apart_are_targets(column: list[float]) -> None:
    found = read_labels({"t": column}, task="regression")
    np.testing.assert_allclose(found.targets[:, 0], column, rtol=1e-6)
