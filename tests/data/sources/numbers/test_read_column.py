"""Numbers in label columns, in the forms in which people write them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from automl.data.sources.labels import read_labels
from automl.data.sources.numbers.forms import is_limit, parse
from automl.errors import DataError

_MINUS, _SPACE = "\u2212", "\u00a0"
_N = range(1, 31)


@pytest.mark.parametrize("column", ["price", "label"])
@pytest.mark.parametrize(
    ("cells", "first", "note"),
    [
        ([f"${1000 + 37 * i:,}" for i in _N], 1037, "'$' before the numbers in {} left out."),
        (["$1,000", "$2,500", "$900"], 1000, "taken for separators of thousands ('$1,000')"),
        (["\u20ac3.50", "\u20ac4", "\u20ac12.25"], 3.5, "'\u20ac' before the numbers"),
        (["3,50 \u20ac", "4 \u20ac", "12,25 \u20ac"], 3.5, "Commas in {} taken for decimal points"),
        (
            ["\u20ac1.234", "\u20ac12.345", "\u20ac500"],
            1234,
            "Points in {} taken for separators of thousands",
        ),
        (["\u20b91,00,000", "\u20b92,50,000", "\u20b975,000"], 100_000, "separators of thousands"),
        (["CHF 1'003.50", "CHF 2'000", "CHF 12.25"], 1003.5, "'CHF' before the numbers"),
        ([f"{i % 20}/20" for i in _N], 1, "'/20' after the numbers in {} left out."),
        ([f"{_MINUS}1.5", "2.5", "3"], -1.5, f"'{_MINUS}' in {{}} taken for a minus sign"),
        (["(1.50)", "(2.50)", "3.50"], -1.5, "'(' in {} taken for a minus sign"),
        (["1'003", "1'250", "999"], 1003, "apostrophes in {} taken for separators of thousands"),
        ([f"1{_SPACE}003", f"12{_SPACE}500", "999"], 1003, "Spaces or apostrophes in {}"),
        (["5y", "7y", "12y"], 5, "'y' after the numbers in {} left out."),
        (["1 year", "7 years", "12 years"], 1, "'year' after the numbers in {} left out."),
        ([f"{i} kg" for i in _N], 1, "'kg' after the numbers in {} left out."),
        (["10%", "20 %", "50%"], 10, "'%' after the numbers in {} left out."),
        (["20.1 \u00b0C", "21 \u00b0C", "25 \u00b0C"], 20.1, "'\u00b0C' after the numbers"),
        (["1e3", "2e3", "5e3"], 1000, "Task: regression of {}"),
        (
            ["1.234", "2.500", "12.345"],
            1.234,
            "Points in {} taken for decimal points ('1.234'); if they separate",
        ),
        (["1.234", "12.345", "1.234.567"], 1234, "Points in {} taken for separators of thousands"),
        (["\uff11\uff12.\uff15", "3.5", "4.5"], 12.5, "Task: regression of {}"),
    ],
)
def test_numbers_are_read_however_they_are_written(
    column: str, cells: list[str], first: float, note: str
) -> None:
    found = read_labels({column: cells}, task="auto", typed=False)
    assert found.task == "regression" and found.kept.all()
    assert found.targets[0, 0] == pytest.approx(first)
    assert any(note.format(column) in text for text in found.notes), found.notes


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1", "2", "3", "<1"] * 8, "'<1' and 7 other cells in x are none"),
        (["0", "1", "2", "3+"] * 8, "'3[+]' and 7 other cells"),
        (["1", "2", "3", "4", "10-20"] * 8, "'10-20' and 7 other cells"),
        (["10", "20", "50%"] * 8, "'50%' and 7 other cells"),
        (["500 g", "1 kg", "5 kg"] * 8, "'500 g' and 7 other cells"),
        (["500 g", "1 kg"] * 8, "'500 g' and '1 kg' in x are in different units"),
        (["1/2", "1/4", "7/20"] * 8, "in x may be fractions, dates or names"),
        (
            ["1,234.50", "1.234,50", "3"] * 8,
            "'1,234.50' and '1.234,50' in x use commas and points differently",
        ),
    ],
)
def test_column_that_cannot_be_decided_names_the_cells_and_the_option(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=f"{said}.*--task"):
        read_labels({"x": cells}, task="auto", typed=False)
    assert read_labels({"x": cells}, task="classification", typed=False).task == "classification"


@pytest.mark.parametrize(
    ("cells", "classes", "note"),
    [
        (["5A", "6A", "7A"], ("5A", "6A", "7A"), "'A' after the numbers in x"),
        (["5 kg", "7 kg"], ("5 kg", "7 kg"), "taken for names of classes; --task regression"),
        (["5A", "5B", "6A"], ("5A", "5B", "6A"), ""),
        (["1_1", "1_2", "2_1"], ("1_1", "1_2", "2_1"), ""),
        ([f"{i}_{j}" for i in range(4) for j in range(4)], None, ""),
        (["1st", "2nd", "3rd"], ("1st", "2nd", "3rd"), ""),
        (["0-10", "11-20", "21-30"], ("0-10", "11-20", "21-30"), ""),
        (["1e3", "2a4", "3f5"], ("1e3", "2a4", "3f5"), ""),
        (["2d", "3d", "2d"], ("2d", "3d"), ""),
    ],
)
def test_names_that_hold_numbers_stay_names(
    cells: list[str], classes: tuple[str, ...] | None, note: str
) -> None:
    found = read_labels({"x": cells * 4}, task="auto", typed=False)
    assert found.task == "classification"
    assert found.classes == (classes or tuple(sorted(set(cells))))
    assert not note or any(note in text for text in found.notes)


def test_fractions_are_values_if_a_regression_is_asked() -> None:
    found = read_labels({"x": ["1/2", "1/4", "7/20"]}, task="regression", typed=False)
    assert np.allclose(found.targets[:, 0], [0.5, 0.25, 0.35])
    assert "Fractions in x taken for their values ('1/2')." in found.notes
    same = read_labels({"x": ["1/20", "0/20", "7/20"]}, task="regression", typed=False)
    assert same.targets[:, 0].tolist() == [1, 0, 7]


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["0", "0.0", "1", "1.0"], ("0", "1")),
        (["2.0", "2", "3.0", "other"], ("2", "3", "other")),
        (["+1", "1", "-1"], ("-1", "1")),
        ([0, "0.0", 1, "1.0"], ("0", "1")),
        (["0.0", "1.0"], ("0.0", "1.0")),
        (["007", "7", "7.0"], ("007", "7", "7.0")),
    ],
)
def test_one_number_in_two_spellings_is_one_class(cells: list[Any], classes: tuple[str, ...]) -> None:
    found = read_labels({"label": cells * 3}, task="auto", typed=False)
    assert (found.task, found.classes) == ("classification", classes)
    assert any("are one class" in note for note in found.notes) == (len(classes) < len(set(map(str, cells))))


@pytest.mark.parametrize(
    "text", ["", "cat", "12:30", "2020-01-02", "A12", "1_000", "1 23", "12 34 56", "5" * 70, "1.5.2,3"]
)
def test_words_are_no_numbers(text: str) -> None:
    found = parse(text)
    assert found is None or found.body == "1.5.2,3"
    assert not is_limit(text)


_PIECES = [
    "0",
    "1",
    "9",
    "00",
    "123",
    ".",
    ",",
    "'",
    " ",
    _SPACE,
    "$",
    "\u20ac",
    "%",
    "kg",
    "g",
    "/",
    "(",
    ")",
    "-",
    _MINUS,
]
_PIECES += [
    "<",
    "+",
    "e",
    "E",
    "A",
    "\uff11",
    "\u0663",
    "\u00bd",
    "\u00b2",
    "_",
    "nan",
    "inf",
    "NA",
    "|",
    "[",
    "]",
    "x",
]


def test_any_cells_are_read_or_refused_in_one_line() -> None:
    rng = random.Random(0)
    ends: set[str] = set()
    for k in range(1500):
        cells: list[Any] = [
            "".join(rng.choices(_PIECES, k=rng.randrange(1, 6))) for _ in range(rng.randrange(20))
        ]
        form = rng.choice(["{}", "${}", "{} kg", "{}%", "{},5", "{}.000", "1'{}"])
        cells += [form.format(rng.randrange(1, 999)) for _ in range(rng.randrange(1, 40))]
        cells += [3, 0.5, None, True, float("inf"), 10**400, b"5"][: rng.randrange(8) if k % 3 else 0]
        try:
            ends.add(
                read_labels({"x": cells}, task=rng.choice(["auto", "regression", "classification"])).task
            )
        except DataError as error:
            ends.add("refused")
            assert "\n" not in str(error) and len(str(error)) < 600
    assert ends == {"classification", "multilabel", "regression", "refused"}
