"""The confusion matrix as a page shows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from automl.final.evaluation.record import Evaluation

LARGEST_MATRIX = 40  # classes
NAMED = 8  # classes, up to which columns have names and not numbers
_RIGHT, _WRONG = "37 99 235", "200 60 0"
_DARKEST = 0.5


@dataclass(frozen=True)
class MatrixCell:
    """A cell: `count` images were answered `said`; `link` is where on the page they are, "" for nowhere."""

    count: int
    said: str
    colour: str
    shade: float
    link: str = ""


@dataclass(frozen=True)
class MatrixRow:
    """The row of a true class."""

    name: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True)
class Matrix:
    """A matrix of `classes`; `named`: columns have their names."""

    classes: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    named: bool


def matrix_of(said: Evaluation, links: Collection[str] = ()) -> Matrix:
    """Return the matrix with the share of each true class as the shade of a cell; `links` are ids on the page."""
    rows = []
    for k, (name, counts) in enumerate(zip(said.classes, said.matrix().tolist(), strict=True)):
        total = max(1, sum(counts))
        rows.append(
            MatrixRow(
                name,
                tuple(
                    MatrixCell(
                        count,
                        said.classes[j],
                        _RIGHT if j == k else _WRONG,
                        _DARKEST * count / total,
                        f"cell-{k}-{j}" if count and f"cell-{k}-{j}" in links else "",
                    )
                    for j, count in enumerate(counts)
                ),
            )
        )
    return Matrix(said.classes, tuple(rows), len(said.classes) <= NAMED)
