"""Configurations as points."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl.search.curve_gp.encoding import Encoding, from_unit, to_unit

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "opt": CategoricalDistribution(["sgd", "adamw", "lamb"]),
    "batch_size": CategoricalDistribution([64, 32, 256, 128]),
    "layers": IntDistribution(1, 5),
}


def test_number_stands_at_its_share_of_the_range() -> None:
    encoding = Encoding({"lr": SPACE["lr"]})
    (row,) = encoding.encode([{"lr": 1e-3}])
    assert row[0] == pytest.approx(0.25)


def test_choices_that_are_numbers_keep_their_order() -> None:
    encoding = Encoding({"batch_size": SPACE["batch_size"]})
    rows = encoding.encode([{"batch_size": size} for size in (32, 64, 128, 256)])
    assert rows[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_other_choices_are_all_equally_far_from_each_other() -> None:
    encoding = Encoding({"opt": SPACE["opt"]})
    rows = encoding.encode([{"opt": name} for name in ("sgd", "adamw", "lamb")])
    distances = {round(math.dist(rows[i], rows[j]), 9) for i in range(3) for j in range(i)}
    assert len(distances) == 1 and distances != {0.0}


def test_absent_parameter_differs_from_every_value_of_it() -> None:
    encoding = Encoding({"layers": SPACE["layers"]})
    rows = encoding.encode([{}, *({"layers": n} for n in range(1, 6))])
    assert min(math.dist(rows[0], row) for row in rows[1:]) > 0.4


def test_columns_of_one_parameter_share_a_group() -> None:
    encoding = Encoding(SPACE)
    columns = encoding.encode([{}]).shape[1]
    assert encoding.groups.shape == (columns,)
    assert sorted(set(encoding.groups.tolist())) == [0, 1, 2, 3]


def test_unknown_names_are_passed_over() -> None:
    encoding = Encoding(SPACE)
    assert np.array_equal(encoding.encode([{"depth": 3}]), encoding.encode([{}]))


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(0.5, 2.0),
        FloatDistribution(1e-5, 1e-1, log=True),
        FloatDistribution(0.0, 1.0, step=0.25),
        IntDistribution(1, 5),
        IntDistribution(16, 512, log=True),
        IntDistribution(2, 10, step=4),
        FloatDistribution(3.0, 3.0),
        CategoricalDistribution(["a", None, True, 2]),
    ],
    ids=str,
)
@given(share=st.floats(0.0, 1.0))
def test_value_at_any_share_lies_in_the_distribution(distribution: BaseDistribution, share: float) -> None:
    value = from_unit(distribution, share)
    assert distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(1, 5), [1, 2, 3, 4, 5]),
        (IntDistribution(2, 10, step=4), [2, 6, 10]),
        (FloatDistribution(0.0, 1.0, step=0.5), [0.0, 0.5, 1.0]),
        (CategoricalDistribution(["a", "b"]), ["a", "b"]),
    ],
    ids=str,
)
def test_steps_and_choices_get_equal_parts(distribution: BaseDistribution, values: list[Any]) -> None:
    drawn = [from_unit(distribution, (i + 0.5) / 60) for i in range(60)]
    assert {value: drawn.count(value) for value in values} == dict.fromkeys(values, 60 // len(values))


@pytest.mark.parametrize("log", [False, True])
def test_share_of_a_float_leads_back_to_it(log: bool) -> None:
    distribution = FloatDistribution(1e-3, 10.0, log=log)
    assert to_unit(distribution, from_unit(distribution, 0.3)) == pytest.approx(0.3)


def test_share_of_a_choice_is_refused() -> None:
    with pytest.raises(TypeError, match="a range of numbers is needed"):
        to_unit(CategoricalDistribution(["a"]), "a")
